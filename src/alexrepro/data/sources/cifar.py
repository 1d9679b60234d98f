"""CIFAR-10 as its Python batches: cifar-10-batches-py/ with data_batch_1 ... 5, test_batch and batches.meta.

The files are pickles. They are read by an unpickler that knows arrays and nothing else, so nothing in them can run.
"""

import io
import pickle
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexrepro.data.sources.source import Photo, Source, Split
from alexrepro.errors import Exit, Refusal

FOLDER, META = "cifar-10-batches-py", "batches.meta"
TRAIN, TEST = tuple(f"data_batch_{number}" for number in range(1, 6)), ("test_batch",)
SIDE_PX = 32
# What a pickled array of bytes is made of, under NumPy's names of 2009 and of today.
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


@dataclass(frozen=True)
class Cell:
    """One picture of a batch file; it reads as the bytes of a BMP file, which keeps every pixel."""

    file: Path
    row: int

    def read(self) -> bytes:
        """The picture as BMP."""
        planes = _load(self.file)["data"][self.row].reshape(3, SIDE_PX, SIDE_PX)
        return _bmp(planes.transpose(1, 2, 0))

    def size(self) -> int:
        """Bytes of the whole batch, which change when any picture does."""
        return self.file.stat().st_size


def fits(path: Path) -> bool:
    """Whether the batch files are in the folder or in the folder that they unpack to."""
    return (path / META).is_file() or (path / FOLDER / META).is_file()


def read(path: Path) -> Source:
    """Training and test pictures. Raises Refusal if a batch is missing, damaged or no plain array."""
    folder = path if (path / META).is_file() else path / FOLDER
    names = tuple(name.decode() for name in _load(folder / META)["label_names"])
    splits = tuple(
        Split(split, [photo for file in files for photo in _photos(folder / file, len(names))])
        for split, files in (("train", TRAIN), ("test", TEST))
    )
    return Source("cifar10", names, names, splits)


def _photos(file: Path, classes: int) -> list[Photo]:
    batch = _load(file)
    labels: Any = batch.get("labels")
    data: Any = batch.get("data")
    shape = (len(labels), 3 * SIDE_PX**2) if isinstance(labels, list) else None
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape != shape:
        raise _unreadable(file, "it holds no pictures of 32×32 bytes with their labels")
    if not all(isinstance(label, int) and 0 <= label < classes for label in labels):
        raise _unreadable(file, f"it has labels that are not from 0 to {classes - 1}")
    return [Photo(f"{file.name}/{row:05d}.bmp", label, Cell(file, row)) for row, label in enumerate(labels)]


class _Arrays(pickle.Unpickler):
    """Reads plain values and NumPy arrays; refuses to look up anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


@lru_cache(maxsize=2)
def _load(file: Path) -> dict[str, Any]:
    """A batch file with its keys as text."""
    try:
        found = _Arrays(io.BytesIO(file.read_bytes()), encoding="bytes").load()
        return {key.decode() if isinstance(key, bytes) else str(key): value for key, value in found.items()}
    except FileNotFoundError:
        raise _unreadable(file, "it is missing") from None
    except Exception as error:  # a damaged pickle can raise anything
        raise _unreadable(file, str(error)) from None


def _bmp(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels (32, 32, 3) as a BMP of 24 bits: rows from below, blue before green before red."""
    body = pixels[::-1, :, ::-1].tobytes()  # rows of 96 bytes need no padding to a multiple of four
    header = struct.pack("<2sIHHI", b"BM", 54 + len(body), 0, 0, 54)
    return header + struct.pack("<IiiHHIIiiII", 40, SIDE_PX, SIDE_PX, 1, 24, 0, len(body), 0, 0, 0, 0) + body


def _unreadable(file: Path, why: str) -> Refusal:
    return Refusal(f"{file} cannot be read: {why}.", fix="Fetch cifar-10-python.tar.gz again.", exit_code=Exit.BAD_DATA)
