"""Label tables that somebody else wrote or saved again: which label each photo has, by its name.

A photo is known by its file name without folders and suffix, so that `val/x.JPEG`, `x.jpg` and `x` are the same.
Quotes, tabs, trailing blanks, a line of headings and repeated lines are no matter.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from alexrepro.data.sources.folders import WNID, is_photo
from alexrepro.errors import Exit, UserError
from alexrepro.progress import say

IMAGE_ID, PREDICTION = "ImageId", "PredictionString"  # the columns of Kaggle's tables
NAMED = re.compile(rf"\W*({WNID.pattern})[\s,;:\"']+(.*)")
ROW = re.compile(r"(.+?)[\s,;]+(\S+)")
SHOWN = 60  # characters of a line that is not understood


def stem(name: str) -> str:
    """The name of a photo without folders and suffix, in small letters."""
    base = re.split(r"[/\\]", name.strip().strip("\"'"))[-1]
    return (base.rpartition(".")[0] if is_photo(base) else base).lower()


def text_rows(text: str, file: Path) -> dict[str, str]:
    """What each line says of a photo, where a line is a file name and a label: Caffe's val.txt.

    Raises UserError, naming the line, for any other line but a first one of headings.
    """
    rows: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        row = ROW.fullmatch(line.strip(" \t,;"))
        label = row[2].strip("\"'") if row else ""
        if row and (_number(label) is not None or WNID.fullmatch(label)):
            _add(rows, row[1], label, file)
        elif line.strip() and number > 1:
            raise bad_table(
                file, f"line {number:,} is {line.strip()[:SHOWN]!a}, not a file name and a number or a WNID"
            )
    return rows


def solution_rows(text: str, file: Path) -> dict[str, str]:
    """The WNID of each photo in a table such as LOC_val_solution.csv. Raises UserError if it is no such table."""
    lines = text.strip("\n").split("\n")
    between = max(",;\t", key=lines[0].count)
    if between != ",":
        say(f"{file} has {'semicolons' if between == ';' else 'tabs'} between its columns; it is read so.")
    rows: dict[str, str] = {}
    try:
        heading, *found = csv.reader(lines, delimiter=between)
    except csv.Error as error:
        raise bad_table(file, f"it is no table of {IMAGE_ID} and {PREDICTION} ({error})") from None
    columns = [name.strip().lower() for name in heading]
    if not {IMAGE_ID.lower(), PREDICTION.lower()} <= set(columns):
        raise bad_table(file, f"its first line is {lines[0][:SHOWN]!a}, without {IMAGE_ID} and {PREDICTION}")
    image, prediction = columns.index(IMAGE_ID.lower()), columns.index(PREDICTION.lower())
    for number, row in enumerate(found, 2):
        wnids = row[prediction].split() if len(row) == len(columns) else []
        if wnids:
            _add(rows, row[image], wnids[0], file)
        elif any(map(str.strip, row)):
            raise bad_table(file, f"row {number:,} is {between.join(row)[:SHOWN]!a}, without a photo and its class")
    return rows


def labels_in(rows: Mapping[str, str], names: Sequence[str], label_of: Mapping[str, int], file: Path) -> list[int]:
    """The label of each photo: a WNID, or a number that counts the sorted WNIDs from 0, as in Caffe's val.txt.

    rows: the label of each photo by its `stem`; there may be more of them than photos. Raises UserError for a photo
    without a row, a class that is not there, and numbers that are not those from 0 on.
    """
    missing = [name for name in names if stem(name) not in rows]
    if missing:
        raise bad_table(file, f"it has no row for {len(missing):,} of {len(names):,} photos, such as {missing[0]}")
    numbers = {label: number for label in rows.values() if (number := _number(label)) is not None}
    if numbers and set(numbers.values()) != set(range(len(label_of))):
        least, most = min(numbers.values()), max(numbers.values())
        from_one = "; they seem to count from 1" if (least, most) == (1, len(label_of)) else ""
        raise bad_table(file, f"its numbers, from {least:,} to {most:,}, do not give each class a label from 0 to "
                              f"{len(label_of) - 1:,}{from_one}")  # fmt: skip
    wnids = sorted(label_of)
    found = [wnids[numbers[label]] if label in numbers else label for label in (rows[stem(name)] for name in names)]
    strangers = sorted(set(found) - label_of.keys())
    if strangers:
        raise bad_table(file, f"it names classes that are not there, such as {strangers[0][:SHOWN]!a}")
    return [label_of[wnid] for wnid in found]


def names_in(text: str) -> dict[str, str]:
    """The names of classes by WNID, of lines that begin with one, such as `n01440764 tench, Tinca tinca`."""
    found = (NAMED.fullmatch(line.rstrip(" \t\"';")) for line in text.split("\n"))
    return {row[1]: row[2].strip() for row in found if row}


def bad_table(file: Path, what: str) -> UserError:
    """The refusal of a table of labels."""
    return UserError(
        f"{file} cannot give the labels: {what}.",
        fix=f"Mend {file.name} or put the original there; or move it elsewhere, and the photos stay without labels.",
        exit_code=Exit.BAD_DATA,
    )


def _number(label: str) -> int | None:
    return int(label) if re.fullmatch(r"\d{1,6}", label, re.ASCII) else None


def _add(rows: dict[str, str], name: str, label: str, file: Path) -> None:
    key = stem(name)
    if rows.setdefault(key, label) != label:
        raise bad_table(file, f"it gives {name.strip()[:SHOWN]!a} two labels, {rows[key]} and {label[:SHOWN]}")
