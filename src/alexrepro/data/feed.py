"""The feed: batches of a plan, decoded ahead of time by threads (the decoder releases the interpreter lock).

A batch depends on the plan and its number only, never on how many threads prepare it.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexrepro.data.plan import Plan
from alexrepro.data.store import Store
from alexrepro.paper.training import STORED_PX

MOST_THREADS = 16
BATCHES_AHEAD = 4


@dataclass(frozen=True)
class Batch:
    """Some positions of an epoch: crops uint8 (B, 3, S, S) in channels-last memory, and what was drawn for them."""

    number: int
    images: NDArray[np.int64]  # (B,) rows of the store
    crops: Tensor
    labels: Tensor  # int64 (B,), -1 where unlabelled
    offsets_px: Tensor  # int64 (B, 2)
    mirrored: Tensor  # bool (B,)
    colors: Tensor  # float32 (B, 3)

    def __len__(self) -> int:
        """Images in the batch; the last one of an epoch may be smaller."""
        return len(self.images)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on the training device; from pinned memory the copy does not wait."""
        if device.type == "cpu":
            return self
        moved = (
            tensor.pin_memory().to(device, non_blocking=True)
            for tensor in (self.crops, self.labels, self.offsets_px, self.mirrored, self.colors)
        )
        return Batch(self.number, self.images, *moved)


def batch_count(images: int, batch: int) -> int:
    """Batches in an epoch; the last may be smaller and counts as one (data.cu)."""
    return -(-images // batch)


def feed(store: Store, plan: Plan, *, batch: int, first: int = 0, threads: int | None = None) -> Iterator[Batch]:
    """The batches of the plan in order, beginning with number `first`.

    Raises Refusal, naming the file, when a stored image is damaged.
    """
    workers = threads or min(os.cpu_count() or 1, MOST_THREADS)
    numbers = iter(range(first, batch_count(len(plan), batch)))
    pending: deque[Future[Batch]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="feed")
    try:
        for number in islice(numbers, workers + BATCHES_AHEAD):
            pending.append(pool.submit(_fill, store, plan, number, batch))
        while pending:
            ready = pending.popleft().result()
            for number in islice(numbers, 1):
                pending.append(pool.submit(_fill, store, plan, number, batch))
            yield ready
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _fill(store: Store, plan: Plan, number: int, batch: int) -> Batch:
    here = slice(number * batch, min((number + 1) * batch, len(plan)))
    images, offsets_px, side_px = plan.order[here], plan.offsets_px[here], plan.side_px
    crops = np.empty((len(images), side_px, side_px, 3), dtype=np.uint8)
    whole = np.empty((STORED_PX, STORED_PX, 3), dtype=np.uint8)
    for crop, image, (y, x) in zip(crops, images, offsets_px, strict=True):
        store.pixels(int(image), whole)
        crop[:] = whole[y : y + side_px, x : x + side_px]
    return Batch(
        number=number,
        images=images,
        crops=torch.from_numpy(crops).permute(0, 3, 1, 2),
        labels=torch.from_numpy(store.labels[images]),
        offsets_px=torch.from_numpy(offsets_px),
        mirrored=torch.from_numpy(plan.mirrored[here]),
        colors=torch.from_numpy(plan.colors[here]),
    )
