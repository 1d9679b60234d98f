"""The end of a split's preparation: statistics and defects, the manifest last, and the folder's final name (§2)."""

import csv
import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from alexrepro.data.sources.source import Source, Split
from alexrepro.data.store import manifest as files
from alexrepro.data.store.decode import codec_versions
from alexrepro.data.store.manifest import Manifest, read_manifest, sha256_of
from alexrepro.data.store.resize import description
from alexrepro.data.store.shard_writer import Job, Note, load_moments
from alexrepro.data.store.statistics import Moments
from alexrepro.data.store.store import Store
from alexrepro.files import sync, write_bytes, write_text
from alexrepro.progress import say


def write_manifest(
    source: Source, split: Split, *, jobs: Sequence[Job], notes: Sequence[Note], name: str, listing: str
) -> None:
    """Write the statistics and the table of defects, and last the manifest."""
    folder, form = jobs[0].folder, jobs[0].form
    sums = _write_all(folder, _statistics(jobs) if split.name == "train" else {})
    defects = tuple(defect for note in notes for defect in note.defects)
    if defects:
        write_text(folder / files.DEFECTS, defect_table(defects))
    shards = tuple(note.shard for note in notes if note.shard.images)
    labels = np.array([label for note in notes for label in note.labels], dtype="<i8")
    manifest = Manifest(
        dataset=source.dataset, split=split.name, images=sum(shard.images for shard in shards),
        classes=source.classes, class_names=source.class_names, ilsvrc_ids=source.ilsvrc_ids,
        labeled=split.labeled, encoding=form.encoding, rule=description(form.side_px, form.resize), source=name,
        listing=listing,
        libraries={"torch": torch.__version__, **codec_versions()},
        shards=shards, defects=defects, labels_sha256=sha256_of(labels.tobytes()), sha256=sums,
        side_px=form.side_px, resize=form.resize,
    )  # fmt: skip
    write_text(folder / files.MANIFEST, manifest.text())


def _statistics(jobs: Sequence[Job]) -> dict[str, bytes]:
    """The mean image and the color axes, as files."""
    moments = Moments.none(jobs[0].form.side_px)
    for job in jobs:
        moments.merge(load_moments(job))
    axes = {name: value.tolist() for name, value in asdict(moments.color_axes()).items()}
    return {
        files.MEAN: _array_file(moments.mean_image()),
        files.COLOR_AXES: (json.dumps(axes, indent=1) + "\n").encode(),
    }


def _write_all(folder: Path, contents: dict[str, bytes]) -> dict[str, str]:
    """Write what lies beside the shards, and return the checksums."""
    for file, content in contents.items():
        write_bytes(folder / file, content)
    return {file: sha256_of(content) for file, content in contents.items()}


def _array_file(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def finish(folder: Path, out: Path) -> Store:
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
        sync(out)
    return Store.open(final)


def defect_table(defects: Sequence[dict[str, str]]) -> str:
    """The odd or unreadable files as CSV: path, class, reason, action."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=("path", "class", "reason", "action"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(defects)
    return text.getvalue()
