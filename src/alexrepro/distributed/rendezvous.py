"""The store in which ranks meet: opened by rank 0 or by a launcher, and reached by the others within a stated time."""

import socket
import time
from datetime import timedelta
from threading import Thread
from typing import Any, TypeAlias

import torch.distributed as dist

from alexrepro.distributed.rank import Rank
from alexrepro.errors import Exit, UserError
from alexrepro.progress import say

Store: TypeAlias = Any  # torch's, which has no type to be checked

JOIN = timedelta(minutes=5)  # until every rank has started
LAUNCHER = timedelta(seconds=5)  # until a launcher answers, which is there before its ranks unless it has died
ANSWER = timedelta(seconds=20)  # until a store answers that has accepted a connection
AGAIN_SECONDS = 0.2  # between two attempts to connect
OTHER_PORT = "Set MASTER_PORT to a port that is free on the host of rank 0, the same for every rank."


def open_store(rank: Rank) -> Store:
    """The store of all ranks. Raises UserError if its port is taken, or if nothing answers there."""
    if rank.hosts_store:
        store = _hosted(rank)
        minutes = JOIN.total_seconds() / 60
        say(f"Waiting for all {rank.world_size} ranks at {rank.host}:{rank.port}, for up to {minutes:g} minutes.")
        store.set("job", _job(rank))
    else:
        store = _reached(rank, patience=JOIN if rank.store_is_with_first else LAUNCHER)
    if rank.store_is_with_first:
        _refuse_other_job(store, rank)
    store.set_timeout(JOIN)
    return store


def not_met(rank: Rank, why: str, *, fix: str = "") -> UserError:
    """The refusal of a rank that did not meet the others."""
    return UserError(
        f"Rank {rank.rank} did not meet all {rank.world_size} at {rank.host}:{rank.port} ({why}).",
        fix=fix or "See whether every rank was started, and whether they can reach that host and port.",
        exit_code=Exit.WORKER_FAILED,
    )


def first_line(error: BaseException) -> str:
    """What an error says, without torch's stack of C++."""
    return str(error).partition("\n")[0].rstrip(".")


def _hosted(rank: Rank) -> Store:
    try:
        return dist.TCPStore(rank.host, rank.port, is_master=True, timeout=JOIN)  # type: ignore[attr-defined]
    except dist.DistError as error:
        if "failed to listen" not in str(error):
            raise not_met(rank, first_line(error)) from None
        taken = "EADDRINUSE" in str(error)
        raise UserError(
            f"Port {rank.port}, at which the ranks are to meet, "
            f"{'is taken on this host' if taken else f'cannot be opened ({first_line(error)})'}.",
            fix=OTHER_PORT,
            exit_code=Exit.WORKER_FAILED,
        ) from None


def _reached(rank: Rank, *, patience: timedelta) -> Store:
    """A client of the store; a thread opens it, since torch waits for ever for a port that accepts and is silent."""
    _wait_for_port(rank, patience)
    found: list[Store | dist.DistError] = []

    def reach() -> None:
        try:
            found.append(dist.TCPStore(rank.host, rank.port, is_master=False, timeout=ANSWER))  # type: ignore[attr-defined]
        except dist.DistError as error:
            found.append(error)

    thread = Thread(target=reach, name="meeting", daemon=True)
    thread.start()
    thread.join(ANSWER.total_seconds())
    if not found or isinstance(found[0], dist.DistError):
        raise _other_program(rank)
    return found[0]


def _wait_for_port(rank: Rank, patience: timedelta) -> None:
    until = time.monotonic() + patience.total_seconds()
    while True:
        try:
            socket.create_connection((rank.host, rank.port), timeout=ANSWER.total_seconds()).close()
        except OSError as error:
            if time.monotonic() > until:
                seconds = patience.total_seconds()
                raise not_met(rank, f"{error.strerror or error}; it tried for {seconds:g} seconds") from None
            time.sleep(AGAIN_SECONDS)
        else:
            return


def _job(rank: Rank) -> str:
    return f"{rank.job} of {rank.world_size}"


def _refuse_other_job(store: Store, rank: Rank) -> None:
    """Raise UserError if rank 0 of another job has the port."""
    store.set_timeout(ANSWER)
    try:
        job = store.get("job").decode()
    except dist.DistError:
        raise _other_program(rank) from None
    if job != _job(rank):
        raise _other_program(rank)


def _other_program(rank: Rank) -> UserError:
    return not_met(
        rank,
        f"another program has that port, or rank 0 did not answer within {ANSWER.total_seconds():g} seconds",
        fix=OTHER_PORT,
    )
