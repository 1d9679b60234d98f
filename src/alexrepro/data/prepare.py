"""From a source to stores: every split's shards, their exact statistics, and the manifest last (§2).

Work is kept by shard, so that an interrupted preparation continues, and the result is the same bytes for any number
of processes.
"""

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from alexrepro.data import manifest as files
from alexrepro.data.decode import RESIZE_RULE, codec_versions
from alexrepro.data.manifest import Encoding, Manifest, read_manifest, sha256_of
from alexrepro.data.shards import Job, Note, load_moments, make_shards, read_note
from alexrepro.data.sources import recognise
from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.sources.source import Source, Split
from alexrepro.data.statistics import Moments
from alexrepro.data.store import Store, find_stores
from alexrepro.errors import Exit, Refusal
from alexrepro.files import write_bytes, write_text
from alexrepro.progress import progress, say

SHARD_IMAGES = 1024  # as many as a batch file of 2012 held (convdata_jpeg.py)
BYTES_AN_IMAGE = {"jpeg": 33_000, "raw": 197_000}  # measured means, with their names and labels
SHOWN_GAPS = 5
MINIATURE_FOLDER = "ilsvrc2010-miniature-source"


def prepare(
    source: str | Path,
    *,
    out: Path,
    encoding: Encoding = "jpeg",
    processes: int | None = None,
    allow_partial: bool = False,
    layout: str | None = None,
) -> dict[str, Store]:
    """Write one store per split of a source below `out` and return them by split name.

    source: a folder whose layout is recognised or named, or the word "miniature". Unreadable files are left out and
    listed; a split that is already there is not made again. Raises Refusal if nothing in a split can be read, if the
    disk is too full, or if photos are missing and a part is not allowed.
    """
    if str(source) == "miniature":
        source = out / MINIATURE_FOLDER
        write_miniature(source)
    found = recognise(Path(source), layout=layout)
    if found.gaps and not allow_partial:
        raise _incomplete(Path(source), found.gaps)
    _refuse_if_too_full(out, found, encoding)
    name = Path(source).resolve().name
    workers = processes or os.cpu_count() or 1
    return {
        s.name: _prepare_split(found, s, name=name, out=out, encoding=encoding, workers=workers) for s in found.splits
    }


def _prepare_split(source: Source, split: Split, *, name: str, out: Path, encoding: Encoding, workers: int) -> Store:
    listing = _listing(source, split, encoding)
    for store in find_stores(out):
        if store.manifest.listing == listing:
            say(f"{store.path} is already prepared from these files.")
            return store
    folder = out / f".preparing-{source.dataset}-{split.name}-{listing[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(out / f"{folder.name}.lock"):
        if not (folder / files.MANIFEST).exists():
            jobs = [
                Job(number, split.photos[first : first + SHARD_IMAGES], source.classes, folder, encoding,
                    needs_moments=split.name == "train")
                for number, first in enumerate(range(0, len(split.photos), SHARD_IMAGES))
            ]  # fmt: skip
            _run(jobs, title=f"prepare {source.dataset}-{split.name}", workers=workers)
            notes = [read_note(job) for job in jobs]
            _refuse_if_empty(split, notes)
            _write_manifest(source, split, jobs=jobs, notes=notes, name=name, listing=listing)
        return _finish(folder, out)


def _run(jobs: Sequence[Job], *, title: str, workers: int) -> None:
    """Make the shards that are not there yet."""
    waiting = [job for job in jobs if not job.note.exists()]
    total = sum(len(job.photos) for job in jobs)
    done = total - sum(len(job.photos) for job in waiting)
    if done:
        say(f"{title}: continuing after {done:,} of {total:,} images.")
    with progress(title, total=total, done=done) as advance:
        for job in make_shards(waiting, processes=min(workers, len(waiting))):
            advance(len(job.photos), "")


def _write_manifest(
    source: Source, split: Split, *, jobs: Sequence[Job], notes: Sequence[Note], name: str, listing: str
) -> None:
    """Write the statistics and the table of defects, and last the manifest."""
    folder, encoding = jobs[0].folder, jobs[0].encoding
    sums = _write_statistics(jobs) if split.name == "train" else {}
    defects = tuple(defect for note in notes for defect in note.defects)
    if defects:
        write_text(folder / files.DEFECTS, _defect_table(defects))
    shards = tuple(note.shard for note in notes if note.shard.images)
    labels = np.array([label for note in notes for label in note.labels], dtype="<i8")
    manifest = Manifest(
        dataset=source.dataset, split=split.name, images=sum(shard.images for shard in shards),
        classes=source.classes, class_names=source.class_names, ilsvrc_ids=source.ilsvrc_ids,
        labelled=split.labelled, encoding=encoding, rule=RESIZE_RULE, source=name, listing=listing,
        libraries={"torch": torch.__version__, **codec_versions()},
        shards=shards, defects=defects, labels_sha256=sha256_of(labels.tobytes()), sha256=sums,
    )  # fmt: skip
    write_text(folder / files.MANIFEST, manifest.text())


def _write_statistics(jobs: Sequence[Job]) -> dict[str, str]:
    """The mean image and the color axes beside the shards, and their checksums."""
    folder, moments, array = jobs[0].folder, Moments(), io.BytesIO()
    for job in jobs:
        moments.merge(load_moments(job))
    np.save(array, moments.mean_image(), allow_pickle=False)
    axes = {name: value.tolist() for name, value in asdict(moments.color_axes()).items()}
    contents = {files.MEAN: array.getvalue(), files.COLOR_AXES: (json.dumps(axes, indent=1) + "\n").encode()}
    for file, content in contents.items():
        write_bytes(folder / file, content)
    return {file: sha256_of(content) for file, content in contents.items()}


def _finish(folder: Path, out: Path) -> Store:
    """Remove what only the work needed and give the folder its name."""
    manifest = read_manifest(folder)
    kept = {shard.file for shard in manifest.shards}
    for path in (*folder.glob("shard-*.note.json"), *folder.glob("shard-*.moments.npz"), *folder.glob("shard-*.arrow")):
        if path.name not in kept:  # an Arrow file that is not kept held unreadable photos only
            path.unlink()
    final = out / f"{manifest.full_name}-{manifest.digest[:6]}"
    if final.exists():
        shutil.rmtree(folder)
        say(f"{final} is already there with the same images.")
    else:
        folder.rename(final)
    return Store.open(final)


def _incomplete(path: Path, gaps: Sequence[str]) -> Refusal:
    more = f" and {len(gaps) - SHOWN_GAPS:,} more" if len(gaps) > SHOWN_GAPS else ""
    return Refusal(
        f"{path} is not complete: {'; '.join(gaps[:SHOWN_GAPS])}{more}.",
        fix="Fetch what is missing, or prepare what is there with: --allow-partial.",
        exit_code=Exit.BAD_DATA,
    )


def _refuse_if_too_full(out: Path, source: Source, encoding: Encoding) -> None:
    """Before the start, not after hours: room for every image of the source."""
    out.mkdir(parents=True, exist_ok=True)
    need = sum(len(split.photos) for split in source.splits) * BYTES_AN_IMAGE[encoding]
    have = shutil.disk_usage(out).free
    if need > have:
        raise Refusal(
            f"The stores need about {need / 1e9:.1f} GB, and {out} has {have / 1e9:.1f} GB free.",
            fix="Free some space, or choose another disk with --out.",
            exit_code=Exit.IO_ERROR,
        )


def _refuse_if_empty(split: Split, notes: Sequence[Note]) -> None:
    if not any(note.shard.images for note in notes):
        reason = next((f" The first: {note.defects[0]['reason']}." for note in notes if note.defects), "")
        raise Refusal(
            f"None of the {len(split.photos):,} files of {split.name} can be read.{reason}",
            fix="Check that the source holds images.",
            exit_code=Exit.BAD_DATA,
        )


def _listing(source: Source, split: Split, encoding: Encoding) -> str:
    """A digest of what would be prepared and how: paths, sizes, labels, classes, rule, encoding."""
    digest = hashlib.sha256(json.dumps([source.dataset, split.name, source.classes, RESIZE_RULE, encoding]).encode())
    for photo in split.photos:
        digest.update(f"{photo.path}\0{photo.place.size()}\0{photo.label}\n".encode())
    return digest.hexdigest()


def _defect_table(defects: Sequence[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=("path", "class", "reason", "action"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(defects)
    return text.getvalue()
