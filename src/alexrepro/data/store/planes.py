"""An image as three planes (YCbCr): luma at full and chroma at half resolution, without a JPEG's cosine transform.

Planes of an image of even side S: uint8 (S·S·3/2,): Y (S, S), then Cb and Cr (S/2, S/2). All arithmetic is of
integers, so that NumPy and torch agree to the last bit on every device. The factors are those of JFIF times 2^16, and
planes become RGB as in libjpeg-turbo with its default "fancy" upsampling (jdsample.c, jdcolor.c).
B batch, S side of an image, s side of a crop, w side of its chroma.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexrepro.data.store.decode import Pixels

BITS = 16  # of the fractions
HALF = 1 << (BITS - 1)
CENTER = 128  # of chroma


def red_shift(cr: Any) -> Any:
    """Red minus luma; as `green_shift` and `blue_shift`, of integers 0-255 (int32) in an array or a tensor."""
    return (91881 * (cr - CENTER) + HALF) >> BITS


def green_shift(cb: Any, cr: Any) -> Any:
    """Green minus luma."""
    return (HALF - 22554 * (cb - CENTER) - 46802 * (cr - CENTER)) >> BITS


def blue_shift(cb: Any) -> Any:
    """Blue minus luma."""
    return (116130 * (cb - CENTER) + HALF) >> BITS


RED, BLUE = (shift(np.arange(256, dtype=np.int32)).astype(np.int16) for shift in (red_shift, blue_shift))


def plane_bytes(side_px: int) -> int:
    """Bytes of the planes of an image."""
    return side_px * side_px * 3 // 2


def to_planes(pixels: Pixels) -> NDArray[np.uint8]:
    """The planes of an image, uint8 (S, S, 3) -> (S·S·3/2,), each value rounded once.

    Luma rounds half up. Chroma is that of the mean of 2×2 pixels and rounds half down, as in jccolor.c, which keeps the
    purest red and blue at 255.
    """
    red, green, blue = channels = pixels.transpose(2, 0, 1).astype(np.int32, order="C")
    luma = (19595 * red + 38470 * green + 7471 * blue + HALF) >> BITS
    pairs = channels[:, 0::2] + channels[:, 1::2]
    red, green, blue = pairs[:, :, 0::2] + pairs[:, :, 1::2]
    start = (CENTER << (BITS + 2)) + (1 << (BITS + 1)) - 1  # two bits more, since a sum is four pixels
    cb = (-11059 * red - 21709 * green + 32768 * blue + start) >> (BITS + 2)
    cr = (32768 * red - 27439 * green - 5329 * blue + start) >> (BITS + 2)
    return np.concatenate([plane.reshape(-1) for plane in (luma, cb, cr)]).astype(np.uint8)


def to_rgb(planes: NDArray[np.uint8], out: Pixels) -> None:
    """Fill `out`, uint8 (S, S, 3), from the planes of an image; ValueError if they are of another side."""
    side_px = len(out)
    if planes.shape != (plane_bytes(side_px),):
        raise ValueError(f"a stored image has {len(planes):,} bytes, not {plane_bytes(side_px):,}")
    half = side_px // 2
    luma = planes[: side_px**2].reshape(side_px, side_px).astype(np.int16)
    chroma = planes[side_px**2 :].reshape(2, half, half)
    around = np.pad(chroma, ((0, 0), (1, 1), (1, 1)), mode="edge").astype(np.int16)
    near, pairs = 3 * around[:, 1:-1], np.empty((2, half, 2, half + 2), dtype=np.int16)
    pairs[:, :, 0] = near + around[:, :-2]
    pairs[:, :, 1] = near + around[:, 2:]
    rows = pairs.reshape(2, side_px, half + 2)
    near, full = 3 * rows[..., 1:-1], np.empty((2, side_px, half, 2), dtype=np.int16)
    full[..., 0] = (near + rows[..., :-2] + 8) >> 4
    full[..., 1] = (near + rows[..., 2:] + 7) >> 4
    cb, cr = full.reshape(2, side_px, side_px)
    out[..., 0] = (luma + RED.take(cr)).clip(0, 255)
    out[..., 1] = (luma + green_shift(cb.astype(np.int32), cr.astype(np.int32)).astype(np.int16)).clip(0, 255)
    out[..., 2] = (luma + BLUE.take(cb)).clip(0, 255)


def window_shape(side_px: int) -> tuple[int, int]:
    """Rows and columns of the window that a crop of side s needs of the planes: (s + w, 2w), w for `window_px`.

    Luma, (s, s), lies at the top left; below it, side by side, Cb and Cr, (w, w) each.
    """
    width = window_px(side_px)
    return side_px + width, 2 * width


def window_px(side_px: int) -> int:
    """Side of the part of a chroma plane that a crop of side s needs: half of it, and one value around."""
    return side_px // 2 + 2


def cut_window(planes: NDArray[np.uint8], offset_px: tuple[int, int], stored_px: int, out: NDArray[np.uint8]) -> None:
    """Fill `out`, of a `window_shape`, from the planes of an image of side S; offset: y and x of the crop.

    Chroma beyond the edge of the image repeats the outermost values, as in libjpeg-turbo.
    """
    width = out.shape[1] // 2
    side_px, half = len(out) - width, stored_px // 2
    y, x = offset_px
    out[:side_px, :side_px] = planes[: stored_px**2].reshape(stored_px, stored_px)[y : y + side_px, x : x + side_px]
    chroma = planes[stored_px**2 :].reshape(2, half, half)
    top, left = (y + 1) // 2 - 1, (x + 1) // 2 - 1
    rows, columns = (slice(max(first, 0), min(first + width, half)) for first in (top, left))
    for plane, start in zip(chroma, (0, width), strict=True):
        window = out[side_px:, start : start + width]
        window[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = plane[rows, columns]
        if left < 0:
            window[:, 0] = window[:, 1]
        if columns.stop < left + width:
            window[:, -1] = window[:, -2]
        if top < 0:
            window[0] = window[1]
        if rows.stop < top + width:
            window[-1] = window[-2]
