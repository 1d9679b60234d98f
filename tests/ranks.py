"""Several ranks on this host, as a launcher would start them, but forked from a process that has loaded torch."""

import socket
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from alexrepro.distributed.rank import Rank

from .loaded import forking

T = TypeVar("T")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def run_ranks(work: Callable[..., T], size: int, *arguments: Any) -> list[T]:
    """What every rank returns from `work(rank, *arguments)`, in the order of the ranks."""
    port = free_port()
    with forking() as context, ProcessPoolExecutor(size, mp_context=context) as pool:
        ranks = [Rank(r, size, r, size, port=port, is_store_with_first=True) for r in range(size)]
        under_way = [pool.submit(_as_started, work, rank, *arguments) for rank in ranks]
        return [future.result() for future in under_way]


def _as_started(work: Callable[..., T], rank: Rank, *arguments: Any) -> T:
    """A rank on one thread."""
    import torch

    torch.set_num_threads(1)
    return work(rank, *arguments)
