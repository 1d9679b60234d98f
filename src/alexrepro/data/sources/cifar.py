"""CIFAR-10 as its Python batches: cifar-10-batches-py/ with data_batch_1 ... 5, test_batch and batches.meta.

The files are pickles; each is unpickled only if it has the MD5 that its authors published.
"""

import hashlib
import pickle
import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexrepro.data.sources.source import ImageFile, Source, Split
from alexrepro.errors import Exit, UserError

FOLDER, META = "cifar-10-batches-py", "batches.meta"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE_PX = 32


@dataclass(frozen=True)
class BatchRow:
    """One image of a batch file, read as a BMP file, which keeps every pixel."""

    file: Path
    md5: str
    row: int

    def read(self) -> bytes:
        """The image as BMP."""
        planes: NDArray[np.uint8] = _load(self.file, self.md5)["data"][self.row]
        return _bmp(planes.reshape(3, SIDE_PX, SIDE_PX).transpose(1, 2, 0))

    def size(self) -> int:
        """Bytes of the whole batch, which change when any image does."""
        return self.file.stat().st_size


def fetch(folder: Path) -> None:
    """Have torchvision download the batches into a folder and check their MD5, once.

    Raises UserError if that does not work, as on a machine without a network.
    """
    from torchvision.datasets import CIFAR10

    try:
        CIFAR10(folder, download=True)
    except (OSError, RuntimeError) as error:  # no network; a wrong MD5
        raise UserError(
            f"CIFAR-10 cannot be downloaded: {error}.",
            fix=f"Download {CIFAR10.url} elsewhere, unpack it, and type: alexrepro prepare /path/{FOLDER}.",
            exit_code=Exit.MISSING_INPUT,
        ) from None


def fits(path: Path) -> bool:
    """Whether the batch files are in the folder or in the folder that they unpack to."""
    return (path / META).is_file() or (path / FOLDER / META).is_file()


def read(path: Path) -> Source:
    """Training and test images. Raises UserError if a batch is missing or differs from the published one."""
    from torchvision.datasets import CIFAR10

    folder = path if (path / META).is_file() else path / FOLDER
    names = tuple(_load(folder / META, CIFAR10.meta["md5"])["label_names"])
    splits = tuple(
        Split(name, [image for file, md5 in files for image in _images(folder / file, md5)])
        for name, files in (("train", CIFAR10.train_list), ("test", CIFAR10.test_list))
    )
    return Source("cifar10", names, names, splits)


def named(source: Source) -> Source:
    """A source in any layout; CIFAR-10, recognized by its ten classes, gets its name and its own side."""
    is_cifar = sorted(source.classes) == list(CLASSES)
    return replace(source, dataset="cifar10", side_px=SIDE_PX) if is_cifar else source


def _images(file: Path, md5: str) -> list[ImageFile]:
    labels = _load(file, md5)["labels"]
    return [
        ImageFile(f"{file.name}/{row:05d}.bmp", label, BatchRow(file, md5, row)) for row, label in enumerate(labels)
    ]


@lru_cache(maxsize=2)
def _load(file: Path, md5: str) -> dict[str, Any]:
    try:
        content = file.read_bytes()
        reason = "" if hashlib.md5(content, usedforsecurity=False).hexdigest() == md5 else "its MD5 is not the official"
    except FileNotFoundError:
        reason = "it is missing"
    if reason:
        raise UserError(
            f"{file} cannot be read: {reason}.",
            fix="Download cifar-10-python.tar.gz again.", exit_code=Exit.BAD_DATA,
        )  # fmt: skip
    found: dict[str, Any] = pickle.loads(content, encoding="latin1")
    return found


def _bmp(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels (32, 32, 3) as a BMP of 24 bits: rows from below, blue before green before red."""
    body = pixels[::-1, :, ::-1].tobytes()  # rows of 96 bytes need no padding to a multiple of four
    header = struct.pack("<2sIHHI", b"BM", 54 + len(body), 0, 0, 54)
    return header + struct.pack("<IiiHHIIiiII", 40, SIDE_PX, SIDE_PX, 1, 24, 0, len(body), 0, 0, 0, 0) + body
