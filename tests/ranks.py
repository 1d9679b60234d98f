"""Several ranks on this host, as a launcher would start them, but forked from a process that has loaded torch."""

import multiprocessing
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from alexrepro.distributed.rank import Rank
from alexrepro.errors import STOPPING

T = TypeVar("T")
ROOT = str(Path(__file__).parents[1])  # where `tests` is found by the ranks


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def run_ranks(work: Callable[..., T], size: int, *arguments: Any) -> list[T]:
    """What every rank returns from `work(rank, *arguments)`, in the order of the ranks."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["alexrepro.training.train"])
    port = free_port()
    sys.path.insert(0, ROOT)
    try:
        with ProcessPoolExecutor(size, mp_context=context) as pool:
            ranks = [Rank(r, size, r, size, port=port, is_store_with_first=True) for r in range(size)]
            under_way = [pool.submit(_as_started, work, rank, *arguments) for rank in ranks]
            return [future.result() for future in under_way]
    finally:
        sys.path.remove(ROOT)


def _as_started(work: Callable[..., T], rank: Rank, *arguments: Any) -> T:
    """A rank on one thread that hears signals, also where the fork server was started by a loader and hears none."""
    import torch

    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    torch.set_num_threads(1)
    return work(rank, *arguments)
