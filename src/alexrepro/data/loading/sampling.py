"""What an epoch shows: order, crop, flip and color draw of every image, computed from (seed, epoch) alone.

Nothing is remembered, so a batch is the same whoever prepares it and whenever it is asked for.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from math import lcm
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexrepro.data.loading.packing import pack, pinned, unpack
from alexrepro.keys import key
from alexrepro.paper.training import Augmentation

BLOCK = 8192  # images whose draws are made at once, at least

Facts = tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float32]]  # offsets, flips and colors


@dataclass(frozen=True)
class Draws:
    """Which images are shown, and what was drawn for each; `draws[rows]` are those of some of them."""

    rows: Tensor  # int64 (N,), rows of the store; always in host memory
    offsets: Tensor  # int64 (N, 2), y and x of the crop in pixels
    flips: Tensor  # bool (N,)
    colors: Tensor  # float32 (N, 3), standard normal

    def __len__(self) -> int:
        """Images."""
        return len(self.rows)

    def __getitem__(self, rows: slice) -> "Draws":
        """The draws of some of the images."""
        return Draws(self.rows[rows], self.offsets[rows], self.flips[rows], self.colors[rows])


@dataclass(frozen=True)
class EpochPlan:
    """The draws of all images of an epoch, each once, in the order in which they are shown.

    Only the order is kept, four bytes an image; the rest is drawn block by block when batches are asked for.
    order: int32 (N,), or none for the stored order. blocks: draws for that many consecutive images at a time.
    unit: images that share draws.
    """

    images: int
    order: NDArray[np.int32] | None
    blocks: Callable[[int], Iterator[Facts]]
    unit: int = 1

    def __len__(self) -> int:
        """Images."""
        return self.images

    def batches(self, batch: int, *, first: int = 0, shard: tuple[int, int] = (0, 1)) -> Iterator[tuple[int, Draws]]:
        """The batches from number `first` on, each with its number: of every batch, shard k of n."""
        size = lcm(batch, self.unit)
        size *= -(-BLOCK // size)
        for begin, facts in zip(range(0, self.images, size), self.blocks(size), strict=False):
            end = min(begin + size, self.images)
            if end <= first * batch:
                continue
            drawn = Draws(self._rows(begin, end), *map(torch.from_numpy, facts))
            for number in range(max(begin // batch, first), batch_count(end, batch)):
                draws = drawn[number * batch - begin : (number + 1) * batch - begin]
                yield number, draws[shard_of(len(draws), shard)]

    def whole(self) -> Draws:
        """The draws of all images at once."""
        return next(draws for _, draws in self.batches(max(self.images, 1)))

    def _rows(self, begin: int, end: int) -> Tensor:
        return torch.arange(begin, end) if self.order is None else torch.from_numpy(self.order[begin:end]).long()


@dataclass(frozen=True)
class Batch:
    """Some images of an epoch: crops uint8 (B, 3, S, S) in channels-last memory, labels and draws.

    On a GPU, crops of a store of planes are the parts of the planes that they need; `rgb_crops` gives their pixels.
    packed: the memory of labels, offsets, flips and colors where these lie side by side, so that they travel as one.
    """

    number: int
    draws: Draws
    crops: Tensor
    labels: Tensor  # int64 (B,), -1 where unlabeled
    packed: Tensor | None = None  # uint8

    def __len__(self) -> int:
        """Images in the batch; the last one of an epoch may be smaller."""
        return len(self.draws)

    @property
    def facts(self) -> tuple[Tensor, ...]:
        """What a device is given of the images besides their pixels: labels, offsets, flips and colors."""
        return self.labels, self.draws.offsets, self.draws.flips, self.draws.colors

    def to(self, device: torch.device) -> "Batch":
        """The batch on another device; its two copies to a GPU start at once and must end before memory is reused."""
        if device.type == self.crops.device.type:
            return self
        crops = pinned(self.crops).to(device, non_blocking=True)
        return self.with_packed(pack(self.facts, pin=True).to(device, non_blocking=True), crops)

    def with_packed(self, packed: Tensor, crops: Tensor) -> "Batch":
        """The batch with other crops, and with facts that are views of packed memory."""
        labels, *drawn = unpack(packed, self.facts)
        return Batch(self.number, Draws(self.draws.rows, *drawn), crops, labels, packed)

    def clone(self) -> "Batch":
        """The same in memory of its own."""
        return self.with_packed(pack(self.facts), self.crops.clone())

    def copy_(self, other: "Batch") -> None:
        """Take over the images of another batch of the same size, in two copies if both are packed."""
        self.crops.copy_(other.crops, non_blocking=True)
        if self.packed is not None and other.packed is not None:
            self.packed.copy_(other.packed, non_blocking=True)
            return
        for own, given in zip(self.facts, other.facts, strict=True):
            own.copy_(given, non_blocking=True)


class Parts(NamedTuple):
    """What a process has of every batch: it shows part k of n, reads a part of that, and is given the rest.

    gather: a reader's tensor (N, ...), of one shape in all, to those of all n readers, (n * N, ...) in their order.
    """

    shown: tuple[int, int] = (0, 1)
    read: tuple[int, int] = (0, 1)
    gather: Callable[[Tensor], Tensor] | None = None

    def most(self, batch: int) -> int:
        """The most images of a batch that are read here."""
        return -(-batch // (self.shown[1] * self.read[1]))

    def own(self, images: int) -> slice:
        """Which of the images that are shown are read here."""
        return shard_of(images, self.read)

    def whole(self, batch: Batch) -> Batch:
        """The batch with the crops that all readers have read, from one with those that were read here."""
        images, readers = len(batch), self.read[1]
        if self.gather is None or readers == 1 or images == 0:
            return batch
        most = -(-images // readers)
        own = batch.crops.permute(0, 2, 3, 1) if batch.crops.ndim == 4 else batch.crops  # as they lie in memory
        if len(own) < most:
            own = torch.cat([own, own.new_zeros(most - len(own), *own.shape[1:])])
        crops = self.gather(own)
        if images < len(crops):
            sizes = (len(range(images)[shard_of(images, (k, readers))]) for k in range(readers))
            crops = torch.cat([crops[k * most : k * most + size] for k, size in enumerate(sizes)])
        return replace(batch, crops=as_images(crops))


def as_images(crops: Tensor) -> Tensor:
    """Crops as they lie in memory, (B, S, S, 3), as images (B, 3, S, S); those of planes as they are."""
    return crops.permute(0, 3, 1, 2) if crops.ndim == 4 else crops


def batch_count(images: int, batch: int) -> int:
    """Batches in an epoch; the last may be smaller and counts as one (data.cu)."""
    return -(-images // batch)


def shard_of(images: int, shard: tuple[int, int]) -> slice:
    """Shard k of n, counted from 0, of a batch: contiguous, and all shards together are the batch."""
    k, n = shard
    return slice(images * k // n, images * (k + 1) // n)


def generator(seed: int, *words: int | str) -> np.random.Generator:
    """A counter-based generator that depends on the seed and the words alone."""
    return np.random.Generator(np.random.Philox(key(seed, *words)))


def training_plan(
    images: int, *, seed: int, epoch: int, augmentation: Augmentation, side_px: int, shuffle_every_epoch: bool
) -> EpochPlan:
    """One training epoch (§4.1): random order, crops and flips.

    `augmentation.images_per_crop` consecutive images share one crop and one flip (convdata_jpeg.py crop_chunk).
    Unless shuffled every epoch, all epochs have the order of epoch 0, as the 2012 code read its batches.
    """
    unit = augmentation.images_per_crop
    order = _shuffled(images, generator(seed, "order", epoch if shuffle_every_epoch else 0))

    def offsets_of(draws: np.random.Generator, chunks: int) -> NDArray[np.int64]:
        return draws.integers(0, augmentation.last_offset_px, size=(chunks, 2), endpoint=True)

    def blocks(size: int) -> Iterator[Facts]:
        """Offsets, flips and colors, as if all offsets were drawn first, then all flips, then all colors."""
        chunks = [-(-min(size, images - begin) // unit) for begin in range(0, images, size)]
        for_offsets = generator(seed, "views", epoch)
        for_flips = deepcopy(for_offsets)
        for some in chunks:
            offsets_of(for_flips, some)
        for_colors = deepcopy(for_flips)
        for some in chunks:
            for_colors.random(some)
        for begin, some in zip(range(0, images, size), chunks, strict=True):
            offsets = offsets_of(for_offsets, some)
            flips = for_flips.random(some) < 0.5  # an image and its reflection are equally likely (§4.1)
            count = min(size, images - begin)
            colors = for_colors.standard_normal((count, 3), dtype=np.float32)
            if not augmentation.crops:
                offsets[:] = (augmentation.stored_px - side_px) // 2
            if not augmentation.flips:
                flips[:] = False
            yield offsets.repeat(unit, axis=0)[:count], flips.repeat(unit)[:count], colors

    return EpochPlan(images, order, blocks, unit)


def of_some(plan: EpochPlan, images: int, *, seed: int) -> EpochPlan:
    """The plan of a subset of this size, drawn by key: halves differ between seeds, and contain their own quarters."""
    if len(plan) >= images:
        return plan
    assert plan.order is not None
    rows = np.sort(_shuffled(images, generator(seed, "images"))[: len(plan)])
    return replace(plan, order=rows[plan.order])


def _shuffled(images: int, draws: np.random.Generator) -> NDArray[np.int32]:
    """As `draws.permutation`, in half the memory."""
    order = np.arange(images, dtype=np.int32)
    draws.shuffle(order)
    return order


def evaluation_plan(images: int) -> EpochPlan:
    """Every image once, uncropped, in stored order."""

    def blocks(size: int) -> Iterator[Facts]:
        for begin in range(0, images, size):
            count = min(size, images - begin)
            yield np.zeros((count, 2), np.int64), np.zeros(count, np.bool_), np.zeros((count, 3), np.float32)

    return EpochPlan(images, None, blocks)
