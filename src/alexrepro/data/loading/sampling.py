"""The plan of an epoch: order, crop, mirror and color draw of every image, computed from (seed, epoch) alone.

Nothing here remembers anything, so a batch is the same whoever prepares it and whenever it is asked for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alexrepro.keys import key
from alexrepro.paper.training import Augmentation


@dataclass(frozen=True)
class Plan:
    """What each position of an epoch shows: image, crop offset (y, x) in pixels, mirrored or not, color draw."""

    order: NDArray[np.int64]  # (N,)
    offsets_px: NDArray[np.int64]  # (N, 2)
    mirrored: NDArray[np.bool_]  # (N,)
    colors: NDArray[np.float32]  # (N, 3), standard normal
    side_px: int

    def __len__(self) -> int:
        """Positions in the epoch: each image once."""
        return len(self.order)


def generator(seed: int, *words: int | str) -> np.random.Generator:
    """A counter-based generator that depends on the seed and the words alone."""
    return np.random.Generator(np.random.Philox(key(seed, *words)))


def training_plan(
    images: int, *, seed: int, epoch: int, augmentation: Augmentation, side_px: int, shuffle_every_epoch: bool
) -> Plan:
    """The plan of one training epoch (§4.1): random order, crops and mirror images.

    `augmentation.images_per_crop` consecutive images share one crop and one mirror draw (convdata_jpeg.py crop_chunk).
    Without reshuffling the one order of epoch 0 is used throughout, as the 2012 code read its batches.
    """
    order = generator(seed, "order", epoch if shuffle_every_epoch else 0).permutation(images)
    draws = generator(seed, "views", epoch)
    chunks = -(-images // augmentation.images_per_crop)
    offsets = draws.integers(0, augmentation.last_offset_px, size=(chunks, 2), endpoint=True)
    mirrored = draws.random(chunks) < 0.5  # an image and its reflection are equally likely (§4.1)
    colors = draws.standard_normal((images, 3), dtype=np.float32)
    chunk = np.arange(images) // augmentation.images_per_crop
    if not augmentation.crops:
        offsets[:] = (augmentation.stored_px - side_px) // 2
    if not augmentation.flips:
        mirrored[:] = False
    return Plan(order, offsets[chunk], mirrored[chunk], colors, side_px)


def testing_plan(images: int, *, side_px: int) -> Plan:
    """Every image once, whole, in stored order; side_px: that of the store."""
    return Plan(
        order=np.arange(images),
        offsets_px=np.zeros((images, 2), dtype=np.int64),
        mirrored=np.zeros(images, dtype=np.bool_),
        colors=np.zeros((images, 3), dtype=np.float32),
        side_px=side_px,
    )
