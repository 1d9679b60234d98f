"""The store: one folder per split, Arrow shards of square images that anything that reads Arrow can read (D3).

<dataset>-<split>-<digest>/ holds manifest.json, shard-00000.arrow ... with the columns image, label, name, crc32 and,
for training, mean.npy and color_axes.json. The manifest is written last: a folder without one is not a store.
"""

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from alexrepro.data.decode import Pixels, decode_square
from alexrepro.data.plan import STORED_PX
from alexrepro.errors import Exit, Refusal

FORMAT = 1
SHARD_IMAGES = 1024  # as many as a batch file of 2012 held (convdata_jpeg.py)
MANIFEST, MEAN, COLOR_AXES, DEFECTS = "manifest.json", "mean.npy", "color_axes.json", "defects.csv"
SCHEMA = pa.schema([("image", pa.binary()), ("label", pa.int64()), ("name", pa.string()), ("crc32", pa.uint32())])
Encoding = Literal["jpeg", "raw"]
ReadOnly = NDArray[np.float32]


@dataclass(frozen=True)
class Defect:
    """A file that was odd or unreadable: where, of which class, why, and what was done about it."""

    path: str
    class_name: str
    reason: str
    action: Literal["decoded", "left out"]

    def as_dict(self) -> dict[str, str]:
        """The four columns under the names of the manifest and the reports."""
        return {"path": self.path, "class": self.class_name, "reason": self.reason, "action": self.action}


@dataclass(frozen=True)
class Shard:
    """One Arrow file of a store."""

    file: str
    images: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a store holds and how it was made; nothing here depends on the time or the machine."""

    dataset: str
    split: str
    images: int
    classes: tuple[str, ...]
    class_names: tuple[str, ...]
    ilsvrc_ids: tuple[int, ...] | None
    labelled: bool
    encoding: Encoding
    rule: str
    source: str
    listing: str
    libraries: dict[str, str]
    shards: tuple[Shard, ...]
    defects: tuple[dict[str, str], ...]
    format: int = FORMAT

    @property
    def full_name(self) -> str:
        """The split with its data set, as tables name it: `ilsvrc2010-test`."""
        return f"{self.dataset}-{self.split}"

    @property
    def digest(self) -> str:
        """A digest of the images in their order with their labels, and of the classes."""
        parts = [self.full_name, self.encoding, list(self.classes), [shard.sha256 for shard in self.shards]]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


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
        try:
            manifest = read_manifest(path)
        except FileNotFoundError:
            raise Refusal(
                f"{path} is not a store: it has no {MANIFEST}.",
                fix="Make one with: alexrepro prepare SOURCE.",
                exit_code=Exit.MISSING_INPUT,
            ) from None
        for shard in manifest.shards:
            if not (path / shard.file).exists():
                raise _damaged(path, f"{shard.file} is missing")
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
        return np.concatenate(columns).astype(np.int64)

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
                raise _damaged(self.path, f"{self.manifest.shards[shard].file}, row {place} ({self.name(row)})")
            self._checked[row] = True
        if self.manifest.encoding == "jpeg":
            decode_square(data, out)
        else:
            out[:] = np.frombuffer(data, dtype=np.uint8).reshape(STORED_PX, STORED_PX, 3)

    def mean_image(self) -> ReadOnly:
        """The mean of all training images, float32 (3, 256, 256), 0-255. Raises Refusal if this split has none."""
        self._needs_statistics()
        found: ReadOnly = np.load(self.path / MEAN, allow_pickle=False)
        return found

    def color_axes(self) -> ColorAxes:
        """The principal components of RGB. Raises Refusal if this split has none."""
        self._needs_statistics()
        read = json.loads((self.path / COLOR_AXES).read_text(encoding="utf-8"))
        return ColorAxes(*(np.array(read[name]) for name in ("mean_rgb", "eigenvalues", "eigenvectors")))

    def _needs_statistics(self) -> None:
        if not (self.path / MEAN).exists():
            raise Refusal(
                f"{self.path} is a {self.manifest.split} store and has no mean image.",
                fix="Train on the training split: alexrepro train --store STORE.",
            )

    def _where(self, row: int) -> tuple[int, int]:
        shard = int(np.searchsorted(self._first_rows, row, side="right")) - 1
        return shard, row - int(self._first_rows[shard])

    def _table(self, shard: int) -> pa.Table:
        if shard not in self._tables:
            file = self.path / self.manifest.shards[shard].file
            try:
                self._tables[shard] = pa.ipc.open_file(pa.memory_map(str(file))).read_all().combine_chunks()
            except (OSError, pa.ArrowInvalid) as error:
                raise _damaged(self.path, f"{file.name} cannot be read ({error})") from None
        return self._tables[shard]


def read_manifest(path: Path) -> Manifest:
    """The manifest in a folder. Raises FileNotFoundError if there is none, Refusal for another format."""
    read = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    if read.get("format") != FORMAT:
        raise Refusal(
            f"{path} has the format {read.get('format')}; this version reads {FORMAT}.",
            fix="Prepare it anew with: alexrepro prepare SOURCE.",
        )
    ids = read["ilsvrc_ids"]
    lists = {name: tuple(read[name]) for name in ("classes", "class_names", "defects")}
    shards = tuple(Shard(**shard) for shard in read["shards"])
    return Manifest(**{**read, **lists, "shards": shards, "ilsvrc_ids": tuple(ids) if ids else None})


def manifest_text(manifest: Manifest) -> str:
    """The content of manifest.json."""
    return json.dumps(asdict(manifest), indent=1, ensure_ascii=False) + "\n"


def shard_table(images: Sequence[bytes], labels: Sequence[int], names: Sequence[str]) -> pa.Table:
    """The rows of one shard, with the checksum of each image."""
    sums = [zlib.crc32(image) for image in images]
    return pa.table([images, labels, names, sums], schema=SCHEMA)


def write_shard(table: pa.Table, path: Path) -> None:
    """Write the rows as one Arrow file with one record batch."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        writer.write_table(table.combine_chunks())


def find_stores(folder: Path) -> list[Store]:
    """Every complete store below a folder, the newest first."""
    manifests = sorted(folder.rglob(MANIFEST), key=lambda path: (-path.stat().st_mtime, str(path)))
    return [Store.open(path.parent) for path in manifests]


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


def _damaged(path: Path, what: str) -> Refusal:
    return Refusal(
        f"The store {path} is damaged: {what}.", fix="Prepare it anew from its source.", exit_code=Exit.BAD_DATA
    )
