"""The kernels of the first stage as a picture (Figure 3; shownet.py).

All kernels are scaled together from 0 to 1 and stand sixteen in a row, one pixel apart, each tower in rows of its own.
"""

from math import ceil

import numpy as np
from numpy.typing import NDArray

from alexrepro.paper.pictures import FIGURE_3_KERNELS_PER_ROW

Picture = NDArray[np.float32]
GAP_PX = 1


def sheets(weights: NDArray[np.float32], *, towers: int, per_row: int = FIGURE_3_KERNELS_PER_ROW) -> list[Picture]:
    """One picture per tower, (height, width, 3) from 0 to 1, white between the kernels.

    weights: (maps, 3, H, W), those of the first tower first.
    """
    low, high = weights.min(), weights.max()
    scaled = (weights - low) / max(high - low, np.finfo(np.float32).tiny)
    return [_sheet(share.transpose(0, 2, 3, 1), per_row) for share in np.split(scaled, towers)]


def colorfulness(weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """How colored each kernel is, (maps,): the share of its energy that is not equal in red, green and blue."""
    values = weights.astype(np.float64)
    energy = (values**2).sum((1, 2, 3))
    gray = 3 * (values.mean(1) ** 2).sum((1, 2))
    found: NDArray[np.float64] = 1 - gray / np.maximum(energy, np.finfo(np.float64).tiny)
    return found


def _sheet(kernels: Picture, per_row: int) -> Picture:
    count, height, width, colors = kernels.shape
    rows = ceil(count / per_row)
    shape = (rows * (height + GAP_PX) - GAP_PX, min(count, per_row) * (width + GAP_PX) - GAP_PX, colors)
    sheet = np.ones(shape, dtype=np.float32)
    for number, kernel in enumerate(kernels):
        y, x = (number // per_row) * (height + GAP_PX), (number % per_row) * (width + GAP_PX)
        sheet[y : y + height, x : x + width] = kernel
    return sheet
