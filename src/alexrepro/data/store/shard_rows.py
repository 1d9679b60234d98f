"""The rows of a shard: on their way to its file, while their images wait on the disk, and in mapped memory."""

import zlib
from mmap import ACCESS_READ, MADV_RANDOM, MADV_WILLNEED, PAGESIZE, mmap
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

SCHEMA = pa.schema([("image", pa.binary()), ("label", pa.int64()), ("name", pa.string()), ("crc32", pa.uint32())])
TAIL_BYTES = 65_536  # of a shard, behind its images: labels, names, checksums and the end of the file


class ShardRows:
    """The rows of a shard that is being made; a context that keeps the images in a temporary file of a folder."""

    def __init__(self, folder: Path) -> None:
        self._spool = TemporaryFile(dir=folder)  # noqa: SIM115
        self.labels, self._names, self._sums, self._ends = list[int](), list[str](), list[int](), [0]

    def __enter__(self) -> "ShardRows":
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def add(self, image: bytes, label: int, name: str) -> None:
        """Add one image."""
        self._spool.write(image)
        self._ends.append(self._ends[-1] + len(image))
        self._sums.append(zlib.crc32(image))
        self.labels.append(label)
        self._names.append(name)

    def write(self, path: Path) -> None:
        """Write the rows, with the checksum of each image, as one Arrow file with one record batch."""
        self._spool.flush()
        data = pa.py_buffer(mmap(self._spool.fileno(), 0, access=ACCESS_READ) if self._ends[-1] else b"")
        ends = pa.py_buffer(np.array(self._ends, dtype=np.int32))
        images = pa.Array.from_buffers(pa.binary(), len(self.labels), [None, ends, data])
        batch = pa.record_batch([images, self.labels, self._names, self._sums], schema=SCHEMA)
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
            writer.write_batch(batch)


def mapped(file: Path) -> pa.Buffer:
    """A shard in mapped memory, of which no more is read than is used, and the end beyond its images at once.

    Without this advice the disk reads its whole window, which may be megabytes, wherever something is used.
    """
    with file.open("rb") as stream:
        memory = mmap(stream.fileno(), 0, access=ACCESS_READ)
    memory.madvise(MADV_RANDOM)
    tail = max(len(memory) - TAIL_BYTES, 0) // PAGESIZE * PAGESIZE
    memory.madvise(MADV_WILLNEED, tail, len(memory) - tail)
    return pa.py_buffer(memory)


def numbers(table: pa.Table, column: str, kind: type[np.generic], *, more: int = 0) -> NDArray[Any]:
    """The numbers of a column, or the ends of its items, which are one more.

    Not by `to_numpy`: that loads pandas, 0.3 s and 28 MB in each worker.
    """
    return np.frombuffer(table.column(column).chunk(0).buffers()[1], dtype=kind, count=len(table) + more).copy()
