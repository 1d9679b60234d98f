"""The splits of ILSVRC from its files: training photos by class, and the numbered photos of validation and test."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from alexrepro.data.sources.folders import ILSVRC_2012_TRAIN, ILSVRC_CLASSES, spoken
from alexrepro.data.sources.source import UNLABELLED, Photo, Place, Split

NUMBERED = re.compile(r"ILSVRC20\d\d_(val|test)_\d{8}\.JPEG", re.IGNORECASE)
COUNTS_2012 = {"train": ILSVRC_2012_TRAIN, "val": 50_000, "test": 100_000}  # §2; exact counts of the 2012 release
Found = list[tuple[str, Place]]  # file names and where to read them


def train_split(training: dict[str, Found], label_of: dict[str, int]) -> Split:
    """The training photos by WNID, in the order of the labels."""
    by_label = sorted(training, key=lambda wnid: label_of[wnid])
    photos = [
        Photo(spoken(Path("train", wnid, name)), label_of[wnid], place)
        for wnid in by_label
        for name, place in training[wnid]
    ]
    return Split("train", photos)


def numbered_split(split: str, found: Found, labels: list[int] | None) -> Split:
    """The numbered photos in their order, with their labels where they are known."""
    known = labels or [UNLABELLED] * len(found)
    photos = [Photo(spoken(Path(split, name)), label, place) for (name, place), label in zip(found, known, strict=True)]
    return Split(split, photos, labelled=labels is not None)


def gaps_of_2012(classes: Sequence[str], splits: Sequence[Split]) -> Iterator[str]:
    """Where the classes or photos are not as many as in the release of 2012, for a source that has no devkit."""
    if len(classes) != ILSVRC_CLASSES:
        yield f"{len(classes):,} of {ILSVRC_CLASSES:,} classes"
    for split in splits:
        if len(split.photos) != COUNTS_2012[split.name]:
            yield f"{len(split.photos):,} of {COUNTS_2012[split.name]:,} {split.name} photos"
