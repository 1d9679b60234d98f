"""Label tables that somebody else wrote or saved again, and which of them label the images of ILSVRC.

An image is known by its file name without folders and suffix, so that `val/x.JPEG`, `x.jpg` and `x` are the same;
position never matters, nor do quotes, tabs, trailing blanks, a line of headings and repeated lines.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alexrepro.data.sources.checks import CAFFE, COUNTS_2012, DEVKIT, ILSVRC_CLASSES, NUMBERED, SOLUTION, Found, Year
from alexrepro.data.sources.official_files import ClassTable, truth, truth_file
from alexrepro.data.sources.source import File, Split, bad_data
from alexrepro.data.sources.walk import WNID, is_image
from alexrepro.errors import UserError
from alexrepro.files import read_text
from alexrepro.progress import say

IMAGE_ID, PREDICTION = "imageid", "predictionstring"  # the columns of Kaggle's tables
NAMED = re.compile(rf"\W*({WNID.pattern})[\s,;:\"']+(.*)")
ROW = re.compile(r"(.+?)[\s,;]+(\S+)")
NUMBER = re.compile(r"\d{1,6}", re.ASCII)
COUNTS: Mapping[Year, Mapping[str, int]] = {"2012": COUNTS_2012, "2010": {"val": 50_000, "test": 150_000}}  # §2
FLATTEN = "Move the images out of the class folders, or each into the folder of its class."
SHOWN = 60  # characters of a line that is not understood


def stem(name: str) -> str:
    """The name of an image without folders and suffix, in lower case."""
    base = re.split(r"[/\\]", name.strip().strip("\"'"))[-1]
    return (base.rpartition(".")[0] if is_image(base) else base).lower()


def text_rows(text: str, file: Path) -> dict[str, str]:
    """The label of each image in lines of a file name and a label: Caffe's val.txt.

    Raises UserError, naming the line, for any other line but a first one of headings.
    """
    rows: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        row = ROW.fullmatch(line.strip(" \t,;"))
        label = row[2].strip("\"'") if row else ""
        if row and (NUMBER.fullmatch(label) or WNID.fullmatch(label)):
            _add(rows, row[1], label, file)
        elif line.strip() and number > 1:
            shown = ascii(line.strip()[:SHOWN])
            raise _bad_table(file, f"line {number:,} is {shown}, not a file name and a number or a WNID")
    return rows


def solution_rows(text: str, file: Path) -> dict[str, str]:
    """The WNID of each image in a table such as LOC_val_solution.csv. Raises UserError if it is no such table."""
    lines = text.strip("\n").split("\n")
    between = max(",;\t", key=lines[0].count)
    rows: dict[str, str] = {}
    try:
        heading, *found = csv.reader(lines, delimiter=between)
    except csv.Error as error:
        raise _bad_table(file, f"it is not a table of ImageId and PredictionString ({error})") from None
    columns = [name.strip().lower() for name in heading]
    if not {IMAGE_ID, PREDICTION} <= set(columns):
        raise _bad_table(file, f"its first line is {lines[0][:SHOWN]!a}, without ImageId and PredictionString")
    for number, row in enumerate(found, 2):
        wnids = row[columns.index(PREDICTION)].split() if len(row) == len(columns) else []
        if wnids:
            _add(rows, row[columns.index(IMAGE_ID)], wnids[0], file)
        elif any(map(str.strip, row)):
            raise _bad_table(file, f"row {number:,} is {between.join(row)[:SHOWN]!a}, without an image and its class")
    return rows


def labels_in(rows: Mapping[str, str], names: Sequence[str], label_of: Mapping[str, int], file: Path) -> list[int]:
    """The label of each image: a WNID, or a number that counts the sorted WNIDs from 0, as in Caffe's val.txt.

    rows: the label of each image by its `stem`, perhaps of more images than there are. Raises UserError for an image
    without a row, an unknown class, and numbers that do not count from 0.
    """
    missing = [name for name in names if stem(name) not in rows]
    if missing:
        raise _bad_table(file, f"it has no row for {len(missing):,} of {len(names):,} images, such as {missing[0]}")
    wnids = sorted(label_of)
    numbers = {int(label) for label in rows.values() if NUMBER.fullmatch(label)}
    if numbers and numbers != set(range(len(wnids))):
        from_one = "; they seem to count from 1" if (min(numbers), max(numbers)) == (1, len(wnids)) else ""
        found_range = f"its numbers, from {min(numbers):,} to {max(numbers):,},"
        raise _bad_table(file, f"{found_range} do not give each class a label from 0 to {len(wnids) - 1:,}{from_one}")
    found = [wnids[int(label)] if NUMBER.fullmatch(label) else label for label in (rows[stem(n)] for n in names)]
    if unknown := sorted(set(found) - label_of.keys()):
        raise _bad_table(file, f"it names classes that are not there, such as {unknown[0][:SHOWN]!a}")
    return [label_of[wnid] for wnid in found]


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
        """The label of each image, or None if nothing gives it; then says what would.

        Raises UserError for images that a table lacks, or that lie in folders of other classes than the table gives.
        """
        labels = self._in_tables(split, [name for name, _ in found])
        wnids = [class_above(at.path, self.images) if isinstance(at, File) else "" for _, at in found]
        by_folder = [self.label_of.get(wnid) for wnid in wnids]
        known = [position for position, wnid in enumerate(wnids) if wnid]
        where = f"{self.path} has {split} images"
        if any(by_folder[at] is None or (labels and labels[at] != by_folder[at]) for at in known):
            raise bad_data(f"{where} in folders of other classes than their labels.", FLATTEN)
        if labels is None and known:
            if len(known) < len(found):
                raise bad_data(f"{where}, and {len(known):,} of its {len(found):,} images in class folders.", FLATTEN)
            labels = [label for label in by_folder if label is not None]
        if labels is None and (split == "val" or self.year == "2010"):
            say(f"The {len(found):,} images of {split} have no labels. {self._advice(split)}")
        return labels

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
            expected = COUNTS[self.year][name] if len(self.label_of) == ILSVRC_CLASSES else count
            expected = expected if ids is None else len(ids)
            if count != expected:
                yield f"{count:,} of {expected:,} {name} images"

    def _in_tables(self, split: str, names: Sequence[str]) -> list[int] | None:
        numbered = [match for match in map(NUMBERED.fullmatch, names) if match]
        if len(numbered) < len(names):
            return None  # they have other names, and lie in class folders
        ids = self.ids(split)
        if ids is not None and self.table is not None:
            numbers = [int(match[2]) for match in numbered]
            if not all(1 <= number <= len(ids) for number in numbers):
                lines = f"{truth_file(self.year, split)} has {len(ids):,} lines"
                raise bad_data(f"{self.path} has {split} images with numbers up to {max(numbers):,}, but {lines}.")
            return [self.label_of[self.table.wnids[ids[number - 1] - 1]] for number in numbers]
        if split == "val" and (solution := self.path / SOLUTION).is_file():
            return labels_in(solution_rows(read_text(solution), solution), names, self.label_of, solution)
        for caffe in (self.path / CAFFE, self.path / "caffe_ilsvrc12" / CAFFE):
            if split == "val" and self.year == "2012" and caffe.is_file():
                return labels_in(text_rows(read_text(caffe), caffe), names, self.label_of, caffe)
        if all(match[3] in self.label_of for match in numbered):
            return [self.label_of[match[3]] for match in numbered]
        return None

    def _advice(self, split: str) -> str:
        if self.year == "2010":
            return f"Put {truth_file(self.year, split)} into {self.path} to give them labels."
        for folder in self.path.resolve().parents[:3]:
            if (folder / SOLUTION).is_file():
                return f"{SOLUTION} gives them labels; it lies in {folder}, so prepare that folder instead."
        return f"Put {DEVKIT} or {SOLUTION} into {self.path} to give them labels."


def class_above(file: Path, folder: Path) -> str:
    """The WNID of the nearest folder of an image that is named by one, below a folder; or nothing."""
    return next((part for part in reversed(file.relative_to(folder).parts[:-1]) if WNID.fullmatch(part)), "")


def _bad_table(file: Path, what: str) -> UserError:
    fix = f"Correct {file.name} or put the original there; or move it elsewhere, and the images stay without labels."
    return bad_data(f"{file} cannot give the labels: {what}.", fix)


def _add(rows: dict[str, str], name: str, label: str, file: Path) -> None:
    key = stem(name)
    if rows.setdefault(key, label) != label:
        raise _bad_table(file, f"it gives {name.strip()[:SHOWN]!a} two labels, {rows[key]} and {label[:SHOWN]}")
