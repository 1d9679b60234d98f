"""Images out of shards, read from the file one at a time.

Only the offsets of the images are taken from a mapped shard, when it is opened. A file that is cut short afterwards is
then a short read, which is refused, where a mapped page that is gone would end the program with SIGBUS.
"""

import mmap
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)

STORES = 4  # a store may have this part of the program's open files, but at least
FEWEST_FILES = 8


@dataclass(frozen=True)
class ShardIndex:
    """The offsets of a shard's images in its file: image i is the bytes `start + ends[i]` to `start + ends[i + 1]`.

    sums: the CRC-32 of each. state: size of the file and the time of its last change.
    """

    file: Path
    start: int
    ends: NDArray[np.int32]
    sums: NDArray[np.uint32]
    state: tuple[int, int]


@contextmanager
def mapped_table(file: Path, schema: pa.Schema, *, images: int) -> Iterator[tuple[pa.Table, int]]:
    """The rows of a shard as one chunk in mapped memory, and the address at which the file begins there.

    Raises ValueError, or an error of pyarrow, which is one, if it holds other columns or rows or missing values.
    """
    with file.open("rb") as opened:
        mapped = pa.py_buffer(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
    table = pa.ipc.open_file(pa.BufferReader(mapped)).read_all().combine_chunks()
    table.validate(full=True)
    if table.schema != schema or len(table) != images:
        raise ValueError("its columns or rows are not those of the manifest")
    if any(column.null_count for column in table.columns):
        raise ValueError("missing values")
    yield table, mapped.address


def index_shard(file: Path, schema: pa.Schema, *, images: int) -> ShardIndex:
    """The offsets of a shard's images; see `mapped_table` for what is raised."""
    with mapped_table(file, schema, images=images) as (table, address):
        stored = table.column("image").chunk(0)
        ends = numbers(stored, np.int32, more=1).copy()
        sums = numbers(table.column("crc32").chunk(0), np.uint32).copy()
        return ShardIndex(file, stored.buffers()[2].address - address, ends, sums, _state(file.stat()))


def numbers(column: pa.Array, kind: type[Number], *, more: int = 0) -> NDArray[Number]:
    """The numbers of a column without a copy, or the ends of its items, which are one more.

    Not `to_numpy`: that loads pandas, 0.3 s and 28 MB in each worker.
    """
    return np.frombuffer(column.buffers()[1], dtype=kind)[column.offset : column.offset + len(column) + more]


class Files:
    """The files of a store that are open for reading, a part of the program's limit; safe for threads."""

    def __init__(self) -> None:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = max(FEWEST_FILES, limit // STORES) if limit != resource.RLIM_INFINITY else 2**16
        self._opened = lru_cache(most)(_File)

    def read(self, index: ShardIndex, image: int) -> bytes:
        """The stored bytes of an image. Raises ValueError if the file is another than before or ends too early."""
        file = self._opened(index.file, index.state)
        first, end = int(index.ends[image]), int(index.ends[image + 1])
        data = os.pread(file.number, end - first, index.start + first)
        if len(data) < end - first:
            raise ValueError("the file was cut short while it was in use")
        return data


class _File:
    """A file that is open for as long as something refers to it, also while a thread reads what another drops."""

    def __init__(self, path: Path, state: tuple[int, int]) -> None:
        self.number = os.open(path, os.O_RDONLY)
        if _state(os.fstat(self.number)) != state:
            raise ValueError("the file was changed while it was in use")

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


def _state(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns
