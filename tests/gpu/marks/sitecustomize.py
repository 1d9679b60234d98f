"""Marks in the null GPU's log: "step" before each batch of a training, "end" after the last one of an epoch.

Windows of ten steps and validations in batches of four let short epochs have several, full ones and a partial one.
"""

import ctypes
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

load = SourceFileLoader.exec_module
mark = getattr(ctypes.CDLL(None), "null_gpu_mark", None)


def load_and_mark(loader: SourceFileLoader, module: ModuleType) -> None:
    load(loader, module)
    if mark is not None and module.__name__ == "alexrepro.evaluation.inference":
        module.BATCH = 4
    if mark is not None and module.__name__ == "alexrepro.training.train":
        module.READ_LOSS_EVERY = 10

        class Loader(module.Loader):
            def batches(self, *args: Any, **named: Any) -> Iterator[Any]:
                for batch in super().batches(*args, **named):
                    mark(b"step")
                    yield batch
                mark(b"end")

        module.Loader = Loader


SourceFileLoader.exec_module = load_and_mark
