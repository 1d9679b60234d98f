"""Image Parquet written by Hugging Face's own library, in the forms in which it is found there."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets

from ..layouts import WNIDS, WORDS, Pictures, hub_name, in_name_order


@dataclass(frozen=True)
class Example:
    """One row: the path that it remembers, if any, its bytes, and its label."""

    path: str | None
    data: bytes
    label: int


def to_parquet(
    root: Path, word: str, rows: Sequence[Example], *, names: Sequence[str], column: str = "image", files: int = 1,
    ending: str = "", group: int = 2,
) -> None:  # fmt: skip
    """A split in so many files, `<word>-00000-of-<files><ending>.parquet`, and row groups of so many rows."""
    features = datasets.Features({column: datasets.Image(), "label": datasets.ClassLabel(names=list(names))})
    pictures = [{"path": row.path, "bytes": row.data} for row in rows]
    whole = datasets.Dataset.from_dict({column: pictures, "label": [row.label for row in rows]}, features=features)
    root.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        part = whole.shard(num_shards=files, index=number, contiguous=True)
        part.to_parquet(root / f"{word}-{number:05d}-of-{files:05d}{ending}.parquet", batch_size=group)


def imagenet_1k(root: Path, pictures: Pictures, order: Sequence[str] = tuple(sorted(WNIDS))) -> None:
    """As ILSVRC/imagenet-1k: names end in the WNID, the classes have words, and test images have the label -1."""
    for word, split, files in (("train", "train", 2), ("validation", "val", 1)):
        rows = [Example(hub_name(name, w), data, order.index(w)) for name, w, data in in_name_order(pictures[split])]
        to_parquet(root / "data", word, rows, names=[WORDS[wnid] for wnid in order], files=files)
    tests = [Example(name, data, -1) for name, _, data in in_name_order(pictures["test"])]
    to_parquet(root / "data", "test", tests, names=[WORDS[wnid] for wnid in order])


def resized(root: Path, pictures: Pictures) -> None:
    """As the copy of short side 256: no paths, a digest in the file names, and the split `val`."""
    names = [WORDS[wnid] for wnid in sorted(WNIDS)]
    for split, ending in (("train", "-0123456789abcdef"), ("val", "-fedcba9876543210")):
        rows = [Example(None, data, sorted(WNIDS).index(w)) for _, w, data in in_name_order(pictures[split])]
        to_parquet(root / "data", split, rows, names=names, ending=ending)


def tiny_imagenet(root: Path, pictures: Pictures, order: Sequence[str] = tuple(sorted(WNIDS))) -> None:
    """As Tiny-ImageNet at Hugging Face: the classes are WNIDs, and the split is called `valid`."""
    for word, split in (("train", "train"), ("valid", "val")):
        rows = [Example(name, data, order.index(w)) for name, w, data in in_name_order(pictures[split])]
        to_parquet(root / "data", word, rows, names=order)
