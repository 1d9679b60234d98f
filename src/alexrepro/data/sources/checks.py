"""What is known of ILSVRC, and what the layouts check alike: classes, labels, and the numbers of images."""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from alexrepro.data.sources.source import UNLABELED, ImageFile, Location, Source, Split, bad_data
from alexrepro.data.sources.walk import WNID, escaped
from alexrepro.progress import first_few

ILSVRC_2012_TRAIN, ILSVRC_CLASSES = 1_281_167, 1000  # §2; exact count of the 2012 release
COUNTS_2012 = {"train": ILSVRC_2012_TRAIN, "val": 50_000, "test": 100_000}  # §2; exact counts of the 2012 release
FIRST_OF_2012, LAST_OF_2012 = "n01440764", "n15075141"  # of its sorted WNIDs: tench and toilet tissue
# The first lines of the ground truth, 490, 361, 171 and 822 (ILSVRC2012_devkit_t12).
KNOWN_VAL = {1: "n01751748", 2: "n09193705", 3: "n02105855", 4: "n04263257"}
NUMBERED = re.compile(r"ILSVRC20\d\d_(val|test)_(\d{8})(?:_(n\d{8}))?(?:\.\w+)*", re.IGNORECASE)  # Hugging Face: WNID
NUMBERED_FILE = re.compile(r"(.*?)(\d+)(?:-of-(\d+))?(?:-[0-9a-f]{16})?(\.\w+)", re.IGNORECASE)
LONGEST_NAME = 64  # of a data set; a file system allows 255 bytes with what is added to it

SOLUTION, MAPPING = "LOC_val_solution.csv", "LOC_synset_mapping.txt"  # Kaggle's labels and words
DEVKIT, CAFFE = "ILSVRC2012_devkit_t12.tar.gz", "val.txt"
TREES = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")  # Kaggle keeps the images three folders below its tables

Year = Literal["2010", "2012"]
Found = list[tuple[str, Location]]  # file names and where to read them


def is_of(split: str, name: str) -> bool:
    """Whether a file is named as a numbered image of a split."""
    number = NUMBERED.fullmatch(name)
    return number is not None and number[1].lower() == split


def class_split(split: str, by_wnid: Mapping[str, Found], classes: Sequence[str]) -> Split:
    """A split whose images are known by WNID, in the order of the labels."""
    return Split(split, [
        ImageFile(escaped(f"{split}/{wnid}/{name}"), label, location)
        for label, wnid in enumerate(classes) for name, location in by_wnid.get(wnid, ())
    ])  # fmt: skip


def numbered_split(split: str, found: Found, labels: list[int] | None) -> Split:
    """The numbered images in their order, with their labels if they are known."""
    known = labels or [UNLABELED] * len(found)
    images = [ImageFile(escaped(f"{split}/{name}"), label, location)
              for (name, location), label in zip(found, known, strict=True)]  # fmt: skip
    return Split(split, images, labeled=labels is not None)


def same_classes(path: Path, classes_of: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """The classes of the first split. Raises UserError unless the others have the same."""
    first, *others = classes_of
    for name in others:
        if different := set(classes_of[first]) ^ set(classes_of[name]):
            shown = first_few([escaped(wnid) for wnid in sorted(different)])
            raise bad_data(f"{path}: {name} has other classes than {first}: {shown}.",
                           "Every split needs the same classes.")  # fmt: skip
    return tuple(classes_of[first])


def gaps_of_2012(classes: Sequence[str], splits: Sequence[Split]) -> Iterator[str]:
    """Where classes or images are not as many as in the release of 2012, for a source without a devkit.

    Test images, whose labels were never published, may be missing altogether.
    """
    if len(classes) != ILSVRC_CLASSES:
        yield f"{len(classes):,} of {ILSVRC_CLASSES:,} classes"
    counts = {"train": 0, "val": 0, **{split.name: len(split.images) for split in splits}}
    for name, count in counts.items():
        if count != COUNTS_2012[name]:
            yield f"{count:,} of {COUNTS_2012[name]:,} {name} images"


def without_training(classes: Sequence[str], splits: Sequence[Split]) -> Iterator[str]:
    """A remark on the classes without a training image, if there is a training split."""
    for split in (split for split in splits if split.name == "train"):
        used = {image.label for image in split.images} - {UNLABELED}
        unused = [name for label, name in enumerate(classes) if label not in used]
        if unused and used:
            more = f" (and {len(unused) - 1:,} more)" if len(unused) > 1 else ""
            yield f"{unused[0]}{more} of {len(classes):,} classes has no training image"


def missing_files(files: Sequence[Path]) -> Iterator[str]:
    """A remark on every set of numbered files, such as train-00000-of-00294.parquet, that lacks some.

    Sets without a total are checked only if they begin with 0 or 1. Raises UserError if one set is there in two
    numberings, which would give every image twice.
    """
    sets: dict[tuple[Path, str, str], list[tuple[int, str | None]]] = {}
    for file in files:
        if found := NUMBERED_FILE.fullmatch(file.name):
            before, number, total, after = found.groups()
            sets.setdefault((file.parent, before, after), []).append((int(number), total))
    for (folder, before, after), found_files in sets.items():
        numbers, (total, *other_totals) = {number for number, _ in found_files}, {total for _, total in found_files}
        if other_totals:
            raise bad_data(f"{folder} holds one set of files twice: {before}*{after}.", "Remove the older files.")
        first, last = min(numbers), max(numbers)
        expected = range(int(total)) if total else range(min(first, 1), last + 1)
        gaps = [number for number in expected if number not in numbers]
        if gaps and (total or first <= 1):
            yield f"{before}*{after} lacks {len(gaps):,} of {len(expected):,} files: {first_few(list(map(str, gaps)))}"


def refuse_missing_labels(split: str, unlabeled: Sequence[str], *, images: int) -> None:
    """Raise UserError for training images without a label, and for other splits that are labeled in part.

    unlabeled: where the images without a label are, in words. images: how many the split has.
    """
    if unlabeled and (split == "train" or len(unlabeled) < images):
        need = "every training image needs one" if split == "train" else "either every image has one or none has"
        raise bad_data(
            f"{len(unlabeled):,} of {images:,} images of {split} have no label: {first_few(unlabeled)}.",
            f"Label them or remove them; {need}.",
        )


def refuse_wrong_labels(path: Path, source: Source) -> None:
    """Compare the first validation images of 2012 with their known classes, which shows labels in another order.

    Only with all thousand classes: smaller sets may have renumbered their images.
    """
    if not is_2012(source.classes):
        return
    for image in (image for split in source.splits for image in split.images if split.name == "val"):
        number = NUMBERED.fullmatch(image.name)
        known = KNOWN_VAL.get(int(number[2])) if number else None
        if known and image.label >= 0 and source.classes[image.label] != known:
            raise bad_data(
                f"{path}: {image.name} is labeled {source.classes[image.label]}, but it is known to be {known}; so "
                "the labels of the validation images are in another order.",
                "Take them from ILSVRC2012_devkit_t12.tar.gz, LOC_val_solution.csv, or a val.txt that counts the "
                "sorted WNIDs from 0.",
            )


def is_2012(classes: Sequence[str]) -> bool:
    """Whether the classes are the thousand of 2012 in any order, by their first and last WNID."""
    return len(set(classes)) == ILSVRC_CLASSES and (min(classes), max(classes)) == (FIRST_OF_2012, LAST_OF_2012)


def is_wnids(classes: Sequence[str]) -> bool:
    """Whether every class is a WNID."""
    return all(WNID.fullmatch(name) for name in classes)


def dataset_of(path: Path, classes: Sequence[str], splits: Sequence[Split]) -> str:
    """`ilsvrc2012` for its exact number of classes and training images; else the folder's name, tidied.

    That is in lower case, with hyphens for all but letters and digits. A long name is cut and ends in a digest of the
    whole, because the names of stores and runs, which contain it, have a limit.
    """
    trained = next((len(split.images) for split in splits if split.name == "train"), 0)
    if len(classes) == ILSVRC_CLASSES and is_wnids(classes) and trained == ILSVRC_2012_TRAIN:
        return "ilsvrc2012"
    name = re.sub(r"[^a-z0-9]+", "-", path.resolve().name.lower()).strip("-") or "images"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def words_of(classes: tuple[str, ...], known: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Names for people: those known, else torchvision's for the sorted classes of ILSVRC-2012, else the classes."""
    if known:
        return tuple(known.get(name, name) for name in classes)
    if not (is_2012(classes) and is_wnids(classes) and list(classes) == sorted(classes)):
        return classes
    from torchvision.models import AlexNet_Weights

    return tuple(AlexNet_Weights.IMAGENET1K_V1.meta["categories"])
