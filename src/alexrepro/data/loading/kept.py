"""Stored images kept in a device's memory, as many as fit, so that from the second epoch on workers read only the rest.

Images are kept whole and crops are cut on the device: as exact as those that a worker cuts. All copies and cuts must be
made on one stream, in the order of the batches. B images of a batch, b of them read by this process, S side of a crop.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexrepro.data.loading.packing import pack, packed_bytes, pinned, unpack
from alexrepro.data.loading.sampling import Batch, Draws, Parts


class Copies(Protocol):
    """Copies batches to a device while it works, from memory that is filled again afterwards."""

    @property
    def device(self) -> torch.device:
        """The device."""

    def room(self, image_bytes: int) -> int:
        """How many stored images of this size the device is to keep."""

    def begin(self, slots: NDArray[np.uint8], most: int, kept: "KeptImages | None") -> None:
        """Copy from this memory, which holds all batches, with at most `most` copies under way, through `kept`."""

    def copied(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches on the device."""

    def close(self) -> None:
        """Wait for all copies."""


class KeptImages:
    """The images of a store on a device, each in the place that it was given when it first came by.

    images: in the store; room: for how many there is a place; most: images that a batch can bring, for which there is
    memory besides; sides_px: of an image and of a crop.
    """

    def __init__(
        self, *, images: int, room: int, most: int, sides_px: tuple[int, int], parts: Parts, device: torch.device
    ) -> None:
        self._parts, (stored_px, self._side_px) = parts, sides_px
        self._room, self._used = min(room, images), 0
        self._places = np.full(images, -1, dtype=np.int64)  # of rows of the store
        shape = (self._room + most, stored_px, stored_px, 3)
        self._memory = torch.empty(shape, dtype=torch.uint8, device=device)

    def to_read(self, draws: Draws) -> Draws:
        """The images of a batch that workers must read, to be cut nowhere: those of its own that are not kept yet."""
        own = draws[self._parts.own(len(draws))]
        missing = torch.from_numpy(self._places[own.rows.numpy()] < 0)
        return Draws(own.rows[missing], torch.zeros_like(own.offsets[missing]), own.flips[missing], own.colors[missing])

    def cut(self, batch: Batch) -> Batch:
        """The batch on the device, with the crops of its own images, from one that brings what `to_read` asked for."""
        own = batch.draws[self._parts.own(len(batch))]
        places, offsets = self._take(own.rows.numpy(), batch.crops), own.offsets.numpy()
        _, height, width, _ = self._memory.shape
        starts = torch.from_numpy(
            (places * height + offsets[:, 0]) * width + offsets[:, 1]
        )  # the first pixel of a crop
        tensors, device = (*batch.facts, starts), self._memory.device
        sent = pack(tensors, pin=device.type != "cpu").to(device, non_blocking=True)
        side_px, pixels = self._side_px, self._memory.numel() // 3
        size = pixels - (side_px - 1) * (width + 1), side_px, 3 * side_px
        windows = self._memory.as_strided(size, (3, 3 * width, 1))  # (N, S, 3 * S), wherever one can begin
        crops = windows[unpack(sent, tensors)[-1]].view(len(own), side_px, side_px, 3)  # in a single launch
        return batch.with_packed(sent[: packed_bytes(batch.facts)], crops.permute(0, 3, 1, 2))

    def _take(self, rows: NDArray[np.int64], images: Tensor) -> NDArray[np.int64]:
        """Where the images of these rows are, once those that are not kept yet, uint8 (n, 3, H, W), are copied there.

        They take the next free places; what finds none is there until the next batch.
        """
        places = self._places[rows]
        new = np.flatnonzero(places < 0)
        assert len(new) == len(images)
        stays = min(len(new), self._room - self._used)
        places[new] = np.arange(len(new)) + self._used
        places[new[stays:]] += self._room - self._used - stays
        self._places[rows[new[:stays]]] = places[new[:stays]]
        for first, some in ((self._used, images[:stays]), (self._room, images[stays:])):
            if len(some):
                given = some.permute(0, 2, 3, 1)  # as they lie in memory
                own = self._memory[first : first + len(some)]
                own.copy_(given if own.device.type == "cpu" else pinned(given), non_blocking=True)
        self._used += stays
        return places


def kept_by(
    copies: Copies | None, *, images: int, most: int, sides_px: tuple[int, int], parts: Parts
) -> KeptImages | None:
    """The images that a device is to keep of a store; None where it keeps none."""
    room = copies.room(3 * sides_px[0] ** 2) if copies else 0
    if copies is None or room == 0:
        return None
    return KeptImages(images=images, room=room, most=most, sides_px=sides_px, parts=parts, device=copies.device)
