"""Kaggle's ImageNet of 2012: its tables, and its zip archive, which is read in place.

The tree ILSVRC/Data/CLS-LOC holds the training photos by class and the others flat; tables beside it name the classes
and those of the validation photos. No ids are given, so that no submission file can be written from it.
"""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from alexrepro.data.sources.devkit import wrong
from alexrepro.data.sources.folders import WNID, is_photo, words_of
from alexrepro.data.sources.source import Source
from alexrepro.data.sources.splits import NUMBERED, Found, gaps_of_2012, numbered_split, train_split
from alexrepro.data.sources.zips import ZipMember, zip_members
from alexrepro.errors import Exit, Refusal, Unreadable

TRUTH, NAMES = "LOC_val_solution.csv", "LOC_synset_mapping.txt"
PACKED_AGAIN = re.compile(r"imagenet_object_localization\w*\.tar\.gz")
PHOTO = re.compile(rf"(?:.*/)?CLS-LOC/(?:train/({WNID.pattern})|val|test)/([^/]+)")


def fits(path: Path) -> bool:
    """Whether the path is a zip archive, or a folder that holds Kaggle's."""
    return _archive(path) is not None


def read(path: Path) -> Source:
    """Classes and photos of the archive. Raises Refusal if it is damaged or holds no such tree."""
    file = _archive(path)
    assert file is not None
    training: dict[str, Found] = {}
    numbered: dict[str, Found] = {"val": [], "test": []}
    tables: dict[str, ZipMember] = {}
    for name, member in zip_members(file):
        base = name.rpartition("/")[2]
        photo = PHOTO.fullmatch(name)
        if photo and photo[1] and is_photo(base):
            training.setdefault(photo[1], []).append((base, member))
        elif photo and (number := NUMBERED.fullmatch(base)):
            numbered[number[1]].append((base, member))
        elif base in {TRUTH, NAMES}:
            tables[base] = member
        elif PACKED_AGAIN.fullmatch(base):
            raise _packed_again(file, base)
    if not training:
        raise Refusal(f"{file} holds no training photos below CLS-LOC/train/<wnid>/, as Kaggle's archive does.",
                      fix="Unzip it, and prepare the folder.", exit_code=Exit.BAD_DATA)  # fmt: skip
    wnids = tuple(sorted(training))
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    splits = [train_split({wnid: _in_order(found) for wnid, found in training.items()}, label_of)]
    for split, found in numbered.items():
        if found:
            photos = _in_order(found)
            known = split == "val" and TRUTH in tables
            labels = val_labels(_text(tables[TRUTH]), [name for name, _ in photos], label_of) if known else None
            splits.append(numbered_split(split, photos, labels))
    names = class_names(_text(tables[NAMES])) if NAMES in tables else dict(zip(wnids, words_of(wnids), strict=True))
    return Source(
        "ilsvrc2012", wnids, tuple(names.get(wnid, wnid) for wnid in wnids), tuple(splits),
        gaps=tuple(gaps_of_2012(wnids, splits)),
    )  # fmt: skip


def class_names(text: str) -> dict[str, str]:
    """The names of LOC_synset_mapping.txt by WNID."""
    rows = (line.partition(" ") for line in text.splitlines())
    return {wnid: words.strip() for wnid, _, words in rows if WNID.fullmatch(wnid)}


def val_labels(text: str, names: Sequence[str], label_of: dict[str, int]) -> list[int]:
    """The labels that LOC_val_solution.csv gives the photos of these names; its rows are in no order."""
    try:
        rows = list(csv.DictReader(text.splitlines()))
        wnid_of = {row["ImageId"]: row["PredictionString"].partition(" ")[0] for row in rows}
    except (csv.Error, KeyError, AttributeError) as error:
        raise wrong(Path(TRUTH), f"is no table of ImageId and PredictionString ({error!r})") from None
    stems = [name.rpartition(".")[0] for name in names]
    if set(stems) != set(wnid_of) or not set(wnid_of.values()) <= set(label_of):
        raise wrong(Path(TRUTH), "does not name the photos and classes that are there")
    return [label_of[wnid_of[stem]] for stem in stems]


def _archive(path: Path) -> Path | None:
    """The zip archive at a path: the file itself, or the one in a folder that has Kaggle's name."""
    if path.is_file():
        return path
    return next(iter(sorted(path.glob("imagenet-object-localization*.zip"))), None)


def _in_order(found: Found) -> Found:
    return sorted(found, key=lambda item: item[0])


def _text(member: ZipMember) -> str:
    try:
        return member.read().decode("utf-8", "replace")
    except Unreadable as reason:
        raise wrong(member.archive, f"has a table that cannot be read: {reason}") from None


def _packed_again(file: Path, inner: str) -> Refusal:
    return Refusal(
        f"{file} holds {inner}, and no photo in a gzip stream can be found again without reading all before it.",
        fix=f"Unpack both, and prepare the folder: unzip {file.name} && tar -xzf {inner}",
        exit_code=Exit.MISSING_INPUT,
    )
