"""Crops of images as pure tensor functions: the network's inputs in training and in evaluation (§2, §4.1).

B batch, S side of a crop in pixels. Pixels are RGB, 0-255, as in 2012: no division by 255 or by a deviation.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from alexrepro.data.loading.sampling import Batch
from alexrepro.data.store.planes import blue_shift, green_shift, red_shift
from alexrepro.errors import UserError
from alexrepro.paper.results import Crops
from alexrepro.paper.training import Augmentation, ColorShift

Window = tuple[int, int, bool]  # y and x of a crop in pixels, and whether it is flipped
CACHED_VALUES = 2**18  # float32 that stay in a processor's cache from one step to the next, which doubles the speed


@dataclass(frozen=True)
class Pixels:
    """Statistics of the training set's pixels: the mean image and the principal components of RGB.

    mean_image: float32 (3, 256, 256), 0-255. eigenvalues: (3,), variances of pixels on the 0-1 scale, descending.
    eigenvectors: (3, 3), one per column.
    """

    mean_image: Tensor
    eigenvalues: Tensor
    eigenvectors: Tensor

    def to(self, device: torch.device) -> "Pixels":
        """The same on another device."""
        return Pixels(self.mean_image.to(device), self.eigenvalues.to(device), self.eigenvectors.to(device))


def training_crops(batch: Batch, *, pixels: Pixels, augmentation: Augmentation) -> Tensor:
    """Crops minus the mean, flipped where drawn, shifted in color: float32 (B, 3, S, S) (§2, §4.1).

    The central mean is subtracted after flipping (convdata_jpeg.py), the aligned one from the pixels it belongs to;
    one mean a channel and one for all channels are the same everywhere.
    """
    crops, draws = rgb_crops(batch), batch.draws
    side_px = crops.shape[-1]
    mean = None if augmentation.mean == "aligned" else _in_rows(_one_mean(pixels, augmentation, side_px)[None])
    shift = None
    if augmentation.color_shift:
        shift = color_shift(draws.colors, pixels=pixels, settings=augmentation.color_shift).repeat(1, side_px)[:, None]
    rows = torch.empty(len(crops), side_px, side_px * 3, dtype=pixels.mean_image.dtype, device=crops.device)
    at_once = max(1, CACHED_VALUES // crops.shape[1:].numel() if crops.device.type == "cpu" else len(crops))
    for first in range(0, len(crops), at_once):
        some = slice(first, first + at_once)
        if mean is None:
            centered = crops[some] - _mean_at(pixels.mean_image, draws.offsets[some], side_px)
            rows[some] = _in_rows(_flipped(centered, draws.flips[some]))
        else:
            torch.sub(_in_rows(_flipped(crops[some], draws.flips[some])), mean, out=rows[some])
        if augmentation.color_shift and shift is not None:
            rows[some].add_(shift[some]).div_(augmentation.color_shift.divide_by)
    return rows.view(len(crops), side_px, side_px, 3).permute(0, 3, 1, 2)


def rgb_crops(batch: Batch) -> Tensor:
    """The crops of a batch as pixels, uint8 (B, 3, S, S) in channels-last memory."""
    return batch.crops if batch.crops.ndim == 4 else windows_to_rgb(batch.crops, batch.draws.offsets)


def windows_to_rgb(windows: Tensor, offsets_px: Tensor) -> Tensor:
    """Crops as RGB from their windows: uint8 (B, s + w, 2w) -> uint8 (B, 3, s, s) in channels-last memory.

    offsets_px: int64 (B, 2), y and x of the crops, whose parities decide which chroma is the nearest. A crop equals
    that of the whole image as RGB. Each value is computed on its own, so that a compiler can make this a part of the
    kernel that reads the crops.
    """
    width = windows.shape[2] // 2
    side_px = windows.shape[1] - width
    odd = offsets_px & 1  # (B, 2)
    pixel = torch.arange(side_px, device=windows.device) + odd[:, :, None]  # (B, 2, s)
    near = (pixel >> 1) + 1 - odd[:, :, None]
    far = near + 2 * (pixel & 1) - 1
    image = torch.arange(len(windows), device=windows.device)[:, None, None]
    near_y, far_y, near_x, far_x = near[:, 0, :, None], far[:, 0, :, None], near[:, 1, None], far[:, 1, None]
    rounding = (8 - (pixel[:, 1, None] & 1)).int()

    def full(plane: Tensor) -> Tensor:
        nearest, beside, below, across = (
            plane[image, y, x].int() for y, x in ((near_y, near_x), (near_y, far_x), (far_y, near_x), (far_y, far_x))
        )
        return (9 * nearest + 3 * (beside + below) + across + rounding) >> 4

    cb, cr = full(windows[:, side_px:, :width]), full(windows[:, side_px:, width:])
    luma = windows[:, :side_px, :side_px].int()
    channels = [
        (luma + shift).clamp(0, 255).to(torch.uint8) for shift in (red_shift(cr), green_shift(cb, cr), blue_shift(cb))
    ]
    return torch.stack(channels, dim=-1).permute(0, 3, 1, 2)


def _in_rows(images: Tensor) -> Tensor:
    """(B, 3, S, S) as (B, S, 3 * S), the channels of a pixel side by side, which is how crops lie in memory."""
    return images.permute(0, 2, 3, 1).flatten(2)


def _flipped(images: Tensor, flips: Tensor) -> Tensor:
    """The images, (B, 3, S, S), with those reflected whose flip was drawn."""
    if images.device.type != "cpu":  # indexing by a mask would wait for the device
        return torch.where(flips[:, None, None, None], images.flip(3), images)
    found = images.clone()
    found[flips] = images[flips].flip(3)
    return found


def color_shift(colors: Tensor, *, pixels: Pixels, settings: ColorShift) -> Tensor:
    """The color shift of each channel: Σ pᵢ · αᵢ · λᵢ with α ~ N(0, std²), in gray levels, (B, 3) (§4.1).

    λ is the standard deviation along each component (convdata_jpeg.py), or, as other readings of the text have it,
    the variance of pixels on the 0-1 scale delivered in gray levels, or the variance of pixels on 0-255.
    """
    scale = {
        "deviation": pixels.eigenvalues.sqrt() * 255,
        "unit_variance": pixels.eigenvalues * 255,
        "variance": pixels.eigenvalues * 255**2,
    }[settings.reading]
    return (settings.std * colors * scale) @ pixels.eigenvectors.T


def center_crop(images: Tensor, side_px: int) -> Tensor:
    """The central S×S of images (..., H, W); the offset is rounded down."""
    top, left = (images.shape[-2] - side_px) // 2, (images.shape[-1] - side_px) // 2
    return images[..., top : top + side_px, left : left + side_px]


def windows(crops: Crops, height_px: int, width_px: int, side_px: int) -> list[Window]:
    """The crops of evaluation: the center, or five and then their reflections (§4.1).

    The order of the five is top left, top right, center, bottom left, bottom right (convdata_jpeg.py).
    Raises UserError if a crop does not fit into the image.
    """
    if min(height_px, width_px) < side_px:
        raise UserError(
            f"A crop of {side_px} px does not fit into an image of {height_px}×{width_px} px.",
            fix="Lower it with: --set network.input_px=N.",
        )
    bottom, right = height_px - side_px, width_px - side_px
    center = (bottom // 2, right // 2)
    if crops == "center":
        return [(*center, False)]
    five = [(0, 0), (0, right), center, (bottom, 0), (bottom, right)]
    return [(y, x, flip) for flip in (False, True) for y, x in five]


def cut(images: Tensor, window: Window, side_px: int) -> Tensor:
    """The S×S crop of images (..., H, W) in a window."""
    y, x, flip = window
    crop = images[..., y : y + side_px, x : x + side_px]
    return crop.flip(-1) if flip else crop


def evaluation_crops(
    images: Tensor, *, crops: Crops, side_px: int, pixels: Pixels, augmentation: Augmentation
) -> Iterator[Tensor]:
    """The crops of evaluation one after the other, each minus the mean: float32 (B, 3, S, S) (§4.1).

    images: uint8 (B, 3, 256, 256). The mean is the central part for every crop, or the part in each crop's window.
    """
    for window in windows(crops, images.shape[-2], images.shape[-1], side_px):
        if augmentation.mean == "aligned":
            mean = cut(pixels.mean_image, window, side_px)
        else:
            mean = _one_mean(pixels, augmentation, side_px)
        yield cut(images, window, side_px).float() - mean


def _one_mean(pixels: Pixels, augmentation: Augmentation, side_px: int) -> Tensor:
    """The mean that is subtracted from every crop: the central part of the mean image, or one mean of its pixels."""
    central = center_crop(pixels.mean_image, side_px)  # (3, S, S)
    if augmentation.mean == "scalar":
        return pixels.mean_image.mean().expand_as(central)
    if augmentation.mean == "channel":
        return pixels.mean_image.mean((1, 2), keepdim=True).expand_as(central)
    return central


def _mean_at(mean_image: Tensor, offsets_px: Tensor, side_px: int) -> Tensor:
    """The mean image cut at each offset: (B, 3, S, S)."""
    crops = mean_image.unfold(1, side_px, 1).unfold(2, side_px, 1)  # (3, Y, X, S, S), without copies
    return crops[:, offsets_px[:, 0], offsets_px[:, 1]].transpose(0, 1)
