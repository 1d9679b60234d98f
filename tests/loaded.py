"""Processes forked from one that has loaded torch, pandas and the program, which takes seconds and is done once."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest.mock import patch

ROOT = str(Path(__file__).parents[1])  # where `tests` is found by the processes
SERVER = forkserver.ForkServer()  # its own: the one of loaders has not loaded torch
SERVER.set_forkserver_preload(["pytest", "pandas", "alexrepro.cli.app", "alexrepro.training.train"])


@contextmanager
def forking() -> Iterator[ForkServerContext]:
    """A context whose processes are forked from the server."""
    sys.path.insert(0, ROOT)
    try:
        with patch.object(forkserver, "connect_to_new_process", SERVER.connect_to_new_process):
            yield multiprocessing.get_context("forkserver")
    finally:
        sys.path.remove(ROOT)


def start(work: Callable[..., object], *arguments: object, said: Path) -> BaseProcess:
    """A process that does `work(*arguments)` in a session of its own; a file gets what it and its children say."""
    with forking() as context:
        process = context.Process(target=_work, args=(work, said, *arguments))
        process.start()
    return process


def _work(work: Callable[..., object], said: Path, *arguments: object) -> None:
    import torch

    os.setsid()
    forkserver._forkserver.__init__()  # type: ignore[misc]  # loaders start one of their own
    torch.set_num_threads(1)
    with said.open("w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    work(*arguments)
