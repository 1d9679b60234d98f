"""The data loader: batches of an epoch, read and cut ahead of time by workers, and copied to the training device.

A batch depends on its plan and number only, never on the workers: how many, or whether threads or processes. Batch n is
the work of worker n modulo their number, so batches are received in order and nothing is shared but a ring of memory.
"""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from itertools import islice
from multiprocessing.connection import Connection, Pipe
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import recv_handle, send_handle
from multiprocessing.util import Finalize
from threading import Thread
from typing import BinaryIO, Literal, NamedTuple
from weakref import finalize

import torch

from alexrepro.data.loading.kept import Copies, kept_by
from alexrepro.data.loading.ring import Ring, Task, fill, image_shape
from alexrepro.data.loading.sampling import Batch, Draws, EpochPlan, Parts, as_images, batch_count
from alexrepro.data.store import processes
from alexrepro.data.store.store import Store
from alexrepro.errors import Exit, UserError
from alexrepro.processors import usable_processors

MOST_WORKERS = 32  # fill over 50,000 stored JPEG a second
AHEAD = 3  # batches that wait, filled, besides those that the workers fill
IN_USE = 3  # batches that are read by the training loop or copied to its device
STUCK_SECONDS = 60.0  # on one image; the slowest disks answer within a few

Kind = Literal["threads", "processes"]


class Workers(NamedTuple):
    """The number of workers and their kind: by default processes for a GPU, whose launches threads would hold up."""

    number: int | None = None
    kind: Kind | None = None


def default_workers() -> int:
    """One for each usable processor but one, which is left to the training loop; at least one."""
    return min(max(usable_processors() - 1, 1), MOST_WORKERS)


def workers_and_slots(images: int, *, batch: int, workers: int | None = None) -> tuple[int, int]:
    """Workers of a loader of this many images, and the number of batches for which it has memory."""
    number = min(workers or default_workers(), batch_count(images, batch))
    return number, number + AHEAD + IN_USE


class Loader:
    """Workers and memory for the batches of one store, kept from epoch to epoch; a context that ends them.

    batch: images in one; side_px: of a crop; parts: of every batch; all by default. A batch can be kept for any time:
    memory that is in use, or from which a copy is under way, is not filled again.
    """

    def __init__(
        self,
        store: Store,
        *,
        batch: int,
        side_px: int,
        parts: Parts | None = None,
        copies: Copies | None = None,
        workers: Workers | None = None,
    ) -> None:
        self._store, self._batch, self._parts = store, batch, parts or Parts()
        asked, kind = workers or Workers()
        number, slots = workers_and_slots(len(store), batch=batch, workers=asked)
        image = image_shape(store, side_px, has_device=copies is not None)
        most, sides_px = self._parts.most(min(batch, len(store))), (store.side_px, side_px)
        keeping = copies if len(image) == 3 else None  # planes are small enough to be read in every epoch
        self._kept = kept_by(keeping, images=len(store), most=most, sides_px=sides_px, parts=self._parts)
        if self._kept:  # then crops are cut on the device
            image = store.side_px, store.side_px, 3
        shape = slots, most, *image
        self._free = deque(range(slots))
        self._sent: deque[tuple[int, int, Draws]] = deque()  # slots that are being filled, numbers and draws of batches
        self._pipes: list[Connection] = []
        self._runners: list[BaseProcess | Thread] = []
        has_file = kind == "processes" or (kind is None and copies is not None and hasattr(os, "memfd_create"))
        with os.fdopen(os.memfd_create("alexrepro-loader"), "r+b") if has_file else nullcontext() as file:
            self._ring = Ring(shape, number, file)
            for worker in range(number):
                self._start(worker, file)
        self._ring.reading[:] = -1
        self._copies = copies
        if copies:
            copies.begin(self._ring.slots, IN_USE - 1, self._kept)
        # Called at the latest when the program ends, before it waits for its processes.
        self._end = Finalize(self, processes.end, (self._runners, self._pipes), exitpriority=1)

    def _start(self, worker: int, file: BinaryIO | None) -> None:
        if file is None:
            pipe, theirs = Pipe()
            work = theirs, self._store, self._ring, worker
            thread = Thread(target=_fill_slots, args=work, name=f"loader-{worker}", daemon=True)
            thread.start()
            self._runners.append(thread)
        else:
            shape = self._ring.slots.shape
            process, pipe = processes.start(_serve, self._store, shape, len(self._ring.reading), worker)
            with suppress(OSError):  # of one that has ended, which is reported where its batch is received
                send_handle(pipe, file.fileno(), process.pid)
            self._runners.append(process)
        self._pipes.append(pipe)

    def __enter__(self) -> "Loader":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        if self._copies:
            self._copies.close()

    def batches(self, plan: EpochPlan, *, first: int = 0) -> Iterator[Batch]:
        """The batches of a plan in order, beginning with number `first`, on the device of its copies.

        Raises UserError naming the image if one is damaged, or if its worker has failed, has died or is stuck.
        """
        filled = self._filled(plan, first)
        return map(self._parts.whole, self._copies.copied(filled) if self._copies else filled)

    def _filled(self, plan: EpochPlan, first: int) -> Iterator[Batch]:
        while self._sent:  # left from a plan that was not read to its end
            self._free.append(self._receive()[0])
        planned = plan.batches(self._batch, first=first, shard=self._parts.shown)
        self._send(planned)
        while self._sent:
            ready = self._batch_in(*self._receive())
            self._send(planned)
            yield ready
            del ready  # so that its memory is free as soon as its reader has dropped it

    def _send(self, planned: Iterator[tuple[int, Draws]]) -> None:
        """Keep every worker busy and some batches ahead, as far as memory is free."""
        idle = len(self._pipes) + AHEAD - len(self._sent)
        for number, draws in islice(planned, min(idle, len(self._free))):
            slot, own = self._free.popleft(), self._to_read(draws)
            task: Task = slot, own.rows.numpy(), own.offsets.numpy(), ~self._store.checked[own.rows.numpy()]
            with suppress(OSError):  # as above
                self._pipes[number % len(self._pipes)].send(task)
            self._sent.append((slot, number, draws))

    def _to_read(self, draws: Draws) -> Draws:
        """The images of a batch that this loader's workers read: its own part, but for those that are kept."""
        return self._kept.to_read(draws) if self._kept else draws[self._parts.own(len(draws))]

    def _receive(self) -> tuple[int, int, Draws]:
        """Wait until the next batch is filled."""
        worker = self._sent[0][1] % len(self._pipes)
        pipe, reading = self._pipes[worker], self._ring.reading
        seen = int(reading[worker])
        try:
            while not pipe.poll(STUCK_SECONDS):
                if seen == reading[worker]:
                    raise self._failed(worker, f"has done nothing for {STUCK_SECONDS:g} seconds")
                seen = int(reading[worker])
            error: UserError | str | None = pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._failed(worker, processes.ending(self._runners[worker])) from None
        if error:
            raise self._failed(worker, f"failed ({error})") if isinstance(error, str) else error
        return self._sent.popleft()

    def _failed(self, worker: int, how: str) -> UserError:
        row = int(self._ring.reading[worker])
        where = f"while it read {self._store.location(row)}" if row >= 0 else "before its first image"
        return UserError(
            f"Worker {worker} of the data loader of {self._store.path} {how} {where}.",
            fix="Check whether memory ran out or the disk fails, then run the same command again.",
            exit_code=Exit.WORKER_FAILED,
        )

    def _batch_in(self, slot: int, number: int, draws: Draws) -> Batch:
        """The batch that was filled into a slot; a copy of it where its readers keep all the others."""
        own = self._to_read(draws).rows.numpy()
        self._store.checked[own] = True
        crops = self._ring.slots[slot, : len(own)]
        if self._free:
            finalize(crops, self._free.append, slot).atexit = False
        else:
            crops = crops.copy()
            self._free.append(slot)
        labels = torch.from_numpy(self._store.labels[draws.rows.numpy()])
        return Batch(number, draws, as_images(torch.from_numpy(crops)), labels)


def _serve(pipe: Connection, store: Store, shape: tuple[int, ...], workers: int, worker: int) -> None:
    with os.fdopen(recv_handle(pipe), "r+b") as file:
        ring = Ring(shape, workers, file)
    _fill_slots(pipe, store, ring, worker)


def _fill_slots(pipe: Connection, store: Store, ring: Ring, worker: int) -> None:
    """Fill slots until the pipe is closed; answer None, or a UserError or the text of another error, and end."""
    error: UserError | str | None = None
    with pipe, suppress(EOFError, ConnectionResetError, BrokenPipeError):
        while error is None:
            task: Task = pipe.recv()
            try:
                fill(task, store, ring, worker)
            except UserError as known:
                error = known
            except Exception as other:
                error = f"{type(other).__name__}: {other}"
            pipe.send(error)
