"""Makes one shard: decodes, resizes, encodes and writes its images, then its summary.

Worker processes load this module; the process that starts them does not need the decoders and kernels.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from alexrepro.data.sources.source import ImageFile
from alexrepro.data.store import torch_kernel
from alexrepro.data.store.decode import Pixels, decode, decode_stored, encode
from alexrepro.data.store.manifest import LEFT_OUT, Encoding, Shard, damaged, defect
from alexrepro.data.store.planes import to_planes, to_rgb
from alexrepro.data.store.resize import resize
from alexrepro.data.store.shard_rows import ShardRows
from alexrepro.data.store.shards import Job, Summary
from alexrepro.data.store.statistics import Moments
from alexrepro.data.store.store import Store
from alexrepro.errors import Unreached, Unreadable
from alexrepro.files import sha256_of_file, write_text, write_whole

torch_kernel.library()  # once, where workers are forked from


def make_shard(job: Job, images: Sequence[ImageFile], classes: Sequence[str]) -> None:
    """Write a shard of some images, decoded, resized and encoded or taken from a store, then its summary."""
    with ShardRows(job.folder) as rows:
        if job.unlabeled:
            defects, unreached = _label(job, job.unlabeled, images, classes, rows), 0
        else:
            defects, unreached = _encode(job, images, classes, rows)
        file = job.file("arrow")
        write_whole(file, rows.write)
    summary = Summary(Shard(file.name, len(rows.labels), sha256_of_file(file)), rows.labels, defects, unreached)
    write_text(job.file("summary.json"), json.dumps(asdict(summary)))


def _label(
    job: Job, store: Store, images: Sequence[ImageFile], classes: Sequence[str], rows: ShardRows
) -> list[dict[str, str]]:
    """Add the images of an unlabeled store with their labels: the bytes that encoding them again would give."""
    known = {each["path"]: each for each in store.manifest.defects}
    names = {image.path: classes[image.label] for image in images}
    defects = [{**known[path], "class": name} for path, name in names.items() if path in known]
    left_out = {each["path"] for each in defects if each["action"] == LEFT_OUT}
    kept = [image for image in images if image.path not in left_out]
    file = job.file("arrow").name
    first = sum(shard.images for shard in store.manifest.shards if shard.file < file)
    stored = range(first, min(first + len(kept), len(store)))
    if [store.name(row) for row in stored] != [image.name for image in kept]:
        raise damaged(store.path, f"{file} does not hold the images that its source lists")
    for row, image in zip(stored, kept, strict=True):
        rows.add(store.stored(row, check=True).tobytes(), image.label, image.name)
    return defects


def _encode(
    job: Job, images: Sequence[ImageFile], classes: Sequence[str], rows: ShardRows
) -> tuple[list[dict[str, str]], int]:
    """Add the images; the odd or unreadable files, and how many of them the system could not read."""
    defects: list[dict[str, str]] = []
    unreached = 0
    side_px = job.form.side_px
    moments, stored = Moments.none(side_px), np.empty((side_px, side_px, 3), dtype=np.uint8)
    for image in images:
        class_name = classes[image.label] if image.label >= 0 else ""
        try:
            pixels, oddity = decode(image.read())
        except Unreadable as reason:
            defects.append(defect(image.path, class_name, str(reason), LEFT_OUT))
            unreached += isinstance(reason, Unreached)
            continue
        if oddity and oddity != image.suffix:
            defects.append(defect(image.path, class_name, oddity, "decoded"))
        data = _encoded(resize(pixels, side_px, job.form.resize), job.form.encoding, stored)
        if job.needs_moments:
            moments.add(stored)
        rows.add(data, image.label, image.name)
    if job.needs_moments:
        write_whole(job.file("moments.npz"), moments.save)
    return defects, unreached


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
