"""Shards of a store: their images decoded, resized, encoded and written, in this process or in several.

A shard depends on its images alone. Its summary is written last, so a shard with a summary is complete.
"""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import torch

from alexrepro.data.sources.source import ImageFile
from alexrepro.data.store import processes
from alexrepro.data.store.decode import Pixels, decode, decode_stored, encode
from alexrepro.data.store.manifest import LEFT_OUT, Encoding, Form, Shard, damaged, defect
from alexrepro.data.store.planes import to_planes, to_rgb
from alexrepro.data.store.resize import resize
from alexrepro.data.store.statistics import Moments
from alexrepro.data.store.store import Store, write_shard
from alexrepro.errors import Exit, Unreached, Unreadable, UserError
from alexrepro.files import sha256_of_file, write_text, write_whole


@dataclass(frozen=True)
class Job:
    """One shard to make: its images, its folder and the form in which they are stored.

    unlabeled: a store that holds the same images without their labels, in shards of the same number.
    """

    number: int
    images: Sequence[ImageFile]
    classes: Sequence[str]
    folder: Path
    form: Form
    needs_moments: bool
    unlabeled: Store | None = None

    def file(self, suffix: str) -> Path:
        """The rows (arrow), the sums over the pixels (moments.npz), or the finished shard (summary.json)."""
        return self.folder / f"shard-{self.number:05d}.{suffix}"


@dataclass(frozen=True)
class Summary:
    """A finished shard, its labels, its odd or unreadable files, and how many of them the system could not read."""

    shard: Shard
    labels: list[int]
    defects: list[dict[str, str]]
    unreached: int


def make_shards(jobs: Sequence[Job], *, workers: int) -> Iterator[Job]:
    """Make shards, in this process or each in one of several, and yield each when it is done.

    Raises what is raised for a shard at once, and UserError if its process was killed; the other processes are ended.
    """
    if workers == 1:
        for job in jobs:
            make_shard(job)
            yield job
        return
    waiting = deque(jobs)
    working: dict[Connection, tuple[BaseProcess, Job]] = {}
    try:
        while waiting or working:
            while waiting and len(working) < workers:
                process, pipe = processes.start(_make_in_process, waiting[0])
                working[pipe] = process, waiting.popleft()
            for ready in wait(list(working)):
                assert isinstance(ready, Connection)
                with ready:
                    _raise_failure(ready, *working[ready])
                yield working.pop(ready)[1]
    finally:
        processes.end([process for process, _ in working.values()], working)


def _raise_failure(pipe: Connection, process: BaseProcess, job: Job) -> None:
    """Raise what a process raised, if it did, or UserError if it was killed."""
    try:
        error: Exception | None = pipe.recv()
    except (EOFError, ConnectionResetError):
        raise UserError(
            f"Worker process {process.pid} {processes.ending(process)} while it made {job.file('arrow')}.",
            fix="Check whether memory ran out; if so, use fewer --workers. The same command continues: finished "
            "shards are kept.",
            exit_code=Exit.WORKER_FAILED,
        ) from None
    if error:
        raise error


def _make_in_process(pipe: Connection, job: Job) -> None:
    torch.set_num_threads(1)
    answer: Exception | None = None
    try:
        make_shard(job)
    except (UserError, MemoryError) as error:
        answer = error
    except OSError as error:  # a new one: pickling loses what was added to its text
        answer = OSError(error.errno, error.strerror, error.filename)
    pipe.send(answer)


def make_shard(job: Job) -> None:
    """Write a shard of a job's images, decoded, resized and encoded or taken from a store, then its summary."""
    _label_shard(job, job.unlabeled) if job.unlabeled else _encode_shard(job)


def _label_shard(job: Job, store: Store) -> None:
    """Write the images of an unlabeled store with their labels: the bytes that encoding them again would give."""
    known = {each["path"]: each for each in store.manifest.defects}
    names = {image.path: job.classes[image.label] for image in job.images}
    defects = [{**known[path], "class": name} for path, name in names.items() if path in known]
    left_out = {each["path"] for each in defects if each["action"] == LEFT_OUT}
    kept = [image for image in job.images if image.path not in left_out]
    file = job.file("arrow").name
    first = sum(shard.images for shard in store.manifest.shards if shard.file < file)
    rows = range(first, min(first + len(kept), len(store)))
    if [store.name(row) for row in rows] != [image.name for image in kept]:
        raise damaged(store.path, f"{file} does not hold the images that its source lists")
    _write(job, [store.stored(row, check=True).tobytes() for row in rows], kept, defects)


def _encode_shard(job: Job) -> None:
    images, kept = list[bytes](), list[ImageFile]()
    defects: list[dict[str, str]] = []
    unreached = 0
    side_px = job.form.side_px
    moments, stored = Moments.none(side_px), np.empty((side_px, side_px, 3), dtype=np.uint8)
    for image in job.images:
        class_name = job.classes[image.label] if image.label >= 0 else ""
        try:
            pixels, oddity = decode(image.read())
        except Unreadable as reason:
            defects.append(defect(image.path, class_name, str(reason), LEFT_OUT))
            unreached += isinstance(reason, Unreached)
            continue
        if oddity and oddity != image.suffix:
            defects.append(defect(image.path, class_name, oddity, "decoded"))
        images.append(_encoded(resize(pixels, side_px, job.form.resize), job.form.encoding, stored))
        if job.needs_moments:
            moments.add(stored)
        kept.append(image)
    if job.needs_moments:
        write_whole(job.file("moments.npz"), moments.save)
    _write(job, images, kept, defects, unreached=unreached)


def _write(
    job: Job, images: Sequence[bytes], kept: Sequence[ImageFile], defects: list[dict[str, str]], *, unreached: int = 0
) -> None:
    """Write the rows of a shard, then its summary, last of all."""
    rows, labels = job.file("arrow"), [image.label for image in kept]
    write_whole(rows, lambda path: write_shard(path, images, labels, [image.name for image in kept]))
    summary = Summary(Shard(rows.name, len(images), sha256_of_file(rows)), labels, defects, unreached)
    write_text(job.file("summary.json"), json.dumps(asdict(summary)))


def read_summary(job: Job) -> Summary | None:
    """The summary of a finished shard; None if it is not finished, or one of its files is missing or damaged."""
    files = ["arrow", "moments.npz"] if job.needs_moments else ["arrow"]
    if not all(job.file(suffix).exists() for suffix in files):
        return None
    try:
        read = json.loads(job.file("summary.json").read_text(encoding="utf-8"))
        return Summary(**{**read, "shard": Shard(**read["shard"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _encoded(pixels: Pixels, encoding: Encoding, stored: Pixels) -> bytes:
    """The bytes to store; `stored` becomes the pixels that training will read from them."""
    if encoding == "raw":
        stored[:] = pixels
        return pixels.tobytes()
    if encoding == "planes":
        planes = to_planes(pixels)
        to_rgb(planes, stored)
        return planes.tobytes()
    data = encode(pixels)
    decode_stored(data, stored)
    return data
