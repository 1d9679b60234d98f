"""Marks in the null GPU's log: "step" before each batch of a training, "end" after the last one of an epoch.

A mark holds the number of graphs that torch's compiler has made by then.

Windows of ten steps and validations in batches of four let short epochs have several, full ones and a partial one.
After NULL_GPU_STOP_AFTER batches the training is sent SIGTERM.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

load = SourceFileLoader.exec_module
note = getattr(ctypes.CDLL(None), "null_gpu_mark", None)


def mark(name: bytes) -> None:
    compiler = sys.modules.get("torch._dynamo.utils")
    note(name, ctypes.c_size_t(compiler.counters["stats"]["unique_graphs"] if compiler else 0))


def load_and_mark(loader: SourceFileLoader, module: ModuleType) -> None:
    load(loader, module)
    if note is not None and module.__name__ == "alexrepro.evaluation.inference":
        module.BATCH = 4
    if note is not None and module.__name__ == "alexrepro.training.train":
        module.READ_LOSS_EVERY = 10

        class Loader(module.Loader):
            def batches(self, *args: Any, **named: Any) -> Iterator[Any]:
                stop_after = int(os.environ.get("NULL_GPU_STOP_AFTER", "0"))
                for number, batch in enumerate(super().batches(*args, **named)):
                    mark(b"step")
                    if number + 1 == stop_after:
                        os.kill(os.getpid(), signal.SIGTERM)
                    yield batch
                mark(b"end")

        module.Loader = Loader


SourceFileLoader.exec_module = load_and_mark
