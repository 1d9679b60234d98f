"""CIFAR-10 as its Python batches: cifar-10-batches-py/ with data_batch_1 ... 5, test_batch and batches.meta.

The files are pickles. They are read by an unpickler that knows the parts of an array and nothing else, once their
operations have been looked through, so nothing in them can run, and few bytes stay few.
"""

import io
import pickle
import pickletools
import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexrepro.data.sources.source import Photo, Source, Split
from alexrepro.errors import Exit, UserError

FOLDER, META = "cifar-10-batches-py", "batches.meta"
TRAIN, TEST = tuple(f"data_batch_{number}" for number in range(1, 6)), ("test_batch",)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE_PX = 32
MOST_BYTES = 40_000_000  # 10,000 pictures have 31 million
MOST_OPERATIONS = 200_000  # of the unpickler; 10,000 pictures with labels and names need about 30,000
SHARED = ("STRING", "UNICODE", "BYTES", "GLOBAL")  # operations whose value may be used again: texts, not containers
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


def fetch(folder: Path) -> None:
    """Have torchvision fetch the batches from their authors into a folder and check their MD5, once.

    Raises UserError if that does not work, as on a machine without a network.
    """
    from torchvision.datasets import CIFAR10

    try:
        CIFAR10(folder, download=True)
    except (OSError, RuntimeError) as error:  # no network; a wrong MD5
        raise UserError(
            f"CIFAR-10 cannot be fetched: {error}.",
            fix=f"Fetch {CIFAR10.url} elsewhere, unpack it, and type: alexrepro prepare /path/{FOLDER}.",
            exit_code=Exit.MISSING_INPUT,
        ) from None


def fits(path: Path) -> bool:
    """Whether the batch files are in the folder or in the folder that they unpack to."""
    return (path / META).is_file() or (path / FOLDER / META).is_file()


def read(path: Path) -> Source:
    """Training and test pictures. Raises UserError if a batch is missing, damaged or no plain array."""
    folder = path if (path / META).is_file() else path / FOLDER
    names = _names(folder / META)
    splits = tuple(
        Split(split, [photo for file in files for photo in _photos(folder / file, len(names))])
        for split, files in (("train", TRAIN), ("test", TEST))
    )
    return Source("cifar10", names, names, splits)


def named(source: Source) -> Source:
    """A source in any layout; CIFAR-10, which its ten classes tell, under its name and stored in its own side."""
    is_cifar = sorted(source.classes) == list(CLASSES)
    return replace(source, dataset="cifar10", side_px=SIDE_PX) if is_cifar else source


def _names(file: Path) -> tuple[str, ...]:
    found = _load(file).get("label_names")
    if not isinstance(found, list) or not all(isinstance(name, bytes) for name in found):
        raise _unreadable(file, "it has no label_names")
    return tuple(name.decode("utf-8", "backslashreplace") for name in found)


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


class _Part:
    """What stands for an array, or for a part of one, while a pickle is read: the values that were pickled of it."""

    def __init__(self, *values: Any) -> None:
        self.values = values
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def array(self) -> NDArray[np.uint8]:
        """The array, if it is one of bytes in rows; else any error."""
        _, shape, kind, is_by_columns, data = self.state
        if kind.values[0] not in {"u1", b"u1"} or is_by_columns:
            raise ValueError("its array is not of bytes in rows")
        return np.frombuffer(data, dtype=np.uint8).reshape(shape)


class _Plain(pickle.Unpickler):
    """Reads plain values and the parts of arrays; refuses to look up anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _Part


def _refuse_bombs(data: bytes) -> None:
    """Raises UnpicklingError for a container that is used twice, from which few bytes make very many, and the like."""
    memo, latest = dict[int, str](), ""
    for number, (operation, argument, _) in enumerate(pickletools.genops(data)):
        name, place = operation.name, 0
        if name == "MEMOIZE" or name.endswith("PUT"):
            place = len(memo) if argument is None else int(str(argument))
            memo[place] = latest
        is_shared = name == "DUP" or (name.endswith("GET") and not memo.get(int(str(argument)), "").endswith(SHARED))
        if is_shared or max(number, place) > MOST_OPERATIONS:
            raise pickle.UnpicklingError(f"its operation {number:,}, {name}, is none that a batch needs")
        latest = name


@lru_cache(maxsize=2)
def _load(file: Path) -> dict[str, Any]:
    """A batch file with its keys as text."""
    try:
        if not file.is_file():
            raise FileNotFoundError("it is missing")
        if file.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
        data = file.read_bytes()
        _refuse_bombs(data)
        found = _Plain(io.BytesIO(data), encoding="bytes").load()
        texts = ((key.decode() if isinstance(key, bytes) else str(key), value) for key, value in found.items())
        return {key: value.array() if isinstance(value, _Part) else value for key, value in texts}
    except Exception as error:  # a damaged pickle can raise anything
        raise _unreadable(file, " ".join(str(error).split())[:100] or type(error).__name__) from None


def _bmp(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels (32, 32, 3) as a BMP of 24 bits: rows from below, blue before green before red."""
    body = pixels[::-1, :, ::-1].tobytes()  # rows of 96 bytes need no padding to a multiple of four
    header = struct.pack("<2sIHHI", b"BM", 54 + len(body), 0, 0, 54)
    return header + struct.pack("<IiiHHIIiiII", 40, SIDE_PX, SIDE_PX, 1, 24, 0, len(body), 0, 0, 0, 0) + body


def _unreadable(file: Path, why: str) -> UserError:
    return UserError(
        f"{file} cannot be read: {why}.", fix="Fetch cifar-10-python.tar.gz again.", exit_code=Exit.BAD_DATA
    )
