"""Threads or processes that fill whole batches in a ring of shared memory.

A worker is sent the rows and offsets of a batch and fills one slot of the ring. Batch n is the work of worker n modulo
their number, so batches are received in order and nothing is shared but the ring.
"""

import os
from contextlib import suppress
from math import prod
from mmap import PAGESIZE, mmap
from multiprocessing.connection import Connection, Pipe
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import recv_handle, send_handle
from multiprocessing.util import Finalize
from threading import Thread
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alexrepro.data.store import processes
from alexrepro.data.store.store import Store
from alexrepro.errors import Exit, UserError

Kind = Literal["threads", "processes"]
Shape = tuple[int, int, int, int, int]

STUCK_SECONDS = 60.0  # on one image; the slowest disks answer within a few


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

    file: the anonymous file that processes share, so that the size of /dev/shm plays no part; -1 for threads.
    """

    def __init__(self, shape: Shape, workers: int, *, file: int = -1) -> None:
        head = -(-8 * workers // PAGESIZE) * PAGESIZE
        size = head + prod(shape)
        try:
            if file >= 0:
                os.truncate(file, size)
            memory = mmap(file, size)
        except OSError as error:
            raise UserError(
                f"The data loader needs {size / 1e6:,.0f} MB of memory for {shape[0]} batches of {shape[1]} images and "
                f"cannot have it ({error.strerror}).",
                fix="Free memory, allow the process more of it, or train with smaller batches.",
                exit_code=Exit.OUT_OF_MEMORY,
            ) from None
        self.reading = np.frombuffer(memory, dtype=np.int64, count=workers)
        self.slots = np.frombuffer(memory, dtype=np.uint8, offset=head).reshape(shape)


class WorkerPool:
    """Workers that fill the slots of a ring from a store, until they are closed or this process ends."""

    def __init__(self, store: Store, shape: Shape, workers: Workers) -> None:
        self._store = store
        self._pipes: list[Connection] = []
        self._runners: list[BaseProcess | Thread] = []
        if workers.kind == "processes":
            with os.fdopen(os.memfd_create("alexrepro-loader"), "r+b") as file:
                self.ring = Ring(shape, workers.number, file=file.fileno())
                for worker in range(workers.number):
                    process, pipe = processes.start(_serve, store, shape, workers.number, worker)
                    with suppress(OSError):  # of one that has ended, as below
                        send_handle(pipe, file.fileno(), process.pid)
                    self._runners.append(process)
                    self._pipes.append(pipe)
        else:
            self.ring = Ring(shape, workers.number)
            for worker in range(workers.number):
                ours, theirs = Pipe()
                work = (theirs, store, self.ring, worker)
                thread = Thread(target=_fill_slots, args=work, name=f"loader-{worker}", daemon=True)
                thread.start()
                self._runners.append(thread)
                self._pipes.append(ours)
        self.ring.reading[:] = -1
        # Called at the latest when the program ends, before it waits for its processes.
        self.close = Finalize(self, _close, (self._pipes, self._runners), exitpriority=1)

    def send(self, number: int, task: Task) -> None:
        """Have batch `number` filled."""
        with suppress(OSError):  # of a worker that has ended, which is reported where its batch is received
            self._pipes[number % len(self._pipes)].send(task)

    def receive(self, number: int) -> None:
        """Wait until batch `number` is filled; batches are received in the order in which they were sent.

        Raises UserError naming the image if it is damaged, or if the worker has died or is stuck.
        """
        worker = number % len(self._pipes)
        pipe, reading = self._pipes[worker], self.ring.reading
        seen = int(reading[worker])
        try:
            while not pipe.poll(STUCK_SECONDS):
                if seen == reading[worker]:
                    raise self._failed(worker, f"has done nothing for {STUCK_SECONDS:g} seconds")
                seen = int(reading[worker])
            error: UserError | str | None = pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._failed(worker, processes.ending(self._runners[worker])) from None
        if isinstance(error, str):
            raise self._failed(worker, f"failed ({error})")
        if error:
            raise error

    def _failed(self, worker: int, how: str) -> UserError:
        row = int(self.ring.reading[worker])
        where = f"while it read {self._store.location(row)}" if row >= 0 else "before its first image"
        return UserError(
            f"Worker {worker} of the data loader of {self._store.path} {how} {where}.",
            fix="Check whether memory ran out or the disk fails, then run the same command again.",
            exit_code=Exit.WORKER_FAILED,
        )


def _close(pipes: list[Connection], runners: list[BaseProcess | Thread]) -> None:
    for pipe in pipes:
        pipe.close()  # which ends a thread
    processes.end(runners)


def _serve(pipe: Connection, store: Store, shape: Shape, workers: int, worker: int) -> None:
    _fill_slots(pipe, store, Ring(shape, workers, file=recv_handle(pipe)), worker)


def _fill_slots(pipe: Connection, store: Store, ring: Ring, worker: int) -> None:
    """Fill slots until the pipe is closed; answer None, or a UserError or the text of another error, and end."""
    error: UserError | str | None = None
    with pipe, suppress(EOFError, ConnectionResetError, BrokenPipeError):
        while error is None:
            task: Task = pipe.recv()
            try:
                _fill(task, store, ring, worker)
            except UserError as known:
                error = known
            except Exception as other:
                error = f"{type(other).__name__}: {other}"
            pipe.send(error)


def _fill(task: Task, store: Store, ring: Ring, worker: int) -> None:
    side_px = ring.slots.shape[2]
    scratch = np.empty((store.side_px, store.side_px, 3), dtype=np.uint8)
    each = zip(task.rows.tolist(), task.offsets.tolist(), task.unchecked.tolist(), strict=True)
    for crop, (row, (y, x), unchecked) in zip(ring.slots[task.slot], each, strict=False):
        ring.reading[worker] = row
        crop[:] = store.image(row, scratch, check=unchecked)[y : y + side_px, x : x + side_px]
