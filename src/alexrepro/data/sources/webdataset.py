"""WebDataset shards: tars in which files of one stem are one sample, with `.jpg` and `.cls` (timm/imagenet-1k-wds).

Shards are named by split (imagenet1k-train-0000.tar, imagenet1k-validation-00.tar) and read where they lie.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from alexrepro.data.sources.archives import archive, members
from alexrepro.data.sources.folders import SPLITS, is_photo, sorted_names
from alexrepro.data.sources.source import Photo, Place, Source, Split
from alexrepro.errors import Exit, Refusal

SHARD = re.compile(r"(?P<dataset>.+?)[-_](?P<split>[a-z]+)[-_](?P<number>\d+)\.tar", re.IGNORECASE)
MOST_LABEL_BYTES = 32  # a decimal number


def fits(path: Path) -> bool:
    """Whether tars named after a split and a number lie in the folder."""
    return any(_split_of(name) for name in sorted_names(path))


def read(path: Path) -> Source:
    """The samples of every shard. Raises Refusal for a sample without label or picture."""
    by_split: dict[str, list[str]] = {}
    for name in sorted_names(path):
        split = _split_of(name)
        if split:
            by_split.setdefault(split, []).append(name)
    splits = tuple(
        Split(split, [photo for name in by_split[split] for photo in _samples(path / name)])
        for split in ("train", "val", "test")
        if split in by_split
    )
    largest = max(photo.label for split in splits for photo in split.photos)
    classes = tuple(f"class-{number:04d}" for number in range(largest + 1))
    named = SHARD.fullmatch(next(iter(by_split.values()))[0])
    assert named is not None
    return Source(named["dataset"].lower(), classes, classes, splits)


def _split_of(name: str) -> str | None:
    found = SHARD.fullmatch(name)
    return SPLITS.get(found["split"].lower()) if found else None


def _samples(shard: Path) -> Iterator[Photo]:
    """The samples of a shard in its order; each is complete when the next stem begins."""
    stem, parts = "", dict[str, Place]()
    for name, place in members(archive(shard)):
        first, _, suffix = name.partition(".")
        if first != stem and parts:
            yield _photo(shard, stem, parts)
            parts = {}
        stem = first
        parts[suffix.lower()] = place
    if parts:
        yield _photo(shard, stem, parts)


def _photo(shard: Path, stem: str, parts: dict[str, Place]) -> Photo:
    pictures = [suffix for suffix in parts if is_photo(f"x.{suffix}")]
    label = parts["cls"].read() if "cls" in parts and parts["cls"].size() <= MOST_LABEL_BYTES else b""
    if len(pictures) != 1 or not label.strip().isdigit():
        raise Refusal(
            f"{shard}: the sample {stem} has {', '.join(sorted(parts))}; it needs one picture and a number in .cls.",
            fix="Check that the shard is whole and meant for classification.",
            exit_code=Exit.BAD_DATA,
        )
    return Photo(f"{shard.name}/{stem}.{pictures[0]}", int(label), parts[pictures[0]])
