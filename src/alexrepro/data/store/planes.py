"""An image as three planes (YCbCr): luma at full and chroma at half resolution, without a JPEG's cosine transform.

Planes of an image of even side S: uint8 (S·S·3/2,): Y (S, S), then Cb and Cr (S/2, S/2). All arithmetic is of 32-bit
integers, so that NumPy and torch agree to the last bit on every device. The factors are those of JFIF times 2^16, and
planes become RGB as in libjpeg-turbo with its default "fancy" upsampling (jdsample.c, jdcolor.c).
B batch, S side of an image, s side of a crop.
"""

from math import isqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexrepro.data.store.decode import Pixels

BITS = 16  # of the fractions
HALF = 1 << (BITS - 1)
CENTER = 128  # of chroma


def plane_bytes(side_px: int) -> int:
    """Bytes of the planes of an image."""
    return side_px * side_px * 3 // 2


def to_planes(pixels: Pixels) -> NDArray[np.uint8]:
    """The planes of an image, uint8 (S, S, 3) -> (S·S·3/2,), each value rounded once.

    Luma rounds half up. Chroma is that of the mean of 2×2 pixels and rounds half down, as in jccolor.c, which keeps the
    purest red and blue at 255.
    """
    side_px = len(pixels)
    red, green, blue = np.moveaxis(pixels.astype(np.int32), 2, 0)
    luma = (19595 * red + 38470 * green + 7471 * blue + HALF) >> BITS
    blocks = pixels.reshape(side_px // 2, 2, side_px // 2, 2, 3).sum((1, 3), dtype=np.int32)
    red, green, blue = np.moveaxis(blocks, 2, 0)
    start = (CENTER << (BITS + 2)) + (1 << (BITS + 1)) - 1  # two bits more, since a sum is four pixels
    cb = (-11059 * red - 21709 * green + 32768 * blue + start) >> (BITS + 2)
    cr = (32768 * red - 27439 * green - 5329 * blue + start) >> (BITS + 2)
    return np.concatenate([plane.reshape(-1) for plane in (luma, cb, cr)]).astype(np.uint8)


def to_rgb(planes: NDArray[np.uint8], out: Pixels) -> None:
    """Fill `out`, uint8 (S, S, 3), from the planes of an image; ValueError if they are of another side."""
    side_px = len(out)
    if planes.shape != (plane_bytes(side_px),):
        raise ValueError(f"a stored image has {len(planes):,} bytes, not {plane_bytes(side_px):,}")
    luma, chroma = planes[: side_px**2].reshape(side_px, side_px), planes[side_px**2 :]
    around = np.pad(chroma.reshape(2, side_px // 2, side_px // 2), ((0, 0), (1, 1), (1, 1)), mode="edge")
    around = around.astype(np.int32)
    rows = np.empty((2, side_px, around.shape[2]), dtype=np.int32)
    rows[:, 0::2] = 3 * around[:, 1:-1] + around[:, :-2]
    rows[:, 1::2] = 3 * around[:, 1:-1] + around[:, 2:]
    full = np.empty((2, side_px, side_px), dtype=np.int32)
    full[..., 0::2] = (3 * rows[..., 1:-1] + rows[..., :-2] + 8) >> 4
    full[..., 1::2] = (3 * rows[..., 1:-1] + rows[..., 2:] + 7) >> 4
    for channel, values in enumerate(_channels(luma.astype(np.int32), *full)):
        out[..., channel] = values


def cut_planes(planes: Tensor, offsets_px: Tensor, side_px: int) -> Tensor:
    """Crops of images as RGB: uint8 (B, S·S·3/2) -> uint8 (B, 3, s, s) in channels-last memory.

    offsets_px: int64 (B, 2), y and x. A crop equals that of the whole image as RGB, since the chroma around it is read,
    too. Every value is computed on its own, so that a compiler can make the whole a part of the kernel that reads it.
    """
    stored_px = isqrt(planes.shape[1] * 2 // 3)
    half_px = stored_px // 2
    steps = torch.arange(side_px, device=planes.device)
    image = torch.arange(len(planes), device=planes.device)[:, None, None]
    y, x = (offsets_px[:, 0, None] + steps)[:, :, None], (offsets_px[:, 1, None] + steps)[:, None, :]
    luma = planes[image, y * stored_px + x].int()
    near_y, near_x = (y >> 1) * half_px, x >> 1
    far_y, far_x = ((each >> 1) + 2 * (each & 1) - 1 for each in (y, x))
    far_y, far_x = far_y.clamp(0, half_px - 1) * half_px, far_x.clamp(0, half_px - 1)

    def chroma(start: int) -> Tensor:
        near, beside, below, across = (
            planes[image, start + rows + columns].int()
            for rows, columns in ((near_y, near_x), (near_y, far_x), (far_y, near_x), (far_y, far_x))
        )
        return (9 * near + 3 * (beside + below) + across + (8 - (x & 1)).int()) >> 4

    cb, cr = chroma(stored_px**2), chroma(stored_px**2 + half_px**2)
    rgb = torch.stack([values.to(torch.uint8) for values in _channels(luma, cb, cr)], dim=-1)
    return rgb.permute(0, 3, 1, 2)


def _channels(luma: Any, cb: Any, cr: Any) -> tuple[Any, Any, Any]:
    """Red, green and blue, 0-255, of integers 0-255 of one shape: arrays or tensors, int32."""
    cb, cr = cb - CENTER, cr - CENTER
    red = luma + ((91881 * cr + HALF) >> BITS)
    green = luma + ((HALF - 22554 * cb - 46802 * cr) >> BITS)
    blue = luma + ((116130 * cb + HALF) >> BITS)
    return red.clip(0, 255), green.clip(0, 255), blue.clip(0, 255)
