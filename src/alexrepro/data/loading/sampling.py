"""What an epoch shows: order, crop, flip and color draw of every image, computed from (seed, epoch) alone.

Nothing is remembered, so a batch is the same whoever prepares it and whenever it is asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alexrepro.keys import key
from alexrepro.paper.training import Augmentation


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


class EpochPlan(Draws):
    """The draws of all images of an epoch, each once, in the order in which they are shown."""

    def batches(self, batch: int, *, first: int = 0, shard: tuple[int, int] = (0, 1)) -> Iterator[tuple[int, Draws]]:
        """The batches from number `first` on, each with its number: of every batch, shard k of n."""
        for number in range(first, batch_count(len(self), batch)):
            draws = self[number * batch : (number + 1) * batch]
            yield number, draws[shard_of(len(draws), shard)]


@dataclass(frozen=True)
class Batch:
    """Some images of an epoch: crops uint8 (B, 3, S, S) in channels-last memory, labels and draws.

    On a GPU, crops of a store of planes are the parts of the planes that they need; `rgb_crops` gives their pixels.
    """

    number: int
    draws: Draws
    crops: Tensor
    labels: Tensor  # int64 (B,), -1 where unlabeled

    def __len__(self) -> int:
        """Images in the batch; the last one of an epoch may be smaller."""
        return len(self.draws)

    def to(self, device: torch.device) -> "Batch":
        """The batch on another device; a copy to a GPU starts at once and must end before the crops are overwritten."""
        if device.type == self.crops.device.type:
            return self

        def moved(tensor: Tensor) -> Tensor:
            return (tensor if tensor.is_pinned() else tensor.pin_memory()).to(device, non_blocking=True)

        draws = Draws(self.draws.rows, *map(moved, (self.draws.offsets, self.draws.flips, self.draws.colors)))
        return Batch(self.number, draws, moved(self.crops), moved(self.labels))

    @property
    def on_device(self) -> tuple[Tensor, ...]:
        """What a device is given: crops, labels, offsets, flips and colors."""
        return self.crops, self.labels, self.draws.offsets, self.draws.flips, self.draws.colors

    def clone(self) -> "Batch":
        """The same in memory of its own."""
        crops, labels, *drawn = (tensor.clone() for tensor in self.on_device)
        return Batch(self.number, Draws(self.draws.rows, *drawn), crops, labels)

    def copy_(self, other: "Batch") -> None:
        """Take over the images of another batch of the same size."""
        for own, given in zip(self.on_device, other.on_device, strict=True):
            own.copy_(given, non_blocking=True)


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
    order = generator(seed, "order", epoch if shuffle_every_epoch else 0).permutation(images)
    draws = generator(seed, "views", epoch)
    chunks = -(-images // augmentation.images_per_crop)
    offsets = draws.integers(0, augmentation.last_offset_px, size=(chunks, 2), endpoint=True)
    flips = draws.random(chunks) < 0.5  # an image and its reflection are equally likely (§4.1)
    colors = draws.standard_normal((images, 3), dtype=np.float32)
    chunk = np.arange(images) // augmentation.images_per_crop
    if not augmentation.crops:
        offsets[:] = (augmentation.stored_px - side_px) // 2
    if not augmentation.flips:
        flips[:] = False
    return EpochPlan(*map(torch.from_numpy, (order, offsets[chunk], flips[chunk], colors)))


def evaluation_plan(images: int) -> EpochPlan:
    """Every image once, uncropped, in stored order."""
    offsets, flips = torch.zeros(images, 2, dtype=torch.int64), torch.zeros(images, dtype=torch.bool)
    return EpochPlan(torch.arange(images), offsets, flips, torch.zeros(images, 3))
