"""The kernels of the first stage as an image (Figure 3; shownet.py): scaled together to 0..1, sixteen in a row."""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from alexrepro.paper.pictures import FIGURE_3_KERNELS_PER_ROW

Picture = NDArray[np.float32]
FRAME_PX = 1


def sheets(weights: NDArray[np.float32], *, towers: int, per_row: int = FIGURE_3_KERNELS_PER_ROW) -> list[Picture]:
    """One image per tower, (height, width, 3) in 0..1, black around the kernels; weights: (maps, 3, H, W)."""
    low, high = weights.min(), weights.max()
    scaled = (weights - low) / max(high - low, np.finfo(np.float32).tiny)
    return [_sheet(kernels.transpose(0, 2, 3, 1), per_row) for kernels in np.split(scaled, towers)]


def colorfulness(weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """How colored each kernel is, (maps,): the fraction of its energy that is not equal in red, green and blue."""
    values = weights.astype(np.float64)
    energy = (values**2).sum((1, 2, 3))
    gray = 3 * (values.mean(1) ** 2).sum((1, 2))
    found: NDArray[np.float64] = 1 - gray / np.maximum(energy, np.finfo(np.float64).tiny)
    return found.clip(min=0)  # rounding can leave less


def _sheet(kernels: Picture, per_row: int) -> Picture:
    count, height, width, colors = kernels.shape
    rows, columns = ceil(count / per_row), min(count, per_row)
    step_y, step_x = height + FRAME_PX, width + FRAME_PX
    sheet = np.zeros((rows * step_y + FRAME_PX, columns * step_x + FRAME_PX, colors), dtype=np.float32)
    for number, kernel in enumerate(kernels):
        y, x = (number // per_row) * step_y + FRAME_PX, (number % per_row) * step_x + FRAME_PX
        sheet[y : y + height, x : x + width] = kernel
    return sheet
