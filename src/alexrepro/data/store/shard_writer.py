"""Shards of a store: their images decoded, resized, encoded and written, in this process or in several.

A shard depends on its images alone. Its summary is written last, so a shard with a summary is complete.
"""

import json
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from alexrepro.data.sources.source import ImageFile
from alexrepro.data.store.decode import Pixels, decode, decode_stored, encode
from alexrepro.data.store.manifest import LEFT_OUT, Encoding, Form, Shard, defect
from alexrepro.data.store.resize import resize
from alexrepro.data.store.shard_workers import make_in_processes
from alexrepro.data.store.statistics import Moments
from alexrepro.data.store.store import shard_table, write_shard
from alexrepro.errors import Unreached, Unreadable
from alexrepro.files import sha256_of_file, write_text, write_whole


@dataclass(frozen=True)
class Job:
    """One shard to make: its images, its folder and the form in which they are stored."""

    number: int
    images: Sequence[ImageFile]
    classes: Sequence[str]
    folder: Path
    form: Form
    needs_moments: bool

    @property
    def file(self) -> Path:
        """The Arrow file."""
        return self.folder / f"shard-{self.number:05d}.arrow"

    @property
    def summary(self) -> Path:
        """The summary of the finished shard."""
        return self.folder / f"shard-{self.number:05d}.summary.json"

    @property
    def moments(self) -> Path:
        """The sums over its pixels."""
        return self.folder / f"shard-{self.number:05d}.moments.npz"


@dataclass(frozen=True)
class Summary:
    """A finished shard, its labels, its odd or unreadable files, and how many of them the system could not read."""

    shard: Shard
    labels: list[int]
    defects: list[dict[str, str]]
    unreached: int = 0


def make_shards(jobs: Sequence[Job], *, workers: int) -> Generator[Job]:
    """Make shards, in this process or in several, and yield each when it is done."""
    if workers > 1:
        yield from make_in_processes(jobs, workers=workers)
        return
    for job in jobs:
        make_shard(job)
        yield job


def make_shard(job: Job) -> None:
    """Decode, resize and encode the images of a shard and write it, then its summary."""
    images, labels, names = [], [], []
    defects: list[dict[str, str]] = []
    unreached = 0
    side_px = job.form.side_px
    moments, stored = Moments.none(side_px), np.empty((side_px, side_px, 3), dtype=np.uint8)
    for image in job.images:
        class_name = job.classes[image.label] if image.label >= 0 else ""
        try:
            decoded = decode(image.read())
        except Unreadable as reason:
            defects.append(defect(image.path, class_name, str(reason), LEFT_OUT))
            unreached += isinstance(reason, Unreached)
            continue
        if decoded.oddity and decoded.oddity != image.suffix:
            defects.append(defect(image.path, class_name, decoded.oddity, "decoded"))
        images.append(_encoded(resize(decoded.pixels, side_px, job.form.resize), job.form.encoding, stored))
        if job.needs_moments:
            moments.add(stored)
        labels.append(image.label)
        names.append(image.name)
    write_whole(job.file, lambda path: write_shard(shard_table(images, labels, names), path))
    if job.needs_moments:
        write_whole(job.moments, moments.save)
    shard = Shard(job.file.name, len(images), sha256_of_file(job.file))
    write_text(job.summary, json.dumps(asdict(Summary(shard, labels, defects, unreached))))


def read_summary(job: Job) -> Summary | None:
    """The summary of a finished shard; None if it is not finished, or one of its files is missing or damaged."""
    if not job.file.exists() or (job.needs_moments and not job.moments.exists()):
        return None
    try:
        read = json.loads(job.summary.read_text(encoding="utf-8"))
        return Summary(**{**read, "shard": Shard(**read["shard"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _encoded(pixels: Pixels, encoding: Encoding, stored: Pixels) -> bytes:
    """The bytes to store; `stored` becomes the pixels that training will read from them."""
    if encoding == "raw":
        stored[:] = pixels
        return pixels.tobytes()
    data = encode(pixels)
    decode_stored(data, stored)
    return data
