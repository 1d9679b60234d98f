"""The memory that the loader's workers fill, and what they do for a batch: read images, and cut their crops.

A crop is RGB, or, where a device turns planes into RGB (`store/planes.py`), the part of the planes that it needs.
"""

from math import prod
from mmap import PAGESIZE, mmap
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from alexrepro.data.store.planes import cut_window, window_shape
from alexrepro.data.store.store import Store
from alexrepro.errors import Exit, UserError

Task = tuple[int, NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]  # slot, rows, offsets, which to check


def image_shape(store: Store, side_px: int, *, has_device: bool) -> tuple[int, ...]:
    """The shape of a crop in the ring: (S, S, 3), or that of a window of planes.

    has_device: whether batches go to a device that turns planes into RGB faster than the workers.
    """
    if has_device and store.manifest.encoding == "planes":
        return window_shape(side_px)
    return side_px, side_px, 3


class Ring:
    """Slots for batches, uint8 (N, B, *image_shape), and the row that each worker is reading, int64 (W,).

    file: the anonymous file that processes share, so that the size of /dev/shm plays no part; None for threads.
    """

    def __init__(self, shape: tuple[int, ...], workers: int, file: BinaryIO | None = None) -> None:
        head = -(-8 * workers // PAGESIZE) * PAGESIZE
        size = head + prod(shape)
        try:
            if file:
                file.truncate(size)
            memory = mmap(file.fileno() if file else -1, size)
        except OSError as error:
            raise UserError(
                f"The data loader needs {size / 1e6:,.0f} MB of memory for {shape[0]} batches of {shape[1]} images and "
                f"cannot have it ({error.strerror}).",
                fix="Free memory, allow the process more of it, or train with smaller batches.",
                exit_code=Exit.OUT_OF_MEMORY,
            ) from None
        self.reading = np.frombuffer(memory, dtype=np.int64, count=workers)
        self.slots = np.frombuffer(memory, dtype=np.uint8, offset=head).reshape(shape)


def fill(task: Task, store: Store, ring: Ring, worker: int) -> None:
    """Read the images of a batch and cut their crops into a slot. Raises UserError if one is damaged."""
    slot, (rows, offsets, checks) = ring.slots[task[0]], (each.tolist() for each in task[1:])
    scratch = np.empty((store.side_px, store.side_px, 3), dtype=np.uint8)
    for crop, row, (y, x), check in zip(slot, rows, offsets, checks, strict=False):
        ring.reading[worker] = row
        if crop.ndim == 2:
            cut_window(store.stored(row, check=check), (y, x), store.side_px, crop)
        else:
            side_px = len(crop)
            crop[:] = store.image(row, scratch, check=check)[y : y + side_px, x : x + side_px]
