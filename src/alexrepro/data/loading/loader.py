"""The feed: batches of a plan, read, decoded and cut ahead of time by workers, and copied to the training device.

A batch depends on the plan and its number only, never on the workers: how many, or whether threads or processes.
"""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from weakref import finalize

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexrepro.data.loading.sampling import Plan
from alexrepro.data.loading.workers import Kind, Memory, Task, Workers
from alexrepro.data.store.store import Store
from alexrepro.processors import usable_processors

MOST_WORKERS = 32  # fill over 50,000 stored JPEG a second
AHEAD = 3  # batches that wait, filled, beside those that the workers fill
KEPT = 3  # batches that are still used or still being copied
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Batch:
    """Some positions of an epoch: crops uint8 (B, 3, S, S) in channels-last memory, and what was drawn for them."""

    number: int
    images: NDArray[np.int64]  # (B,) rows of the store
    crops: Tensor
    labels: Tensor  # int64 (B,), -1 where unlabeled
    offsets_px: Tensor  # int64 (B, 2)
    mirrored: Tensor  # bool (B,)
    colors: Tensor  # float32 (B, 3)

    def __len__(self) -> int:
        """Images in the batch; the last one of an epoch may be smaller."""
        return len(self.images)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device; a copy to a GPU starts at once and is waited for by what uses it.

        Its crops must not be overwritten before that copy is done; what a feed with a device yields is safe.
        """
        if device.type == self.crops.device.type:
            return self
        moved = (
            (tensor if tensor.is_pinned() else tensor.pin_memory()).to(device, non_blocking=True)
            for tensor in (self.crops, self.labels, self.offsets_px, self.mirrored, self.colors)
        )
        return Batch(self.number, self.images, *moved)


def batch_count(images: int, batch: int) -> int:
    """Batches in an epoch; the last may be smaller and counts as one (data.cu)."""
    return -(-images // batch)


def part(images: int, share: tuple[int, int]) -> slice:
    """The positions of share k of n, counted from 0, among so many: contiguous, and all shares together are all."""
    k, n = share
    return slice(images * k // n, images * (k + 1) // n)


def default_workers() -> int:
    """All processors that this program may use but one, which is left to the training loop; at least one."""
    return min(max(usable_processors() - 1, 1), MOST_WORKERS)


def workers_and_slots(images: int, *, batch: int, workers: int | None = None) -> tuple[int, int]:
    """How many workers a feed of so many images has, and for how many batches it sets memory aside."""
    number = min(workers or default_workers(), batch_count(images, batch))
    return number, number + AHEAD + KEPT


def default_kind(device: torch.device) -> Kind:
    """Processes for a GPU, whose many short launches threads would hold up; threads for the long steps of a CPU."""
    return "processes" if device.type == "cuda" and hasattr(os, "memfd_create") else "threads"


def feed(
    store: Store,
    plan: Plan,
    *,
    batch: int,
    first: int = 0,
    share: tuple[int, int] = (0, 1),
    device: torch.device = CPU,
    workers: int | None = None,
    kind: Kind | None = None,
) -> Iterator[Batch]:
    """The batches of one plan in order, or the same share of each, beginning with number `first`, on `device`.

    Raises UserError naming the file when a stored image is damaged or its worker fails.
    """
    with Feed(
        store, batch=batch, side_px=plan.side_px, share=share, device=device, workers=workers, kind=kind
    ) as opened:
        yield from opened.batches(plan, first=first)


class Feed:
    """Workers and memory for batches of one store, kept from epoch to epoch; a context that ends them.

    batch: images in one; side_px: of a crop; share: which part of every batch is read, and of how many. Batches can be
    kept for as long as one likes: memory that is still in use, or from which a copy is still under way, is not filled
    again.
    """

    def __init__(
        self,
        store: Store,
        *,
        batch: int,
        side_px: int,
        share: tuple[int, int] = (0, 1),
        device: torch.device = CPU,
        workers: int | None = None,
        kind: Kind | None = None,
    ) -> None:
        self._store, self._batch, self._share, self._device = store, batch, share, device
        number, slots = workers_and_slots(len(store), batch=batch, workers=workers)
        kind = kind or default_kind(device)
        self._memory = Memory(
            slots=slots,
            batch=-(-min(batch, len(store)) // share[1]),
            side_px=side_px,
            workers=number,
            shared=kind == "processes",
        )
        self._free = deque(range(slots))
        self._sent: deque[tuple[int, int]] = deque()  # numbers of batches and their slots
        self._copies: deque[tuple[torch.cuda.Event, Batch]] = deque()
        self._workers = Workers(store, self._memory, number=number, kind=kind)
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            self._is_locked = _lock_in_place(self._memory.slots)

    def __enter__(self) -> "Feed":
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.close()
        while self._copies:
            self._finish_copy()
        if self._device.type == "cuda" and self._is_locked:
            torch.cuda.cudart().cudaHostUnregister(self._memory.slots.ctypes.data)  # type: ignore[no-untyped-call]

    def batches(self, plan: Plan, *, first: int = 0) -> Iterator[Batch]:
        """The batches of a plan in order, beginning with number `first`, on the feed's device.

        Raises UserError naming the file when a stored image is damaged or its worker fails.
        """
        filled = self._filled(plan, first)
        return filled if self._device.type == "cpu" else self._copied(filled)

    def _filled(self, plan: Plan, first: int) -> Iterator[Batch]:
        while self._sent:  # left from a plan that was not read to its end
            number, slot = self._sent.popleft()
            self._workers.receive(number)
            self._free.append(slot)
        last = batch_count(len(plan), self._batch)
        numbers = iter(range(first, last))
        self._send(plan, numbers)
        while self._sent:
            number, slot = self._sent.popleft()
            self._workers.receive(number)
            ready = self._batch_in(slot, plan, number)
            self._send(plan, numbers)
            yield ready
            del ready  # so that its memory is free when its reader has done with it

    def _send(self, plan: Plan, numbers: Iterator[int]) -> None:
        """Keep every worker busy and some batches ahead, as far as memory is free."""
        while self._free and len(self._sent) < len(self._workers) + AHEAD:
            number = next(numbers, None)
            if number is None:
                return
            here = self._positions(plan, number)
            images = plan.order[here]
            slot = self._free.popleft()
            self._workers.send(number, Task(slot, images, plan.offsets_px[here], ~self._store.checked[images]))
            self._sent.append((number, slot))

    def _batch_in(self, slot: int, plan: Plan, number: int) -> Batch:
        """The batch that was filled into a slot; a copy of it where its readers keep all the others."""
        here = self._positions(plan, number)
        images = plan.order[here]
        self._store.checked[images] = True
        crops = self._memory.slots[slot, : len(images)]
        if self._free:
            finalize(crops, self._free.append, slot).atexit = False
        else:
            crops = crops.copy()
            self._free.append(slot)
        return Batch(
            number=number,
            images=images,
            crops=torch.from_numpy(crops).permute(0, 3, 1, 2),
            labels=torch.from_numpy(self._store.labels[images]),
            offsets_px=torch.from_numpy(plan.offsets_px[here]),
            mirrored=torch.from_numpy(plan.mirrored[here]),
            colors=torch.from_numpy(plan.colors[here]),
        )

    def _copied(self, filled: Iterator[Batch]) -> Iterator[Batch]:
        """The batches on the device, copied beside its work; each is held here until its copy is done."""
        for batch in filled:
            with torch.cuda.stream(self._stream):
                moved = batch.to(self._device)
                self._copies.append((self._stream.record_event(), batch))
            user = torch.cuda.current_stream(self._device)
            user.wait_stream(self._stream)
            for tensor in (moved.crops, moved.labels, moved.offsets_px, moved.mirrored, moved.colors):
                tensor.record_stream(user)
            yield moved
            del batch, moved
            while self._copies and (len(self._copies) == KEPT - 1 or self._copies[0][0].query()):  # type: ignore[no-untyped-call]
                self._finish_copy()

    def _finish_copy(self) -> None:
        """Wait for the oldest copy and let go of its memory."""
        copied, _ = self._copies.popleft()
        copied.synchronize()

    def _positions(self, plan: Plan, number: int) -> slice:
        first = number * self._batch
        here = part(min(self._batch, len(plan) - first), self._share)
        return slice(first + here.start, first + here.stop)


def _lock_in_place(slots: NDArray[np.uint8]) -> bool:
    """Let a GPU fetch from the memory directly; False where that is refused, and each batch is copied once more."""
    refused = int(torch.cuda.cudart().cudaHostRegister(slots.ctypes.data, slots.nbytes, 0))  # type: ignore[no-untyped-call]
    if refused:
        with suppress(RuntimeError):  # the next launch reports the refusal once more; this one is for that
            torch.zeros(1, device="cuda")
    return not refused
