"""From a source to stores: decode, short side to 256, central 256×256, Arrow shards, exact statistics (§2).

Work is done and kept by shard, so that an interrupted preparation continues, and every shard depends on its photos
alone, so that the result is the same bytes for any number of processes.
"""

import csv
import hashlib
import io
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from alexrepro.data import store as stores
from alexrepro.data.decode import RESIZE_RULE, Pixels, Unreadable, codec_versions, decode, decode_square, encode, square
from alexrepro.data.plan import STORED_PX
from alexrepro.data.sources import recognise
from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.sources.source import Photo, Source, Split
from alexrepro.data.statistics import Moments
from alexrepro.data.store import Defect, Encoding, Manifest, Shard, Store
from alexrepro.errors import Exit, Refusal
from alexrepro.files import write_text, write_whole
from alexrepro.progress import progress, say

MINIATURE_FOLDER = "ilsvrc2010-miniature-source"


@dataclass(frozen=True)
class _Job:
    """One shard to make: which photos, into which file of which folder."""

    number: int
    photos: Sequence[Photo]
    classes: Sequence[str]
    folder: Path
    encoding: Encoding
    needs_moments: bool

    @property
    def file(self) -> Path:
        return self.folder / f"shard-{self.number:05d}.arrow"

    @property
    def note(self) -> Path:
        """What is known of the finished shard; written last, so that a shard with a note is whole."""
        return self.folder / f"shard-{self.number:05d}.note.json"

    @property
    def moments(self) -> Path:
        return self.folder / f"shard-{self.number:05d}.moments.npz"


def prepare(
    source: str | Path, *, out: Path, encoding: Encoding = "jpeg", processes: int | None = None
) -> dict[str, Store]:
    """Write one store per split of a source below `out` and return them by split name.

    source: a folder of a layout that is recognised, or the word "miniature". Unreadable files are left out and
    listed; a split that is already there is not made again. Raises Refusal if nothing in a split can be read.
    """
    if str(source) == "miniature":
        source = out / MINIATURE_FOLDER
        write_miniature(source)
    found = recognise(Path(source))
    return {
        split.name: _prepare_split(
            found, split, name=Path(source).resolve().name, out=out, encoding=encoding, processes=processes
        )
        for split in found.splits
    }


def _prepare_split(
    source: Source, split: Split, *, name: str, out: Path, encoding: Encoding, processes: int | None
) -> Store:
    listing = _listing(source, split, encoding)
    for store in stores.find_stores(out):
        if store.manifest.listing == listing:
            say(f"{store.path} is already prepared from these files.")
            return store
    folder = out / f".preparing-{source.dataset}-{split.name}-{listing[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(out / f".{folder.name[1:]}.lock"):
        jobs = [
            _Job(number, split.photos[first : first + stores.SHARD_IMAGES], source.classes, folder, encoding,
                 split.name == "train")
            for number, first in enumerate(range(0, len(split.photos), stores.SHARD_IMAGES))
        ]  # fmt: skip
        _run(jobs, title=f"prepare {source.dataset}-{split.name}", processes=processes)
        shards, defects = _notes(jobs)
        manifest = Manifest(
            dataset=source.dataset, split=split.name, images=sum(shard.images for shard in shards),
            classes=source.classes, class_names=source.class_names, ilsvrc_ids=source.ilsvrc_ids,
            labelled=split.labelled, encoding=encoding, rule=RESIZE_RULE, source=name, listing=listing,
            libraries={"torch": torch.__version__, **codec_versions()},
            shards=shards, defects=defects,
        )  # fmt: skip
        if manifest.images == 0:
            raise Refusal(
                f"None of the {len(split.photos):,} files of {split.name} can be read"
                f"{': ' + defects[0]['reason'] if defects else ''}.",
                fix="Check the source; the reasons are those of its first file.",
                exit_code=Exit.BAD_DATA,
            )
        return _finish(jobs, manifest, out)


def _finish(jobs: Sequence[_Job], manifest: Manifest, out: Path) -> Store:
    """Write what belongs beside the shards, the manifest last, and give the folder its name."""
    folder = jobs[0].folder
    if jobs[0].needs_moments:
        moments = Moments()
        for job in jobs:
            moments.merge(_load_moments(job.moments))
        write_whole(folder / stores.MEAN, lambda path: _save_array(path, moments.mean_image()))
        axes = {name: value.tolist() for name, value in asdict(moments.color_axes()).items()}
        write_text(folder / stores.COLOR_AXES, json.dumps(axes, indent=1) + "\n")
    if manifest.defects:
        write_text(folder / stores.DEFECTS, _defect_table(manifest.defects))
    for job in jobs:
        job.note.unlink()
        job.moments.unlink(missing_ok=True)
    for job in jobs:
        if not any(shard.file == job.file.name for shard in manifest.shards):
            job.file.unlink()  # a shard whose photos were all unreadable
    write_text(folder / stores.MANIFEST, stores.manifest_text(manifest))
    final = out / f"{manifest.full_name}-{manifest.digest[:6]}"
    if final.exists():
        shutil.rmtree(folder)
        say(f"{final} is already there with the same images.")
    else:
        folder.rename(final)
    return Store.open(final)


def _run(jobs: Sequence[_Job], *, title: str, processes: int | None) -> None:
    """Make the shards that are not there yet."""
    waiting = [job for job in jobs if not job.note.exists()]
    total = sum(len(job.photos) for job in jobs)
    done = total - sum(len(job.photos) for job in waiting)
    if done:
        say(f"{title}: continuing after {done:,} of {total:,} images.")
    workers = min(processes or os.cpu_count() or 1, len(waiting))
    with progress(title, total=total, done=done) as advance:
        for job in _made(waiting, workers):
            advance(len(job.photos), "")


def _made(jobs: Sequence[_Job], workers: int) -> Iterator[_Job]:
    if workers <= 1:
        for job in jobs:
            yield _make_shard(job)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = [pool.submit(_make_shard, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _make_shard(job: _Job) -> _Job:
    """Decode, square and encode the photos of a shard and write it, then its note."""
    images, labels, names = [], [], []
    defects: list[Defect] = []
    moments = Moments()
    stored = np.empty((STORED_PX, STORED_PX, 3), dtype=np.uint8)
    for photo in job.photos:
        class_name = job.classes[photo.label] if photo.label >= 0 else ""
        try:
            decoded = decode(photo.read())
        except Unreadable as reason:
            defects.append(Defect(photo.path, class_name, str(reason), "left out"))
            continue
        if decoded.oddity:
            defects.append(Defect(photo.path, class_name, decoded.oddity, "decoded"))
        data = _encoded(square(decoded.pixels), job.encoding, stored)
        if job.needs_moments:
            moments.add(stored)
        images.append(data)
        labels.append(photo.label)
        names.append(photo.name)
    write_whole(job.file, lambda path: stores.write_shard(stores.shard_table(images, labels, names), path))
    if job.needs_moments:
        write_whole(job.moments, lambda path: _save_moments(path, moments))
    with job.file.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    shard = Shard(job.file.name, len(images), sha256)
    write_text(job.note, json.dumps({"shard": asdict(shard), "defects": [d.as_dict() for d in defects]}))
    return job


def _encoded(pixels: Pixels, encoding: Encoding, stored: Pixels) -> bytes:
    """The bytes to store; `stored` becomes the pixels that training will read from them."""
    if encoding == "raw":
        stored[:] = pixels
        return pixels.tobytes()
    data = encode(pixels)
    decode_square(data, stored)
    return data


def _notes(jobs: Iterable[_Job]) -> tuple[tuple[Shard, ...], tuple[dict[str, str], ...]]:
    """The shards that hold images, and all defects, in the order of the source."""
    shards, defects = [], []
    for job in jobs:
        note = json.loads(job.note.read_text(encoding="utf-8"))
        shards.append(Shard(**note["shard"]))
        defects += note["defects"]
    return tuple(shard for shard in shards if shard.images), tuple(defects)


def _listing(source: Source, split: Split, encoding: Encoding) -> str:
    """A digest of what would be prepared and how: paths, sizes, labels, classes, rule, encoding."""
    digest = hashlib.sha256(json.dumps([source.dataset, split.name, source.classes, RESIZE_RULE, encoding]).encode())
    for photo in split.photos:
        digest.update(f"{photo.path}\0{photo.place.size()}\0{photo.label}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _defect_table(defects: Sequence[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=("path", "class", "reason", "action"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(defects)
    return text.getvalue()


def _save_array(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def _save_moments(path: Path, moments: Moments) -> None:
    with path.open("wb") as file:
        np.savez(file, images=moments.images, sums=moments.sums, products=moments.products)


def _load_moments(path: Path) -> Moments:
    with np.load(path, allow_pickle=False) as saved:
        return Moments(int(saved["images"]), saved["sums"], saved["products"])
