"""Exact mean image and RGB covariance over the stored pixels that training will read (§2, §4.1).

All sums are of integers that their types hold exactly for two billion images of 256 px (products: 2.1e9 × 65,536 pixels
× 255² < 2⁶³), so partial sums merge in any order to the same bits.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexrepro.data.store.decode import Pixels
from alexrepro.paper.training import STORED_PX

# Blocks of 256 rows of 4 pixels: 256 · 255² < 2²⁴, so that float32 matrix products are exact, too, and fast.
ROWS, PIXELS_A_ROW = 256, 4


@dataclass(frozen=True)
class ColorAxes:
    """Principal components of RGB over all training pixels (§4.1)."""

    mean_rgb: NDArray[np.float64]  # (3,), 0-255
    eigenvalues: NDArray[np.float64]  # (3,), variances of pixels on the 0-1 scale, descending
    eigenvectors: NDArray[np.float64]  # (3, 3), one per column


@dataclass
class Moments:
    """Sums over images whose side S is a multiple of 32."""

    images: int
    sums: NDArray[np.uint64]  # of each pixel, (S, S, 3)
    products: NDArray[np.int64]  # of channels, (3, 3)

    @classmethod
    def none(cls, side_px: int = STORED_PX) -> "Moments":
        """The sums over no image of this side."""
        return cls(0, np.zeros((side_px, side_px, 3), dtype=np.uint64), np.zeros((3, 3), dtype=np.int64))

    @classmethod
    def load(cls, path: Path) -> "Moments":
        """The sums in a file."""
        with np.load(path, allow_pickle=False) as saved:
            return cls(int(saved["images"]), saved["sums"].astype(np.uint64), saved["products"].astype(np.int64))

    def save(self, path: Path) -> None:
        """Write the sums to a file of exactly this name."""
        with path.open("wb") as file:
            sums = self.sums.astype(np.min_scalar_type(self.sums.max()))  # those of a shard need four bytes each
            np.savez(file, images=self.images, sums=sums, products=self.products)

    def add(self, pixels: Pixels) -> None:
        """Add one image, uint8 (S, S, 3)."""
        rows = pixels.reshape(-1, ROWS, PIXELS_A_ROW * 3).astype(np.float32)
        products = np.matmul(rows.transpose(0, 2, 1), rows).sum(0, dtype=np.float64).astype(np.int64)
        for first in range(0, PIXELS_A_ROW * 3, 3):
            self.products += products[first : first + 3, first : first + 3]
        self.sums += pixels
        self.images += 1

    def merge(self, other: "Moments") -> None:
        """Add the sums of other images."""
        self.images += other.images
        self.sums += other.sums
        self.products += other.products

    def mean_image(self) -> NDArray[np.float32]:
        """The mean of each pixel, float32 (3, S, S), 0-255."""
        return np.ascontiguousarray((self.sums / self.images).transpose(2, 0, 1), dtype=np.float32)

    def color_axes(self) -> ColorAxes:
        """The mean and the principal components of RGB over all pixels; each points to where red grows (§4.1)."""
        pixels = self.images * self.sums.shape[0] * self.sums.shape[1]
        mean = self.sums.sum((0, 1)) / pixels
        covariance = self.products / pixels - np.outer(mean, mean)
        values, vectors = np.linalg.eigh(covariance / 255**2)
        values, vectors = values[::-1], vectors[:, ::-1]
        return ColorAxes(mean, np.maximum(values, 0.0), vectors * np.where(vectors[0] < 0, -1.0, 1.0))
