"""Threads or processes that fill whole batches in a ring of shared memory.

A worker is sent the rows and offsets of a batch and fills one slot of the ring. Batch n is the work of worker n modulo
their number, so batches are received in order and nothing is shared but the ring.
"""

import mmap
import multiprocessing
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, Pipe
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from multiprocessing.util import Finalize
from threading import Thread
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexrepro.data.store.store import Store
from alexrepro.errors import STOPPING, Exit, UserError
from alexrepro.stop_signals import stop_signals_deferred

Kind = Literal["threads", "processes"]

STUCK_SECONDS = 60.0  # on one image; the slowest disks answer within a few
CLOSING_SECONDS = 5.0  # for all of them together; one that hangs in a read of a dead disk cannot be ended
PAGE = mmap.PAGESIZE


class Workers(NamedTuple):
    """The number of workers that fill batches, and their kind."""

    number: int
    kind: Kind


class Task(NamedTuple):
    """A slot to fill: the rows and offsets of its crops, and the rows whose checksums are compared."""

    slot: int
    rows: NDArray[np.int64]  # (B,)
    offsets: NDArray[np.int64]  # (B, 2)
    unchecked: NDArray[np.bool_]  # (B,)


class Ring:
    """Slots for batches, uint8 (N, B, S, S, 3), and the row that each worker is reading, int64 (W,).

    It is an anonymous file, which worker processes map as well: the size of /dev/shm plays no part.
    """

    def __init__(self, slots: int, batch: int, side_px: int, workers: Workers) -> None:
        self._shape = (slots, batch, side_px, side_px, 3)
        self._workers = workers.number
        self._head = -(-8 * workers.number // PAGE) * PAGE
        self._bytes = self._head + int(np.prod(self._shape))
        self._file = os.memfd_create("alexrepro-loader") if workers.kind == "processes" else -1
        try:
            if self._file >= 0:
                os.ftruncate(self._file, self._bytes)
            self._map()
        except OSError as error:
            self.close()
            raise UserError(
                f"The data loader needs {self._bytes / 1e6:,.0f} MB of memory for {slots} batches of {batch} images "
                f"and cannot have it ({error.strerror}).",
                fix="Free memory, allow the process more of it, or train with smaller batches.",
                exit_code=Exit.OUT_OF_MEMORY,
            ) from None

    def _map(self) -> None:
        mapped = mmap.mmap(self._file, self._bytes)
        self.reading = np.frombuffer(mapped, dtype=np.int64, count=self._workers)
        self.slots = np.frombuffer(mapped, dtype=np.uint8, offset=self._head).reshape(self._shape)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_file": DupFd(self._file), "reading": None, "slots": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._file = state["_file"].detach()
        self._map()

    def close(self) -> None:
        """Close the file; the memory itself goes when nothing refers to it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@dataclass(frozen=True)
class _Worker:
    """A thread or process, and this end of the pipe to it."""

    runner: Thread | BaseProcess
    pipe: Connection


class WorkerPool:
    """Workers that fill the slots of a ring from a store, until they are closed or this process ends."""

    def __init__(self, store: Store, ring: Ring, workers: Workers) -> None:
        self._store, self._ring = store, ring
        ring.reading[:] = -1
        self._workers = [self._start(number, workers.kind) for number in range(workers.number)]
        # Called at the latest when the program ends, before it waits for its processes.
        self.close = Finalize(self, _close, (self._workers, ring), exitpriority=1)

    def _start(self, worker: int, kind: Kind) -> _Worker:
        ours, theirs = Pipe()
        work = (theirs, self._store, self._ring, worker)
        if kind == "threads":
            thread = Thread(target=_serve, args=work, name=f"loader-{worker}", daemon=True)
            thread.start()
            return _Worker(thread, ours)
        # Started from a clean process that has loaded these modules once: no thread and no device of ours is copied.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["__main__", __name__])
        with stop_signals_deferred():
            forkserver.ensure_running()
        process = context.Process(target=_serve_alone, args=work, name=f"loader-{worker}", daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def send(self, number: int, task: Task) -> None:
        """Have batch `number` filled."""
        worker = number % len(self._workers)
        try:
            self._workers[worker].pipe.send(task)
        except OSError:
            raise self._lost(worker) from None

    def receive(self, number: int) -> None:
        """Wait until batch `number` is filled; batches are received in the order in which they were sent.

        Raises UserError naming the image if it is damaged, or if the worker has died or is stuck.
        """
        worker = number % len(self._workers)
        pipe, reading = self._workers[worker].pipe, self._ring.reading
        seen = int(reading[worker])
        try:
            while not pipe.poll(STUCK_SECONDS):
                if seen == reading[worker]:
                    raise self._failed(worker, f"has done nothing for {STUCK_SECONDS:g} seconds", row=seen)
                seen = int(reading[worker])
            answer = pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._lost(worker) from None
        if isinstance(answer, tuple):
            row, error = answer
            raise self._failed(worker, f"failed ({error})", row=row)
        if answer:
            raise answer

    def _lost(self, worker: int) -> UserError:
        runner = self._workers[worker].runner
        runner.join(timeout=1)
        code = getattr(runner, "exitcode", None) or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else "ended"
        return self._failed(worker, how, row=int(self._ring.reading[worker]))

    def _failed(self, worker: int, how: str, *, row: int) -> UserError:
        where = f"while it read {self._store.location(row)}" if row >= 0 else "before its first image"
        return UserError(
            f"Worker {worker} of the data loader of {self._store.path} {how} {where}.",
            fix="Check whether memory ran out or the disk fails, then run the same command again.",
            exit_code=Exit.WORKER_FAILED,
        )


def _close(workers: list[_Worker], ring: Ring) -> None:
    for worker in workers:
        worker.pipe.close()
        if isinstance(worker.runner, BaseProcess):
            worker.runner.kill()  # it holds nothing that could be lost
    until = time.monotonic() + CLOSING_SECONDS
    for worker in workers:
        worker.runner.join(timeout=max(0.0, until - time.monotonic()))
    ring.close()


def _serve_alone(pipe: Connection, store: Store, ring: Ring, worker: int) -> None:
    """What a process does until the other end of the pipe is gone, however its parent ended."""
    for number in STOPPING:  # sent to a whole group of processes; the parent decides
        signal.signal(number, signal.SIG_IGN)
    _serve(pipe, store, ring, worker)


def _serve(pipe: Connection, store: Store, ring: Ring, worker: int) -> None:
    """Fill slots; answer None, a UserError, or the row and the name of any other error."""
    with pipe, suppress(EOFError, ConnectionResetError, BrokenPipeError):
        while True:
            task: Task = pipe.recv()
            answer: object = None
            try:
                _fill(task, store, ring, worker)
            except UserError as error:
                answer = error
            except Exception as error:
                answer = int(ring.reading[worker]), f"{type(error).__name__}: {error}"
            pipe.send(answer)


def _fill(task: Task, store: Store, ring: Ring, worker: int) -> None:
    side_px = ring.slots.shape[2]
    scratch = np.empty((store.side_px, store.side_px, 3), dtype=np.uint8)
    each = zip(task.rows.tolist(), task.offsets.tolist(), task.unchecked.tolist(), strict=True)
    for crop, (row, (y, x), unchecked) in zip(ring.slots[task.slot], each, strict=False):
        ring.reading[worker] = row
        crop[:] = store.image(row, scratch, check=unchecked)[y : y + side_px, x : x + side_px]
