"""The data loader: batches of an epoch, read and cut ahead of time by workers, and copied to the training device.

A batch depends on its plan and number only, never on the workers: how many, or whether threads or processes.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol
from weakref import finalize

import numpy as np
import torch
from numpy.typing import NDArray

from alexrepro.data.loading.sampling import Batch, Draws, EpochPlan, batch_count
from alexrepro.data.loading.workers import Kind, Task, WorkerPool, Workers
from alexrepro.data.store.store import Store
from alexrepro.processors import usable_processors

MOST_WORKERS = 32  # fill over 50,000 stored JPEG a second
AHEAD = 3  # batches that wait, filled, besides those that the workers fill
IN_USE = 3  # batches that are read by the training loop or copied to its device


def default_workers() -> int:
    """One for each usable processor but one, which is left to the training loop; at least one."""
    return min(max(usable_processors() - 1, 1), MOST_WORKERS)


def workers_for(*, gpu: bool, number: int | None = None) -> Workers:
    """Processes for a GPU, whose many short launches threads would hold up; threads for the long steps of a CPU."""
    kind: Kind = "processes" if gpu and hasattr(os, "memfd_create") else "threads"
    return Workers(number or default_workers(), kind)


def workers_and_slots(images: int, *, batch: int, workers: int | None = None) -> tuple[int, int]:
    """Workers of a loader of this many images, and the number of batches for which it has memory."""
    number = min(workers or default_workers(), batch_count(images, batch))
    return number, number + AHEAD + IN_USE


def load_batches(
    store: Store,
    plan: EpochPlan,
    *,
    batch: int,
    shard: tuple[int, int] = (0, 1),
    copies: "Copying | None" = None,
    workers: Workers | None = None,
) -> Iterator[Batch]:
    """The batches of one plan; see Loader."""
    with Loader(store, batch=batch, side_px=plan.side_px, shard=shard, copies=copies, workers=workers) as loader:
        yield from loader.batches(plan)


class Copies(Protocol):
    """Copies batches to a device while it works, from memory that is filled again afterwards."""

    def copied(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches on the device."""

    def close(self) -> None:
        """Wait for all copies."""


Copying = Callable[[NDArray[np.uint8], int], Copies]  # of the memory of all batches, and the most copies under way


class Loader:
    """Workers and memory for the batches of one store, kept from epoch to epoch; a context that ends them.

    batch: images in one; side_px: of a crop; shard: which part of every batch is read, and of how many. A batch can be
    kept for any time: memory that is in use, or from which a copy is under way, is not filled again.
    """

    def __init__(
        self,
        store: Store,
        *,
        batch: int,
        side_px: int,
        shard: tuple[int, int] = (0, 1),
        copies: Copying | None = None,
        workers: Workers | None = None,
    ) -> None:
        self._store, self._batch, self._shard = store, batch, shard
        asked, kind = workers or workers_for(gpu=copies is not None)
        number, slots = workers_and_slots(len(store), batch=batch, workers=asked)
        shape = (slots, -(-min(batch, len(store)) // shard[1]), side_px, side_px, 3)
        self._ahead = number + AHEAD
        self._free = deque(range(slots))
        self._sent: deque[tuple[int, int, Draws]] = deque()  # slots that are being filled, numbers and draws of batches
        self._pool = WorkerPool(store, shape, Workers(number, kind))
        self._slots = self._pool.ring.slots
        self._copies = copies(self._slots, IN_USE - 1) if copies else None

    def __enter__(self) -> "Loader":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()
        if self._copies:
            self._copies.close()

    def batches(self, plan: EpochPlan, *, first: int = 0) -> Iterator[Batch]:
        """The batches of a plan in order, beginning with number `first`, on the device of its copies.

        Raises UserError naming the file when a stored image is damaged or its worker fails.
        """
        filled = self._filled(plan, first)
        return self._copies.copied(filled) if self._copies else filled

    def _filled(self, plan: EpochPlan, first: int) -> Iterator[Batch]:
        while self._sent:  # left from a plan that was not read to its end
            self._free.append(self._receive()[0])
        planned = plan.batches(self._batch, first=first, shard=self._shard)
        self._send(planned)
        while self._sent:
            ready = self._batch_in(*self._receive())
            self._send(planned)
            yield ready
            del ready  # so that its memory is free as soon as its reader has dropped it

    def _send(self, planned: Iterator[tuple[int, Draws]]) -> None:
        """Keep every worker busy and some batches ahead, as far as memory is free."""
        while self._free and len(self._sent) < self._ahead:
            number, draws = next(planned, (-1, None))
            if draws is None:
                return
            slot, rows = self._free.popleft(), draws.rows.numpy()
            self._pool.send(number, Task(slot, rows, draws.offsets.numpy(), ~self._store.checked[rows]))
            self._sent.append((slot, number, draws))

    def _receive(self) -> tuple[int, int, Draws]:
        self._pool.receive(self._sent[0][1])
        return self._sent.popleft()

    def _batch_in(self, slot: int, number: int, draws: Draws) -> Batch:
        """The batch that was filled into a slot; a copy of it where its readers keep all the others."""
        rows = draws.rows.numpy()
        self._store.checked[rows] = True
        crops = self._slots[slot, : len(rows)]
        if self._free:
            finalize(crops, self._free.append, slot).atexit = False
        else:
            crops = crops.copy()
            self._free.append(slot)
        labels = torch.from_numpy(self._store.labels[rows])
        return Batch(number, draws, torch.from_numpy(crops).permute(0, 3, 1, 2), labels)
