"""How several processes start (`--gpus N` and `--cpu-ranks N`, by torch's elastic launcher) and meet (in a store).

The launcher starts the ranks, forwards signals, ends all when one fails, and passes on their exit code.
"""

import logging
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from datetime import timedelta
from threading import Thread
from typing import Any, Literal, TypeAlias
from uuid import uuid4

import torch.distributed as dist

from alexrepro.device import gpu_count
from alexrepro.distributed.rank import OURS, Rank
from alexrepro.errors import Exit, UserError
from alexrepro.model.alexnet import check_shardable
from alexrepro.paper.network import Network
from alexrepro.progress import say
from alexrepro.stop_signals import code_of, stopping_signals

Parallel = Literal["tower", "data"]
Store: TypeAlias = Any  # torch's, which has no type to be checked

SAVING_SECONDS = 60  # for a rank to save and end after a signal; then its launcher kills it
JOIN = timedelta(minutes=5)  # until every rank has started
LAUNCHER = timedelta(seconds=5)  # until a launcher answers, which is there before its ranks unless it has died
ANSWER = timedelta(seconds=20)  # until a store answers that has accepted a connection
RETRY_SECONDS = 0.2  # between two attempts to connect
OTHER_PORT = "Set MASTER_PORT to a port that is free on the host of rank 0, the same for every rank."


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
    code = Exit.USAGE
    if processes is not None and (gpus is not None or device != "cpu"):
        what = "--cpu-ranks is for CPUs; on GPUs there is one process per GPU."
        fix = "Use --device cpu --cpu-ranks N, or --gpus N."
    elif gpus is not None and device not in ("auto", "cuda"):
        what = f"--gpus {gpus} and --device {device} contradict each other."
        fix = f"Leave one of them out, or use --device cpu --cpu-ranks {gpus}."
    elif gpus is not None and (found := gpu_count()) < gpus:
        what = f"--gpus {gpus} asks for more than torch can use here: {found or 'no'} GPU{'s' if found > 1 else ''}."
        fix, code = f"Train on the CPU with: --device cpu --cpu-ranks {gpus}.", Exit.NO_DEVICE
    else:
        return processes or gpus or 1
    raise UserError(what, fix=fix, exit_code=code)


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
        return _code_of(rank, failure.pid, failure.exitcode)
    return int(Exit.OK)


def _code_of(rank: int, process: int, code: int) -> int:
    """The exit code of a rank that has reported why it ended; raises UserError for one that has not."""
    if code in set(Exit):
        return code
    end, how, fix = Exit.WORKER_FAILED, "failed, as reported above", "Repair what failed"
    if code < 0:
        by = signal.Signals(-code)
        how, fix = f"was ended by {by.name}", "See whether memory ran out or someone ended it"
        if by in stopping_signals():  # before its first step, or a second time
            end, fix = code_of(by), "Earlier checkpoints are kept"
    raise UserError(
        f"Rank {rank} (process {process}) {how}; the other ranks were ended.",
        fix=f"{fix}; run the same command again, and it continues from the last checkpoint.",
        exit_code=end,
    )


def open_store(rank: Rank) -> Store:
    """The store of all ranks, opened by rank 0 or a launcher. Raises UserError if its port is taken or silent."""
    job = f"{rank.job} of {rank.world_size}"
    if rank.rank == 0 and rank.is_store_with_first:
        store = _hosted(rank)
        say(f"Waiting at {rank.host}:{rank.port} for all {rank.world_size} ranks, up to {JOIN.seconds // 60} minutes.")
        store.set("job", job)
        return store
    store = _reached(rank, patience=JOIN if rank.is_store_with_first else LAUNCHER)
    if rank.is_store_with_first:  # with rank 0, perhaps of another job, which has the port
        found = ""
        with suppress(dist.DistError):
            found = store.get("job").decode()
        if found != job:
            raise _other_program(rank)
    store.set_timeout(JOIN)
    return store


def not_met(rank: Rank, why: str, *, fix: str = "") -> UserError:
    """The error of a rank that did not meet the others."""
    return UserError(
        f"Rank {rank.rank} did not meet all {rank.world_size} at {rank.host}:{rank.port} ({why}).",
        fix=fix or "See whether every rank was started, and whether they can reach that host and port.",
        exit_code=Exit.WORKER_FAILED,
    )


def first_line(error: BaseException) -> str:
    """The message of an error, without torch's C++ stack."""
    return str(error).partition("\n")[0].rstrip(".")


def _hosted(rank: Rank) -> Store:
    try:
        return dist.TCPStore(rank.host, rank.port, is_master=True, timeout=JOIN)  # type: ignore[attr-defined]
    except dist.DistError as error:
        if "EADDRINUSE" not in str(error):
            raise not_met(rank, first_line(error)) from None
        what = f"Port {rank.port}, at which the ranks are to meet, is taken on this host."
        raise UserError(what, fix=OTHER_PORT, exit_code=Exit.WORKER_FAILED) from None


def _reached(rank: Rank, *, patience: timedelta) -> Store:
    """A client of the store; opened in a thread, since torch waits forever for a port that accepts but is silent."""
    until = time.monotonic() + patience.total_seconds()
    while True:
        try:
            socket.create_connection((rank.host, rank.port), timeout=ANSWER.total_seconds()).close()
            break
        except OSError as error:
            if time.monotonic() > until:
                why = f"{error.strerror or error}; it tried for {patience.total_seconds():g} seconds"
                raise not_met(rank, why) from None
            time.sleep(RETRY_SECONDS)
    found: list[Store] = []

    def reach() -> None:
        with suppress(dist.DistError):
            found.append(dist.TCPStore(rank.host, rank.port, is_master=False, timeout=ANSWER))  # type: ignore[attr-defined]

    thread = Thread(target=reach, daemon=True)
    thread.start()
    thread.join(ANSWER.total_seconds())
    if not found:
        raise _other_program(rank)
    return found[0]


def _other_program(rank: Rank) -> UserError:
    why = f"another program has that port, or rank 0 did not answer within {ANSWER.total_seconds():g} seconds"
    return not_met(rank, why, fix=OTHER_PORT)
