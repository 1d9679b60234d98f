"""Several ranks on this host, as a launcher would start them, but forked from a process that has loaded torch."""

import multiprocessing
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

from alexrepro.distributed.rank import Rank

T = TypeVar("T")
ROOT = str(Path(__file__).parents[1])  # where `tests` is found by the ranks
SERVER = forkserver.ForkServer()  # its own: the one of loaders has not loaded torch
SERVER.set_forkserver_preload(["pytest", "pandas", "alexrepro.cli.app", "alexrepro.training.train"])


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def run_ranks(work: Callable[..., T], size: int, *arguments: Any) -> list[T]:
    """What every rank returns from `work(rank, *arguments)`, in the order of the ranks."""
    context = multiprocessing.get_context("forkserver")
    port = free_port()
    sys.path.insert(0, ROOT)
    try:
        with (
            patch.object(forkserver, "connect_to_new_process", SERVER.connect_to_new_process),
            ProcessPoolExecutor(size, mp_context=context) as pool,
        ):
            ranks = [Rank(r, size, r, size, port=port, is_store_with_first=True) for r in range(size)]
            under_way = [pool.submit(_as_started, work, rank, *arguments) for rank in ranks]
            return [future.result() for future in under_way]
    finally:
        sys.path.remove(ROOT)


def _as_started(work: Callable[..., T], rank: Rank, *arguments: Any) -> T:
    """A rank on one thread."""
    import torch

    torch.set_num_threads(1)
    return work(rank, *arguments)
