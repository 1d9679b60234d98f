"""The watch beside a rank: a thread that sees when another rank is silent, or when the launcher is gone.

Every rank counts aloud, once a second, in the store where all met. What a rank computes or waits for is not looked at:
a process that does not count is dead or frozen.
"""

import os
import signal
import socket
import sys
from contextlib import suppress
from datetime import timedelta
from threading import Event, Thread

import torch.distributed as dist

from alexrepro.distributed.rank import Rank
from alexrepro.errors import Exit

EVERY_SECONDS = 1.0
SAVING_SECONDS = 120  # for a rank to save and end after a signal
SILENT_ROUNDS = 15  # counted in rounds of one's own, so that what stops all processes at once blames none


class Watch:
    """Watches over the other ranks and the launcher while its context lasts."""

    def __init__(self, rank: Rank) -> None:
        self._rank = rank
        self._parent = os.getppid()
        self._over = Event()
        patience = timedelta(seconds=SILENT_ROUNDS * EVERY_SECONDS)
        client = dist.TCPStore(rank.host, rank.port, is_master=False, timeout=patience)  # type: ignore[attr-defined]
        self._store = dist.PrefixStore("watch", client)  # type: ignore[attr-defined]
        self._thread = Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> None:
        self._count(0)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(SILENT_ROUNDS * EVERY_SECONDS)  # a program that ends while it talks to the store is aborted

    def _count(self, number: int) -> None:
        self._store.set(str(self._rank.rank), f"{number} {os.getpid()} {socket.gethostname()}")

    def _run(self) -> None:
        others = [str(rank) for rank in range(self._rank.world_size) if rank != self._rank.rank]
        silent, last = dict.fromkeys(others, 0), dict.fromkeys(others, "")
        number = 0
        while not self._over.wait(EVERY_SECONDS):
            if os.getppid() != self._parent:
                self._end_alone()
                return
            number += 1
            try:
                self._count(number)
                heard = dict(zip(others, (word.decode() for word in self._store.multi_get(others)), strict=True))
            except RuntimeError:  # the store is with the launcher, which may be stopped, or else with the first rank
                silent = {rank: silent[rank] + SILENT_ROUNDS * self._has_store(rank) for rank in others}
            else:
                silent = {rank: silent[rank] + 1 if heard[rank] == last[rank] else 0 for rank in others}
                last = heard
            lost = [rank for rank in others if silent[rank] >= SILENT_ROUNDS]
            if lost and not self._over.is_set():
                self._end(lost[0], last[lost[0]], speaks=all(int(r) > self._rank.rank for r in others if r not in lost))

    def _end_alone(self) -> None:
        """Leave this process, which was told of it, time to save and end; its launcher would do the same."""
        if not self._over.wait(SAVING_SECONDS):
            os._exit(int(Exit.WORKER_FAILED))

    def _has_store(self, rank: str) -> bool:
        return rank == "0" and self._rank.store_is_with_first

    def _end(self, rank: str, last: str, *, speaks: bool) -> None:
        """End this process, and the silent one if it is on this host: a stopped process would outlive its launcher."""
        _, process, host = last.split(maxsplit=2) if last else ("", "0", "")
        if speaks:
            with suppress(OSError):  # of a terminal that is closed
                print(
                    f"alexrepro: Rank {rank} (process {process} on {host}) is no longer heard: it is stopped, dead or "
                    "cut off.\n"
                    "See what holds it up, then run the same command again: it continues from the last checkpoint.",
                    file=sys.__stderr__, flush=True,
                )  # fmt: skip
        if host == socket.gethostname() and int(process) > 0:
            with suppress(OSError):
                os.kill(int(process), signal.SIGKILL)
        os._exit(int(Exit.WORKER_FAILED))
