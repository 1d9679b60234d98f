"""Labels and names: the tables that somebody else wrote, which of them label ILSVRC's images, and what is known of it.

An image is known by its file name without folders and suffix, so that `val/x.JPEG`, `x.jpg` and `x` are the same;
position never matters, nor do quotes, tabs, trailing blanks, a line of headings and repeated lines.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alexrepro.data.sources.official_files import (
    CAFFE,
    SOLUTION,
    ClassTable,
    Year,
    truth,
    truth_file,
)
from alexrepro.data.sources.source import File, Found, Source, Split, bad_data
from alexrepro.data.sources.walk import SPLITS, WNID
from alexrepro.errors import UserError
from alexrepro.files import read_text
from alexrepro.paper.results import CLASSES, IMAGES

FIRST_OF_2012, LAST_OF_2012 = "n01440764", "n15075141"  # of its sorted WNIDs: tench and toilet tissue
# The first lines of the ground truth, 490, 361, 171 and 822 (ILSVRC2012_devkit_t12).
KNOWN_VAL = {1: "n01751748", 2: "n09193705", 3: "n02105855", 4: "n04263257"}
LONGEST_NAME = 64  # of a data set; a file system allows 255 bytes with what is added to it
NUMBERED = re.compile(r"ILSVRC20\d\d_(val|test)_(\d{8})(?:_(n\d{8}))?(?:\.\w+)*", re.IGNORECASE)  # Hugging Face: WNID
NAMED = re.compile(rf"\W*({WNID.pattern})[\s,;:\"']+(.*)")
BETWEEN = r"[\s,;\"']"
ROW = re.compile(rf"(?:.*?(?:{BETWEEN}|[/\\]))??([\w-]+)(?:\.\w+)*{BETWEEN}+({WNID.pattern}|\d{{1,6}})\b.*")
SHOWN = 60  # characters of a line that is not understood


def is_of(split: str, name: str) -> bool:
    """Whether a file is named as a numbered image of a split."""
    number = NUMBERED.fullmatch(name)
    return number is not None and number[1].lower() == split


def table_labels(text: str, file: Path, names: Sequence[str], label_of: Mapping[str, int]) -> list[int]:
    """The label of each image in a table: Caffe's val.txt, LOC_val_solution.csv or val_annotations.txt.

    Each line has the name of an image and its class: a WNID, or a number that counts the sorted WNIDs from 0. There may
    be lines of more images. Raises UserError for any other line but a first one of headings, for an image without a
    line or with two classes, for an unknown class, and for numbers that do not count from 0.
    """
    rows: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        row = ROW.fullmatch(line)
        if row and rows.setdefault(_key(row[1]), row[2]) != row[2]:
            raise _bad_table(file, f"it gives {row[1]} two labels, {rows[_key(row[1])]} and {row[2]}")
        if not row and line.strip() and number > 1:
            raise _bad_table(file, f"line {number:,} is {line.strip()[:SHOWN]!a}, without an image and its class")
    return _labels_in(rows, file, names, label_of)


def _labels_in(rows: Mapping[str, str], file: Path, names: Sequence[str], label_of: Mapping[str, int]) -> list[int]:
    missing = [name for name in names if _key(name) not in rows]
    if missing:
        raise _bad_table(file, f"it has no row for {len(missing):,} of {len(names):,} images, such as {missing[0]}")
    wnids = sorted(label_of)
    numbers = {int(label) for label in rows.values() if label.isdecimal()}
    if numbers and numbers != set(range(len(wnids))):
        found_range = f"its numbers, from {min(numbers):,} to {max(numbers):,},"
        raise _bad_table(file, f"{found_range} do not give each class a label from 0 to {len(wnids) - 1:,}")
    found = [wnids[int(label)] if label.isdecimal() else label for label in (rows[_key(name)] for name in names)]
    if unknown := sorted(set(found) - label_of.keys()):
        raise _bad_table(file, f"it names classes that are not there, such as {unknown[0]}")
    return [label_of[wnid] for wnid in found]


def _key(name: str) -> str:
    """An image's name in a table: in lower case, without suffix, and of a numbered one without its WNID."""
    number = NUMBERED.fullmatch(name)
    return (name[: number.end(2)] if number else name.partition(".")[0]).lower()


def words_by_wnid(text: str) -> dict[str, str]:
    """The names of classes by WNID, in lines that begin with one, such as `n01440764 tench, Tinca tinca`."""
    found = (NAMED.fullmatch(line.rstrip(" \t\"';")) for line in text.split("\n"))
    return {row[1]: row[2].strip() for row in found if row}


@dataclass(frozen=True)
class Truth:
    """What gives ILSVRC's labels: the devkit, Kaggle's table, Caffe's val.txt, or names and folders with WNIDs.

    images: the folder that the images are in.
    """

    path: Path
    images: Path
    year: Year
    table: ClassTable | None
    label_of: Mapping[str, int]

    def ids(self, split: str) -> list[int] | None:
        """The devkit's ids of a split, the first that of the image with the number 1; None if there are none."""
        if self.table is None:
            return None
        return truth(self.path, truth_file(self.year, split), classes=len(self.table.wnids))

    def labels(self, split: str, found: Found) -> list[int] | None:
        """The label of each image, or None if nothing gives it.

        Raises UserError for images that a table lacks, or that lie in folders of other classes than the table gives.
        """
        names = [name for name, _ in found]
        numbers = [NUMBERED.fullmatch(name) for name in names]
        labels = self._in_tables(split, names) if all(numbers) else None
        folders = [class_above(at.path, self.images) if isinstance(at, File) else "" for _, at in found]
        own = [folder or (number and number[3]) for folder, number in zip(folders, numbers, strict=True)]
        by_own = [self.label_of.get(wnid or "") for wnid in own]
        known = labels or by_own
        if any(own) and (None in known or any(w and b != k for w, b, k in zip(own, by_own, known, strict=True))):
            raise bad_data(
                f"{self.path} has {split} images in folders of other classes than their labels, or some in no class.",
                "Move the images out of the class folders, or each into the folder of its class.",
            )
        if labels or any(own):
            return [label for label in known if label is not None]
        return None

    def gaps(self, training: Mapping[str, Found], splits: Sequence[Split]) -> Iterator[str]:
        """Classes and splits with more or fewer images than the devkit or the release counts.

        Test images of 2012, whose labels were never published, may be missing altogether, and so may training images.
        """
        assert self.table is not None
        for wnid, count in zip(self.table.wnids, self.table.train_counts, strict=True) if training else ():
            if len(training[wnid]) != count:
                yield f"{wnid} has {len(training[wnid]):,} of {count:,} training images"
        counts = {split.name: len(split.images) for split in splits}
        for name in ("val", "test"):
            if name not in counts and (not training or (name, self.year) == ("test", "2012")):
                continue
            ids, count = self.ids(name), counts.get(name, 0)
            dataset = f"ilsvrc{self.year}"
            expected = IMAGES[f"{dataset}-{name}"] if len(self.label_of) == CLASSES[dataset] else count
            expected = expected if ids is None else len(ids)
            if count != expected:
                yield f"{count:,} of {expected:,} {name} images"

    def _in_tables(self, split: str, names: Sequence[str]) -> list[int] | None:
        ids = self.ids(split)
        if ids is not None and self.table is not None:
            prefix = f"ilsvrc{self.year}_{split}_"
            rows = {f"{prefix}{number:08d}": self.table.wnids[known - 1] for number, known in enumerate(ids, 1)}
            return _labels_in(rows, self.path / truth_file(self.year, split), names, self.label_of)
        tables = (SOLUTION, CAFFE, f"caffe_ilsvrc12/{CAFFE}") if self.year == "2012" else (SOLUTION,)
        for file in (self.path / name for name in tables):
            if split == "val" and file.is_file():
                return table_labels(read_text(file), file, names, self.label_of)
        return None


def class_above(file: Path, folder: Path) -> str:
    """The WNID of the nearest folder of an image that is named by one, below a folder; or nothing."""
    return next((part for part in reversed(file.relative_to(folder).parts[:-1]) if WNID.fullmatch(part)), "")


def _bad_table(file: Path, what: str) -> UserError:
    fix = f"Correct {file.name} or put the original there; or move it elsewhere, and the images stay without labels."
    return bad_data(f"{file} cannot give the labels: {what}.", fix)


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
    return len(set(classes)) == CLASSES["ilsvrc2012"] and (min(classes), max(classes)) == (FIRST_OF_2012, LAST_OF_2012)


def is_wnids(classes: Sequence[str]) -> bool:
    """Whether every class is a WNID."""
    return all(WNID.fullmatch(name) for name in classes)


def dataset_of(path: Path, classes: Sequence[str], splits: Sequence[Split]) -> str:
    """`ilsvrc2012` for its exact number of classes and training images; else the folder's name, or that above train/.

    That is in lower case, with hyphens for all but letters and digits. A long name is cut and ends in a digest of the
    whole, because the names of stores and runs, which contain it, have a limit.
    """
    trained = next((len(split.images) for split in splits if split.name == "train"), 0)
    official = (CLASSES["ilsvrc2012"], IMAGES["ilsvrc2012-train"])
    if (len(classes), trained) == official and is_wnids(classes):
        return "ilsvrc2012"
    here = path.resolve()
    here = here.parent if here.name.lower() in SPLITS else here
    name = re.sub(r"[^a-z0-9]+", "-", here.name.lower()).strip("-") or "images"
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
