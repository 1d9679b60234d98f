"""The splits of ILSVRC from its files: training photos by class, and the numbered photos of validation and test."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from alexrepro.data.sources.folders import (
    FIRST_OF_2012,
    ILSVRC_2012_TRAIN,
    ILSVRC_CLASSES,
    LAST_OF_2012,
    spoken,
)
from alexrepro.data.sources.source import UNLABELED, Photo, Place, Source, Split
from alexrepro.errors import Exit, UserError

NUMBERED = re.compile(r"ILSVRC20\d\d_(val|test)_(\d{8})(?:_(n\d{8}))?(?:\.\w+)*", re.IGNORECASE)  # Hugging Face: WNID
COUNTS_2012 = {"train": ILSVRC_2012_TRAIN, "val": 50_000, "test": 100_000}  # §2; exact counts of the 2012 release
# The first lines of the ground truth, 490, 361, 171 and 822 (ILSVRC2012_devkit_t12).
KNOWN_VAL = {1: "n01751748", 2: "n09193705", 3: "n02105855", 4: "n04263257"}
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
    known = labels or [UNLABELED] * len(found)
    photos = [Photo(spoken(Path(split, name)), label, place) for (name, place), label in zip(found, known, strict=True)]
    return Split(split, photos, labeled=labels is not None)


def gaps_of_2012(classes: Sequence[str], splits: Sequence[Split]) -> Iterator[str]:
    """Where the classes or photos are not as many as in the release of 2012, for a source that has no devkit.

    Test photos, whose labels were never published, may be missing as a whole.
    """
    if len(classes) != ILSVRC_CLASSES:
        yield f"{len(classes):,} of {ILSVRC_CLASSES:,} classes"
    counts = {"train": 0, "val": 0, **{split.name: len(split.photos) for split in splits}}
    for name, count in counts.items():
        if count != COUNTS_2012[name]:
            yield f"{count:,} of {COUNTS_2012[name]:,} {name} photos"


def is_2012(classes: Sequence[str]) -> bool:
    """Whether the classes are the thousand of 2012 in any order, which are known by their first and last WNID."""
    return len(set(classes)) == ILSVRC_CLASSES and (min(classes), max(classes)) == (FIRST_OF_2012, LAST_OF_2012)


def refuse_wrong_labels(path: Path, source: Source) -> None:
    """Compare the first validation photos of 2012 with their known classes, since numbers betray no wrong order.

    Only with all thousand classes: smaller sets may have numbered their photos anew.
    """
    if not is_2012(source.classes):
        return
    for photo in (photo for split in source.splits for photo in split.photos if split.name == "val"):
        number = NUMBERED.fullmatch(photo.name)
        known = KNOWN_VAL.get(int(number[2])) if number else None
        if known and photo.label >= 0 and source.classes[photo.label] != known:
            raise UserError(
                f"{path}: {photo.name} is labeled {source.classes[photo.label]}, but it is known to be {known}; so "
                "the labels of the validation photos are in another order.",
                fix="Take them from ILSVRC2012_devkit_t12.tar.gz, LOC_val_solution.csv, or a val.txt that counts the "
                "sorted WNIDs from 0.",
                exit_code=Exit.BAD_DATA,
            )
