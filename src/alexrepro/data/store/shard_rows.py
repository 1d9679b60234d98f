"""The rows of a shard on their way to its file; their images wait on the disk, not in memory."""

import zlib
from mmap import ACCESS_READ, mmap
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import pyarrow as pa

from alexrepro.data.store.store import SCHEMA


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
