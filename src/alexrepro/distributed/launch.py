"""How several processes start (`--gpus N` and `--cpu-ranks N`, by torch's elastic launcher) and meet (in a store).

The launcher starts the ranks, forwards signals, ends all when one fails, and passes on their exit code.
"""

import logging
import os
import signal
import socket
import sys
import time
from datetime import timedelta
from threading import Thread
from typing import Any, Literal, TypeAlias
from uuid import uuid4

import torch.distributed as dist

from alexrepro.device import gpu_count
from alexrepro.distributed.rank import OURS, Rank
from alexrepro.errors import Exit, UserError, first_line
from alexrepro.model.alexnet import check_shardable
from alexrepro.paper.network import Network
from alexrepro.progress import say
from alexrepro.stop_signals import code_of, stopping_signals

Parallel = Literal["tower", "data"]
Store: TypeAlias = Any  # torch's, which has no type to be checked

SAVING_SECONDS = 60  # for a rank to save and end after a signal; then its launcher kills it
JOIN = timedelta(minutes=5)  # until every rank has started
ANSWER = timedelta(seconds=20)  # until a store answers that has accepted a connection
RETRY_SECONDS = 0.2  # between two attempts to connect


def grid(processes: int, network: Network, parallel: Parallel | None) -> tuple[int, int]:
    """Replicas, and processes per replica; by default, two processes split a network of two towers.

    Raises UserError if the towers cannot be split evenly.
    """
    if parallel is None:
        parallel = "tower" if processes == network.towers == 2 else "data"
    if parallel == "data" or processes == 1:
        return processes, 1
    sharing = max(2, network.towers)
    check_shardable(network, sharing)
    if processes % sharing:
        raise UserError(
            f"{processes} processes cannot share networks of {sharing} towers.",
            fix=f"Start a multiple of {sharing}, or give every process a full network with --parallel data.",
            exit_code=Exit.USAGE,
        )
    return processes // sharing, sharing


def launch_if_requested(
    rank: Rank, network: Network, *, gpus: int | None, processes: int | None, device: str, parallel: Parallel | None
) -> None:
    """End as the launcher of several processes, with their exit code, if the options ask for them.

    Raises UserError if they contradict each other, or if the processes cannot share the network.
    """
    count = _requested_processes(gpus, processes, device) if rank.world_size == 1 else 1
    if count > 1:
        grid(count, network, parallel)
        sys.exit(launch(count))


def _requested_processes(gpus: int | None, processes: int | None, device: str) -> int:
    if (processes and (gpus or device != "cpu")) or (gpus and device not in ("auto", "cuda")):
        what = "--gpus starts a process for each GPU, and --cpu-ranks starts processes on the CPU."
        raise UserError(what, fix="Use --gpus N, or --device cpu --cpu-ranks N.", exit_code=Exit.USAGE)
    if gpus and (found := gpu_count()) < gpus:
        what = f"--gpus {gpus} asks for more than torch can use here, which is {found}."
        fix = f"Train on the CPU with: --device cpu --cpu-ranks {gpus}."
        raise UserError(what, fix=fix, exit_code=Exit.NO_DEVICE)
    return processes or gpus or 1


def launch(processes: int) -> int:
    """Run this program's command line in several processes on this host; returns the exit code.

    Raises UserError naming the rank that failed first, unless it has reported its error itself.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable(logging.CRITICAL)  # torch's reports are long; the errors below take one line
    os.environ.setdefault("OMP_NUM_THREADS", str(Rank(local_world_size=processes).processors))
    settings = {
        "min_nodes": 1, "max_nodes": 1, "nproc_per_node": processes, "max_restarts": 0,
        "run_id": OURS + uuid4().hex, "rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "local_addr": "localhost",
        "signals_to_handle": ",".join(number.name for number in stopping_signals()), "shutdown_timeout": SAVING_SECONDS,
    }  # fmt: skip
    known = LaunchConfig.__dataclass_fields__  # torch 2.11 has no shutdown_timeout
    config = LaunchConfig(**{name: value for name, value in settings.items() if name in known})  # type: ignore[arg-type]
    try:
        elastic_launch(config, sys.executable)("-u", "-m", "alexrepro", *sys.argv[1:])
    except SignalException as arrived:
        return int(code_of(arrived.sigval))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode in set(Exit):
            return failure.exitcode
        by = signal.Signals(-failure.exitcode) if failure.exitcode < 0 else None
        why = f"was ended by {by.name}" if by else "failed"
        raise UserError(
            f"Rank {rank} (process {failure.pid}) {why}; the other ranks were ended.",
            fix="Find out why, then run the same command again: it continues from the last checkpoint.",
            exit_code=code_of(by) if by in stopping_signals() else Exit.WORKER_FAILED,  # a signal before the first step
        ) from None
    return int(Exit.OK)


def open_store(rank: Rank) -> Store:
    """The store of all ranks, held by rank 0 or a launcher. Raises UserError if its port is taken or silent."""
    is_holder = rank.is_store_with_first and rank.rank == 0
    if is_holder:
        say(f"Waiting at {rank.host}:{rank.port} for all {rank.world_size} ranks, up to {JOIN.seconds // 60} minutes.")
    else:
        _wait_for_port(rank)
    job, found = f"{rank.job} of {rank.world_size}", list[Store]()
    why = f"another program or job has that port, or does not answer within {ANSWER.seconds} seconds"

    def reach() -> None:
        nonlocal why
        try:
            store = dist.TCPStore(rank.host, rank.port, is_master=is_holder, timeout=ANSWER)  # type: ignore[attr-defined]
            if is_holder:
                store.set("job", job)
            if not rank.is_store_with_first or store.get("job").decode() == job:
                found.append(store)
        except dist.DistError as error:
            why = first_line(error)

    thread = Thread(target=reach, daemon=True)  # torch waits forever for a port that accepts but is silent
    thread.start()
    thread.join(ANSWER.total_seconds())
    if not found:
        raise not_met(rank, why)
    found[0].set_timeout(JOIN)
    return found[0]


def _wait_for_port(rank: Rank) -> None:
    until = time.monotonic() + JOIN.total_seconds()
    while True:
        try:
            return socket.create_connection((rank.host, rank.port), timeout=ANSWER.total_seconds()).close()
        except OSError as error:
            if time.monotonic() > until:
                raise not_met(rank, f"{error}; it tried for {JOIN.total_seconds():g} seconds") from None
            time.sleep(RETRY_SECONDS)


def not_met(rank: Rank, why: str) -> UserError:
    """The error of a rank that did not meet the others."""
    return UserError(
        f"Rank {rank.rank} did not meet all {rank.world_size} at {rank.host}:{rank.port} ({why}).",
        fix="See whether every rank was started and can reach that host. If another program has the port, set "
        "MASTER_PORT to another one on every rank.",
        exit_code=Exit.WORKER_FAILED,
    )
