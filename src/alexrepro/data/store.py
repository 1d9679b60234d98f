"""The store: one folder per split, Arrow shards of square images that anything that reads Arrow can read (D3).

<dataset>-<split>-<digest>/ holds manifest.json, shard-00000.arrow ... with the columns image, label, name, crc32 and,
for training, mean.npy and color_axes.json. The manifest is written last: a folder without one is not a store.
"""

import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from alexrepro.data.decode import Pixels, decode_square
from alexrepro.data.manifest import COLOR_AXES, MANIFEST, MEAN, Manifest, damaged, read_manifest, sha256_of
from alexrepro.errors import Exit, Refusal
from alexrepro.paper.training import STORED_PX
from alexrepro.progress import say

SCHEMA = pa.schema([("image", pa.binary()), ("label", pa.int64()), ("name", pa.string()), ("crc32", pa.uint32())])


@dataclass(frozen=True)
class ColorAxes:
    """Principal components of RGB over all training pixels (§4.1).

    mean_rgb: (3,), 0-255. eigenvalues: (3,), variances of pixels on the 0-1 scale, descending. eigenvectors: (3, 3),
    one per column.
    """

    mean_rgb: NDArray[np.float64]
    eigenvalues: NDArray[np.float64]
    eigenvectors: NDArray[np.float64]


class Store:
    """A complete store, memory-mapped; safe to read from several threads and processes."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._first_rows = np.cumsum([0, *(shard.images for shard in manifest.shards)])
        self._tables: dict[int, pa.Table] = {}
        self._checked = np.zeros(manifest.images, dtype=np.bool_)

    @classmethod
    def open(cls, path: Path) -> "Store":
        """The store in a folder. Raises Refusal if it is none, is of another format, or lacks a shard."""
        manifest = read_manifest(path)
        for shard in manifest.shards:
            if not (path / shard.file).exists():
                raise damaged(path, f"{shard.file} is missing")
        return cls(path, manifest)

    def __len__(self) -> int:
        """Images in the store."""
        return self.manifest.images

    def __getstate__(self) -> dict[str, Any]:
        """Another process maps the files itself."""
        return {**self.__dict__, "_tables": {}}

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The class of each image as its place in `manifest.classes`, (N,); -1 where unlabelled."""
        columns = [self._table(i)["label"].to_numpy() for i in range(len(self.manifest.shards))]
        labels = np.concatenate(columns).astype("<i8")
        if sha256_of(labels.tobytes()) != self.manifest.labels_sha256:
            raise damaged(self.path, "the labels do not have their checksum")
        return labels.astype(np.int64)

    def name(self, row: int) -> str:
        """The file name of an image."""
        shard, place = self._where(row)
        return str(self._table(shard)["name"][place].as_py())

    def pixels(self, row: int, out: Pixels) -> None:
        """Put an image into `out`, uint8 (256, 256, 3).

        Its checksum is compared the first time; raises Refusal naming file and row if it is damaged.
        """
        shard, place = self._where(row)
        table = self._table(shard)
        data = memoryview(table["image"][place].as_buffer()).cast("B")
        if not self._checked[row]:
            if zlib.crc32(data) != table["crc32"][place].as_py():
                raise damaged(self.path, f"{self.manifest.shards[shard].file}, row {place} ({self.name(row)})")
            self._checked[row] = True
        if self.manifest.encoding == "jpeg":
            decode_square(data, out)
        else:
            out[:] = np.frombuffer(data, dtype=np.uint8).reshape(STORED_PX, STORED_PX, 3)

    def mean_image(self) -> NDArray[np.float32]:
        """The mean of all training images, float32 (3, 256, 256), 0-255. Raises Refusal if this split has none."""
        found: NDArray[np.float32] = np.load(io.BytesIO(self._beside(MEAN)), allow_pickle=False)
        return found

    def color_axes(self) -> ColorAxes:
        """The principal components of RGB. Raises Refusal if this split has none."""
        read = json.loads(self._beside(COLOR_AXES))
        return ColorAxes(*(np.array(read[name]) for name in ("mean_rgb", "eigenvalues", "eigenvectors")))

    def _beside(self, file: str) -> bytes:
        """A file of statistics, once its checksum has been compared."""
        if file not in self.manifest.sha256:
            raise Refusal(
                f"{self.path} is a {self.manifest.split} store and has no {file}.",
                fix="Train on the training split: alexrepro train --store STORE.",
            )
        data = (self.path / file).read_bytes()
        if sha256_of(data) != self.manifest.sha256[file]:
            raise damaged(self.path, f"{file} does not have its checksum")
        return data

    def _where(self, row: int) -> tuple[int, int]:
        shard = int(np.searchsorted(self._first_rows, row, side="right")) - 1
        return shard, row - int(self._first_rows[shard])

    def _table(self, shard: int) -> pa.Table:
        if shard not in self._tables:
            file = self.path / self.manifest.shards[shard].file
            try:
                table = pa.ipc.open_file(pa.memory_map(str(file))).read_all().combine_chunks()
                table.validate(full=True)
                if table.schema != SCHEMA or len(table) != self.manifest.shards[shard].images:
                    raise ValueError("other columns or rows than the manifest says")
                self._tables[shard] = table
            except (OSError, ValueError, KeyError) as error:  # pyarrow's own errors are among these
                raise damaged(self.path, f"{file.name} cannot be read ({error})") from None
        return self._tables[shard]


def shard_table(images: Sequence[bytes], labels: Sequence[int], names: Sequence[str]) -> pa.Table:
    """The rows of one shard, with the checksum of each image."""
    sums = [zlib.crc32(image) for image in images]
    return pa.table([images, labels, names, sums], schema=SCHEMA)


def write_shard(table: pa.Table, path: Path) -> None:
    """Write the rows as one Arrow file with one record batch."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        writer.write_table(table.combine_chunks())


def find_stores(folder: Path) -> list[Store]:
    """Every complete store below a folder, the newest first; one that cannot be opened is passed over, saying so."""
    manifests = [path for path in folder.rglob(MANIFEST) if not path.parent.name.startswith(".")]
    found = []
    for path in sorted(manifests, key=lambda path: (-path.stat().st_mtime, str(path))):
        try:
            found.append(Store.open(path.parent))
        except Refusal as refusal:
            say(f"Passed over: {refusal.what}")
    return found


def newest_store(folder: Path, *, split: str | None = None, dataset: str | None = None) -> Store:
    """The newest store of this split and data set below a folder; raises Refusal saying what is there instead."""
    found = find_stores(folder)
    for store in found:
        if split in (None, store.manifest.split) and dataset in (None, store.manifest.dataset):
            return store
    wanted = " ".join(filter(None, (dataset, split, "store")))
    there = f"it holds {', '.join(store.path.name for store in found)}" if found else "it holds no store"
    raise Refusal(
        f"There is no {wanted} under {folder}; {there}.",
        fix="Make one with: alexrepro prepare SOURCE (or the word miniature), or name one with --store.",
        exit_code=Exit.MISSING_INPUT,
    )
