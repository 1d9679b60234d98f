"""The store: one folder per split, Arrow shards of square images that anything that reads Arrow can read (D3).

<dataset>-<split>-<digest>/ holds manifest.json, shard-00000.arrow ... with the columns image, label, name, crc32 and,
for training, mean.npy and color_axes.json. The manifest is written last: a folder without one is not a store.
"""

import io
import json
import os
import resource
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from alexrepro.data.store.decode import Pixels, decode_stored
from alexrepro.data.store.manifest import COLOR_AXES, MANIFEST, MEAN, Manifest, damaged, read_manifest, sha256_of
from alexrepro.data.store.planes import to_rgb
from alexrepro.data.store.shard_rows import SCHEMA, mapped, numbers
from alexrepro.data.store.statistics import ColorAxes
from alexrepro.errors import Exit, UserError
from alexrepro.files import listed
from alexrepro.progress import say

STORES, FEWEST_FILES = 4, 8  # a store may have a fourth of the program's open files, but at least eight


class ShardIndex(NamedTuple):
    """Where the images of a shard are in its file: image i is the bytes `start + ends[i]` to `start + ends[i + 1]`."""

    file: str
    start: int
    ends: NDArray[np.int32]
    sums: NDArray[np.uint32]  # CRC-32


class Store:
    """A complete store; safe to read from several threads and processes."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._first_rows = [0, *accumulate(shard.images for shard in manifest.shards)]
        self._indexes: dict[int, ShardIndex] = {}
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // STORES
        self._files = lru_cache(max(most, FEWEST_FILES))(pa.OSFile)  # closed when nothing refers to them
        self._names: tuple[int, list[str]] = (-1, [])  # of the shard whose name was asked last
        self.checked = np.zeros(manifest.images, dtype=np.bool_)  # whose checksums the loader has compared

    @classmethod
    def open(cls, path: Path) -> "Store":
        """The store in a folder. Raises UserError if it is none, is of another format, or lacks a shard."""
        manifest, there = read_manifest(path), {entry.name for entry in path.iterdir()}
        for shard in manifest.shards:
            if shard.file not in there:
                raise damaged(path, f"{shard.file} is missing")
        return cls(path, manifest)

    def __len__(self) -> int:
        """Images in the store."""
        return self.manifest.images

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process maps the files itself, and is sent nothing that grows with the number of images."""
        return Store, (self.path, self.manifest)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The class of each image as its index in `manifest.classes`, (N,); -1 where unlabeled."""
        labels = np.empty(len(self), dtype="<i8")
        for shard, (first, end) in enumerate(pairwise(self._first_rows)):
            with self._opened(shard) as (table, _):
                labels[first:end] = numbers(table, "label", np.int64)
        if sha256_of(labels.data) != self.manifest.labels_sha256:
            raise damaged(self.path, "the labels do not have their checksum")
        return labels

    def name(self, row: int) -> str:
        """The file name of an image."""
        shard, image = self._where(row)
        if self._names[0] != shard:
            with self._opened(shard) as (table, _):
                self._names = shard, table.column("name").to_pylist()
        return self._names[1][image]

    @property
    def names(self) -> pa.ChunkedArray:
        """The file names of all images, (N,), in mapped memory."""
        found = []
        for shard in range(len(self.manifest.shards)):
            with self._opened(shard) as (table, _):
                found.append(table.column("name").chunk(0))
        return pa.chunked_array(found, SCHEMA.field("name").type)

    def location(self, row: int) -> str:
        """The shard and row of an image, for messages. Reads nothing."""
        shard, image = self._where(row)
        return f"{self._file(shard).name}, row {image}"

    @property
    def side_px(self) -> int:
        """Side of the stored images."""
        return self.manifest.side_px

    def pixels(self, row: int) -> Pixels:
        """An image, uint8 (256, 256, 3). Raises UserError naming file and row if it is damaged."""
        return self.image(row, np.empty((self.side_px, self.side_px, 3), dtype=np.uint8), check=True)

    def image(self, row: int, scratch: Pixels, *, check: bool) -> Pixels:
        """The same, decoded into `scratch`, or raw as it was read; check: whether to compare its checksum."""
        data = self.stored(row, check=check)
        try:
            if self.manifest.encoding == "raw":
                return data.reshape(scratch.shape)
            if self.manifest.encoding == "planes":
                to_rgb(data, scratch)
            else:
                decode_stored(data.data, scratch)
            return scratch
        except ValueError as error:
            raise self._refused(self.location(row), error) from None

    def stored(self, row: int, *, check: bool) -> NDArray[np.uint8]:
        """The bytes of an image as they are stored: a JPEG, pixels (S·S·3,) or planes (S·S·3/2,); refuses likewise."""
        shard, image = self._where(row)
        try:
            data, checksum = self._read(shard, image)
            if check and zlib.crc32(data) != checksum:
                raise ValueError(self.name(row))
            return np.frombuffer(data, dtype=np.uint8)
        except (ValueError, OSError) as error:
            raise self._refused(self.location(row), error) from None

    def mean_image(self) -> NDArray[np.float32]:
        """The mean of all training images, float32 (3, 256, 256), 0-255. Raises UserError if this split has none."""
        found: NDArray[np.float32] = np.load(io.BytesIO(self._checked_file(MEAN)), allow_pickle=False)
        return found

    def color_axes(self) -> ColorAxes:
        """The principal components of RGB. Raises UserError if this split has none."""
        read = json.loads(self._checked_file(COLOR_AXES))
        return ColorAxes(*(np.array(read[name]) for name in ("mean_rgb", "eigenvalues", "eigenvectors")))

    def _checked_file(self, file: str) -> bytes:
        """A file of statistics, once its checksum has been compared."""
        if file not in self.manifest.sha256:
            raise UserError(
                f"{self.path} is a {self.manifest.split} store and has no {file}.",
                fix="Train on the training split: alexrepro train --store STORE.",
            )
        data = (self.path / file).read_bytes()
        if sha256_of(data) != self.manifest.sha256[file]:
            raise damaged(self.path, f"{file} does not have its checksum")
        return data

    def _where(self, row: int) -> tuple[int, int]:
        shard = bisect_right(self._first_rows, row) - 1
        return shard, row - self._first_rows[shard]

    def _read(self, shard: int, image: int) -> tuple[bytes, int]:
        """The stored bytes of an image and its checksum.

        From the file, not from mapped memory, where a file that is cut short meanwhile would end the program (SIGBUS).
        """
        if shard not in self._indexes:
            with self._opened(shard) as (table, address):
                start = table.column("image").chunk(0).buffers()[2].address - address
                ends, sums = numbers(table, "image", np.int32, more=1), numbers(table, "crc32", np.uint32)
                self._indexes[shard] = ShardIndex(str(self._file(shard)), start, ends, sums)
        index = self._indexes[shard]
        first, end = int(index.ends[image]), int(index.ends[image + 1])
        data = self._files(index.file).read_at(end - first, index.start + first)
        if len(data) < end - first:
            raise ValueError("the file was cut short while it was in use")
        return data, int(index.sums[image])

    def _file(self, shard: int) -> Path:
        return self.path / self.manifest.shards[shard].file

    @contextmanager
    def _opened(self, shard: int) -> Iterator[tuple[pa.Table, int]]:
        """The rows of a shard as one chunk in mapped memory, and the address at which its file begins there.

        What goes wrong meanwhile is refused, naming the file.
        """
        file = self._file(shard)
        try:
            buffer = mapped(file)
            table = pa.ipc.open_file(pa.BufferReader(buffer)).read_all().combine_chunks()
            table.validate(full=True)
            nulls = sum(column.null_count for column in table.columns)
            if table.schema != SCHEMA or len(table) != self.manifest.shards[shard].images or nulls:
                raise ValueError("its columns or rows are not those of the manifest")
            yield table, buffer.address
        except (ValueError, KeyError, OSError) as error:  # pyarrow's own errors are among these
            raise self._refused(file.name, error) from None

    def _refused(self, what: str, error: Exception) -> UserError:
        if not isinstance(error, OSError):
            return damaged(self.path, f"{what} ({error})")
        return UserError(
            f"{what} of the store {self.path} cannot be read ({error.strerror or error}).",
            fix="Check the disk and the limit on open files (ulimit -n), and try again.",
            exit_code=Exit.IO_ERROR,
        )


def find_stores(folder: Path) -> list[Store]:
    """Every complete store below a folder, the newest first; one that cannot be opened is skipped with a message."""
    found = []
    for path in sorted(_manifests(folder), key=lambda path: (-path.stat().st_mtime, str(path))):
        try:
            found.append(Store.open(path.parent))
        except UserError as error:
            say(f"Skipped: {error.what}")
    return found


def _manifests(folder: Path) -> Iterator[Path]:
    """The manifest of each store below a folder, but for hidden folders; nothing is looked for in a store."""
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and MANIFEST not in names]
        if MANIFEST in names:
            yield Path(here, MANIFEST)


def newest_store(folder: Path, *, split: str | None = None, dataset: str | None = None) -> Store:
    """The newest store of this split and data set below a folder; raises UserError saying what is there instead."""
    found = find_stores(listed(folder))
    for store in found:
        if split in (None, store.manifest.split) and dataset in (None, store.manifest.dataset):
            return store
    wanted = " ".join(filter(None, (dataset, split, "store")))
    there = f"it holds {', '.join(store.path.name for store in found)}" if found else "it holds no store"
    raise UserError(
        f"There is no {wanted} under {folder}; {there}.",
        fix="Make one with: alexrepro prepare SOURCE (or the word miniature), or name one with --store.",
        exit_code=Exit.MISSING_INPUT,
    )
