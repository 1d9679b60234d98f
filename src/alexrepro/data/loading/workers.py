"""Workers of the feed: threads, or processes, that fill whole batches in memory set aside once.

A worker is sent which images to cut where, and fills one slot of the memory. Batch n is the work of worker n modulo
their number, so batches are asked for in their order and nothing is shared but the slots.
"""

import mmap
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
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

from alexrepro.data.store.processes import stop_signals_deferred
from alexrepro.data.store.store import Store
from alexrepro.errors import STOPPING, Exit, UserError

Kind = Literal["threads", "processes"]

STUCK_SECONDS = 60.0  # on one image; the slowest disks answer within a few
CLOSING_SECONDS = 5.0  # for all of them together; one that hangs in a read of a dead disk cannot be ended
PAGE = mmap.PAGESIZE


class Task(NamedTuple):
    """Which slot to fill with crops of which images."""

    slot: int
    images: NDArray[np.int64]  # (B,) rows of the store
    offsets_px: NDArray[np.int64]  # (B, 2)
    unchecked: NDArray[np.bool_]  # (B,) whose checksum is to be compared


class Memory:
    """Slots for batches, uint8 (slots, B, S, S, 3), and the row that each worker is at, int64 (W,).

    Shared memory is a file without a name that no folder holds: /dev/shm and its size play no part in it.
    """

    def __init__(self, *, slots: int, batch: int, side_px: int, workers: int, shared: bool) -> None:
        self._shape = (slots, batch, side_px, side_px, 3)
        self._workers = workers
        self._file = os.memfd_create("alexrepro-feed") if shared else -1
        try:
            if shared:
                os.ftruncate(self._file, self._bytes)
            self._map()
        except OSError as error:
            self.close()
            raise UserError(
                f"The feed needs {self._bytes / 1e6:,.0f} MB of memory for {slots} batches of {batch} images and "
                f"cannot have them ({error.strerror}).",
                fix="Free memory, allow the process more of it, or train with smaller batches.",
                exit_code=Exit.OUT_OF_MEMORY,
            ) from None

    @property
    def _bytes(self) -> int:
        return self._head + int(np.prod(self._shape))

    @property
    def _head(self) -> int:
        return -(-8 * self._workers // PAGE) * PAGE

    def _map(self) -> None:
        mapped = mmap.mmap(self._file, self._bytes)
        self.at = np.frombuffer(mapped, dtype=np.int64, count=self._workers)
        self.slots = np.frombuffer(mapped, dtype=np.uint8, offset=self._head).reshape(self._shape)

    def __getstate__(self) -> dict[str, Any]:
        return {"_shape": self._shape, "_workers": self._workers, "_file": DupFd(self._file)}

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
    """A thread or process and our end of the pipe to it."""

    runner: Thread | BaseProcess
    pipe: Connection


class Workers:
    """Threads or processes that fill the slots of a memory from a store, until they are closed or this process ends."""

    def __init__(self, store: Store, memory: Memory, *, number: int, kind: Kind) -> None:
        self._store, self._memory = store, memory
        memory.at[:] = -1
        self._workers = [self._start(worker, kind) for worker in range(number)]
        # Called at the latest when the program ends, before it waits for its processes.
        self.close = Finalize(self, _close, (self._workers, memory), exitpriority=1)

    def __len__(self) -> int:
        """Threads or processes."""
        return len(self._workers)

    def _start(self, worker: int, kind: Kind) -> _Worker:
        ours, theirs = Pipe()
        work = (theirs, self._store, self._memory, worker)
        if kind == "threads":
            thread = Thread(target=_serve, args=work, name=f"feed-{worker}", daemon=True)
            thread.start()
            return _Worker(thread, ours)
        # Started from a clean process that has loaded these modules once: no thread and no device of ours is copied.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["__main__", __name__])
        with stop_signals_deferred():
            forkserver.ensure_running()
        process = context.Process(target=_serve_alone, args=work, name=f"feed-{worker}", daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def send(self, number: int, task: Task) -> None:
        """Have batch `number` filled."""
        worker = number % len(self)
        try:
            self._workers[worker].pipe.send(task)
        except OSError:
            raise self._lost(worker) from None

    def receive(self, number: int) -> None:
        """Wait until batch `number` is filled; batches are received in the order in which they were sent.

        Raises UserError naming the image if it is damaged, or if the worker has died or is stuck.
        """
        worker = number % len(self)
        pipe, at = self._workers[worker].pipe, self._memory.at
        seen = int(at[worker])
        try:
            while not pipe.poll(STUCK_SECONDS):
                if seen == at[worker]:
                    raise self._failed(worker, f"has done nothing for {STUCK_SECONDS:g} seconds", row=seen)
                seen = int(at[worker])
            refused = pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._lost(worker) from None
        if isinstance(refused, tuple):
            row, error = refused
            raise self._failed(worker, f"failed ({error})", row=row)
        if refused:
            raise refused

    def _lost(self, worker: int) -> UserError:
        runner = self._workers[worker].runner
        runner.join(timeout=1)
        code = getattr(runner, "exitcode", None) or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else "ended"
        return self._failed(worker, how, row=int(self._memory.at[worker]))

    def _failed(self, worker: int, how: str, *, row: int) -> UserError:
        where = f"while it read {self._store.place(row)}" if row >= 0 else "before its first image"
        return UserError(
            f"Worker {worker} of the feed of {self._store.path} {how} {where}.",
            fix="See whether memory ran out or the disk fails, then run the same command again.",
            exit_code=Exit.WORKER_FAILED,
        )


def _close(workers: list[_Worker], memory: Memory) -> None:
    for worker in workers:
        worker.pipe.close()
        if isinstance(worker.runner, BaseProcess):
            worker.runner.kill()  # it holds nothing that could be lost
    until = time.monotonic() + CLOSING_SECONDS
    for worker in workers:
        worker.runner.join(timeout=max(0.0, until - time.monotonic()))
    memory.close()


def _serve_alone(pipe: Connection, store: Store, memory: Memory, worker: int) -> None:
    """The work of a process; it ends when the other end of the pipe is gone, however its parent ended."""
    for number in STOPPING:  # sent to a whole group of processes; the parent decides
        signal.signal(number, signal.SIG_IGN)
    _serve(pipe, store, memory, worker)


def _serve(pipe: Connection, store: Store, memory: Memory, worker: int) -> None:
    """Fill slots and answer None, a refusal, or the row and the name of any other error."""
    with pipe:
        for task in _tasks(pipe):
            answer: object = None
            try:
                _fill(task, store, memory, worker)
            except UserError as refusal:
                answer = refusal
            except Exception as error:
                answer = int(memory.at[worker]), f"{type(error).__name__}: {error}"
            with suppress(BrokenPipeError):
                pipe.send(answer)


def _tasks(pipe: Connection) -> Iterator[Task]:
    with suppress(EOFError, ConnectionResetError):
        while True:
            yield pipe.recv()


def _fill(task: Task, store: Store, memory: Memory, worker: int) -> None:
    at, side_px = memory.at, memory.slots.shape[2]
    scratch = np.empty((store.side_px, store.side_px, 3), dtype=np.uint8)
    each = zip(task.images.tolist(), task.offsets_px.tolist(), task.unchecked.tolist(), strict=True)
    for crop, (image, (y, x), unchecked) in zip(memory.slots[task.slot], each, strict=False):
        at[worker] = image
        crop[:] = store.image(image, scratch, check=unchecked)[y : y + side_px, x : x + side_px]
