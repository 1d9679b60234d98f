"""Kaggle's ImageNet of 2012: its tables, and its zip archive, which is read in place.

The tree ILSVRC/Data/CLS-LOC holds the training photos by class and the others flat; tables beside it name the classes
and those of the validation photos. No ids are given, so that no submission file can be written from it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from alexrepro.data.sources.devkit import wrong
from alexrepro.data.sources.folders import WNID, is_photo, spoken, words_of
from alexrepro.data.sources.ilsvrc_splits import NUMBERED, Found, gaps_of_2012, numbered_split, train_split
from alexrepro.data.sources.source import Skipped, Source, Split
from alexrepro.data.sources.tables import labels_in, names_in, solution_rows
from alexrepro.data.sources.walk import NO_PICTURE, why_ignored
from alexrepro.data.sources.zips import ZipMember, zip_members
from alexrepro.errors import Exit, Unreadable, UserError
from alexrepro.files import decoded
from alexrepro.progress import say

TRUTH, NAMES = "LOC_val_solution.csv", "LOC_synset_mapping.txt"
PACKED_AGAIN = re.compile(r"imagenet_object_localization\w*\.tar\.gz")
PHOTO = re.compile(rf"(?:.*/)?CLS-LOC/(?:(train)/({WNID.pattern})|(val|test))/(?:.*/)?([^/]+)")


def fits(path: Path) -> bool:
    """Whether the path is a zip archive, or a folder that holds Kaggle's."""
    return _archive(path) is not None


def read(path: Path) -> Source:
    """Classes and photos of the archive. Raises UserError if it is damaged or holds no such tree."""
    file = _archive(path)
    assert file is not None
    found: dict[str, dict[str, Found]] = {"train": {}, "val": {}, "test": {}}  # by split and WNID
    tables: dict[str, ZipMember] = {}
    others = Counter[tuple[str, str, bool]]()
    for name, member in zip_members(file):
        base = name.rpartition("/")[2]
        photo = PHOTO.fullmatch(name)
        split = (photo[1] or photo[3]) if photo else ""
        number = NUMBERED.fullmatch(base)
        if base in {TRUTH, NAMES}:
            tables[base] = member
        elif PACKED_AGAIN.fullmatch(base):
            raise _packed_again(file, base)
        elif (reason := why_ignored(base)) or not is_photo(base):
            others[name.rpartition("/")[0], reason or NO_PICTURE, False] += 1
        elif photo and (split == "train" or (number and number[1].lower() == split)):
            found[split].setdefault(photo[2] or "", []).append((base, member))
        else:
            others[name.rpartition("/")[0], "photos that belong to no split", bool(split)] += 1
    training = found["train"]
    if not training:
        raise UserError(f"{file} holds no training photos below CLS-LOC/train/<wnid>/, as Kaggle's archive does.",
                      fix="Unzip it, and prepare the folder.", exit_code=Exit.BAD_DATA)  # fmt: skip
    wnids = tuple(sorted(training))
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    splits = [train_split({wnid: _in_order(photos) for wnid, photos in training.items()}, label_of)]
    splits += [_numbered(split, found[split][""], tables, label_of) for split in ("val", "test") if found[split]]
    names = names_in(_text(tables, NAMES)) if NAMES in tables else dict(zip(wnids, words_of(wnids), strict=True))
    return Source(
        "ilsvrc2012", wnids, tuple(names.get(wnid, wnid) for wnid in wnids), tuple(splits),
        gaps=tuple(gaps_of_2012(wnids, splits)),
        skipped=tuple(
            Skipped(spoken(Path(folder)), f"{reason} ({count:,} files)", is_loss)
            for (folder, reason, is_loss), count in others.items()
        ),
    )  # fmt: skip


def _numbered(split: str, found: Found, tables: dict[str, ZipMember], label_of: dict[str, int]) -> Split:
    photos = _in_order(found)
    labels = None
    if split == "val" and TRUTH in tables:
        labels = val_labels(_text(tables, TRUTH), [name for name, _ in photos], label_of)
    elif split == "val":
        say(f"The {len(photos):,} photos of val have no labels, since the archive has no {TRUTH}.")
    return numbered_split(split, photos, labels)


def val_labels(text: str, names: Sequence[str], label_of: dict[str, int], file: Path = Path(TRUTH)) -> list[int]:
    """The labels that LOC_val_solution.csv gives the photos of these names; its rows are in no order."""
    return labels_in(solution_rows(text, file), names, label_of, file)


def _archive(path: Path) -> Path | None:
    """The zip archive at a path: the file itself, or the one in a folder that has Kaggle's name."""
    if path.is_file():
        return path
    return next(iter(sorted(path.glob("imagenet-object-localization*.zip"))), None)


def _in_order(found: Found) -> Found:
    return sorted(found, key=lambda item: item[0])


def _text(tables: dict[str, ZipMember], name: str) -> str:
    member = tables[name]
    try:
        return decoded(member.read(), name=f"{member.archive}/{name}")
    except Unreadable as reason:
        raise wrong(member.archive, f"has a table that cannot be read: {reason}") from None


def _packed_again(file: Path, inner: str) -> UserError:
    return UserError(
        f"{file} holds {inner}, and no photo in a gzip stream can be found again without reading all before it.",
        fix=f"Unpack both, and prepare the folder: unzip {file.name} && tar -xzf {inner}",
        exit_code=Exit.MISSING_INPUT,
    )
