"""One shard of a store: its photos decoded, squared, encoded and written, with what is known of them in a note.

A shard depends on its photos alone. Its note is written last, so a shard with a note is whole.
"""

import json
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from alexrepro.data.sources.source import ImageFile
from alexrepro.data.store.decode import Pixels, decode, decode_square, encode
from alexrepro.data.store.manifest import LEFT_OUT, Defect, Encoding, Form, Shard
from alexrepro.data.store.resize import resize
from alexrepro.data.store.shard_workers import make_in_processes
from alexrepro.data.store.statistics import Moments
from alexrepro.data.store.store import shard_table, write_shard
from alexrepro.errors import Unreached, Unreadable
from alexrepro.files import sha256_of_file, write_text, write_whole


@dataclass(frozen=True)
class Job:
    """One shard to make: which photos, into which file of which folder."""

    number: int
    photos: Sequence[ImageFile]
    classes: Sequence[str]
    folder: Path
    form: Form
    needs_moments: bool

    @property
    def file(self) -> Path:
        """The Arrow file."""
        return self.folder / f"shard-{self.number:05d}.arrow"

    @property
    def note(self) -> Path:
        """What is known of the finished shard."""
        return self.folder / f"shard-{self.number:05d}.note.json"

    @property
    def moments(self) -> Path:
        """The sums over its pixels."""
        return self.folder / f"shard-{self.number:05d}.moments.npz"


@dataclass(frozen=True)
class Note:
    """A finished shard, the labels in it, its odd or unreadable files, and how many of them the system did not read."""

    shard: Shard
    labels: list[int]
    defects: list[dict[str, str]]
    unreached: int = 0


def make_shards(jobs: Sequence[Job], *, processes: int) -> Generator[Job]:
    """Make shards, in this process or in several, and yield each when it is done."""
    if processes > 1:
        yield from make_in_processes(jobs, processes=processes)
        return
    for job in jobs:
        make_shard(job)
        yield job


def make_shard(job: Job) -> None:
    """Decode, square and encode the photos of a shard and write it, then its note."""
    images, labels, names = [], [], []
    defects: list[Defect] = []
    unreached = 0
    moments = Moments.none(job.form.side_px)
    stored = np.empty((job.form.side_px, job.form.side_px, 3), dtype=np.uint8)
    for photo in job.photos:
        class_name = job.classes[photo.label] if photo.label >= 0 else ""
        try:
            decoded = decode(photo.read())
        except Unreadable as reason:
            defects.append(Defect(photo.path, class_name, str(reason), LEFT_OUT))
            unreached += isinstance(reason, Unreached)
            continue
        if decoded.oddity and decoded.oddity != photo.suffix:
            defects.append(Defect(photo.path, class_name, decoded.oddity, "decoded"))
        pixels = resize(decoded.pixels, job.form.side_px, job.form.resize)
        images.append(_encoded(pixels, job.form.encoding, stored))
        if job.needs_moments:
            moments.add(stored)
        labels.append(photo.label)
        names.append(photo.name)
    write_whole(job.file, lambda path: write_shard(shard_table(images, labels, names), path))
    if job.needs_moments:
        write_whole(job.moments, lambda path: _save_moments(path, moments))
    shard = Shard(job.file.name, len(images), sha256_of_file(job.file))
    note = Note(shard, labels, [defect.as_dict() for defect in defects], unreached)
    write_text(job.note, json.dumps(asdict(note)))


def read_note(job: Job) -> Note | None:
    """What is known of a finished shard; None if it is not finished, or if one of its files is missing or damaged."""
    if not job.file.exists() or (job.needs_moments and not job.moments.exists()):
        return None
    try:
        read = json.loads(job.note.read_text(encoding="utf-8"))
        return Note(**{**read, "shard": Shard(**read["shard"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def load_moments(job: Job) -> Moments:
    """The sums over a finished shard's pixels."""
    with np.load(job.moments, allow_pickle=False) as saved:
        return Moments(int(saved["images"]), saved["sums"], saved["products"])


def _encoded(pixels: Pixels, encoding: Encoding, stored: Pixels) -> bytes:
    """The bytes to store; `stored` becomes the pixels that training will read from them."""
    if encoding == "raw":
        stored[:] = pixels
        return pixels.tobytes()
    data = encode(pixels)
    decode_square(data, stored)
    return data


def _save_moments(path: Path, moments: Moments) -> None:
    with path.open("wb") as file:
        np.savez(file, images=moments.images, sums=moments.sums, products=moments.products)
