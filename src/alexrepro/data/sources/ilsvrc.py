"""ILSVRC-2010 and 2012 as their archives are, or as they unpack, and Kaggle's tree of 2012.

Training images lie in class folders, in one tar of a class each, or in the tar of those tars (whole or in parts).
Validation and test images are numbered, in a folder or a tar; their classes come from the devkit, Kaggle's table or
Caffe's val.txt.
Labels of 2010 are the devkit's ids less 1; those of 2012 follow the sorted WNIDs, and the ids are kept with them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from alexrepro.data.sources.advice import flat_images
from alexrepro.data.sources.checks import (
    CAFFE,
    DEVKIT,
    MAPPING,
    NUMBERED,
    SOLUTION,
    TREES,
    Found,
    Year,
    class_split,
    gaps_of_2012,
    numbered_split,
    without_training,
    words_of,
)
from alexrepro.data.sources.ilsvrc_files import numbered, rest, training
from alexrepro.data.sources.labels import Truth, words_by_wnid
from alexrepro.data.sources.official_files import META, ClassTable, class_table
from alexrepro.data.sources.source import File, Location, Skipped, Source, Split, bad_data
from alexrepro.data.sources.tars import archive, members
from alexrepro.data.sources.walk import SPLITS, escaped, is_image
from alexrepro.errors import Exit, UserError
from alexrepro.files import read_text
from alexrepro.progress import first_few

MINIATURE, PATCHES = "MINIATURE.txt", "patch_images"
YEARS: tuple[Year, ...] = ("2010", "2012")
NAMES_LOOKED_AT = 2000  # of a folder: every numbered image tells the year

Patches = dict[tuple[str, str], Location]  # by split and file name


def fits(path: Path) -> bool:
    """Whether something at the path is named as the archives, the devkit or the numbered images of a year are."""
    return bool(_years(path))


def read(path: Path) -> Source:
    """Classes and images of the one year that is there. Raises UserError for two years, or if counts disagree."""
    year, *others = _years(path)
    if others:
        raise UserError(f"{path} holds ILSVRC-2010 and 2012.", fix="Keep each year in a folder of its own.")
    table = class_table(path, year)
    images = next(path / tree for tree in reversed(TREES) if (path / tree).is_dir())
    train = training(path, images, year)
    if not train.images and (error := flat_images(images)):
        raise error
    if not train.images and table is None:
        rest(path, images, used=_companions(path), splits=("val", "test"))  # refuses training images it cannot use
    wnids = _wnids(path, year, table, train.images)
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    splits = [class_split("train", train.images, wnids)] if train.images else []
    parts, known = [train], Truth(path, images, year, table, label_of)
    for name in ("val", "test"):
        if (part := numbered(path, images, year, name)) is not None:
            splits.append(numbered_split(name, part.images[""], known.labels(name, part.images[""])))
            parts.append(part)
    patches = _patches(path)
    skipped = [*(item for part in parts for item in part.skipped), *_unused(patches, splits)]
    used = [*_companions(path), *(file for part in parts for file in part.read)]
    skipped += rest(path, images, used=used, splits=[split.name for split in splits])
    if not splits:
        lost = [f"{item.path}: {item.reason}" for item in skipped if item.is_loss]
        raise bad_data(f"{path} has no images of ILSVRC-{year}: {first_few(lost, between='; ') or 'only tables'}.",
                       "Put the images there, under their official names.")  # fmt: skip
    gaps = known.gaps(train.images, splits) if table else (*gaps_of_2012(wnids, splits),
                                                           *without_training(wnids, splits))  # fmt: skip
    words = dict(zip(table.wnids, table.words, strict=True)) if table else {}
    if not table and (path / MAPPING).is_file():
        words = words_by_wnid(read_text(path / MAPPING))
    ids = {wnid: number for number, wnid in enumerate(table.wnids, 1)} if table else {}
    is_miniature = (path / MINIATURE).exists()
    return Source(
        "ilsvrc2010-miniature" if is_miniature else f"ilsvrc{year}",
        wnids, words_of(wnids, words), tuple(_patched(split, patches) for split in splits),
        ilsvrc_ids=tuple(ids[wnid] for wnid in wnids) if ids else None,
        gaps=tuple(gaps),
        known_bad=int(is_miniature),  # one of its files is cut on purpose
        skipped=tuple(skipped),
    )  # fmt: skip


def _years(path: Path) -> list[Year]:
    folders = [path, *(path / tree / split for tree in TREES for split in (*SPLITS, "data"))]
    folders += sorted(path.glob("*devkit*/data"))
    names = [item.name.upper() for folder in folders if folder.is_dir()
             for item in islice(folder.iterdir(), NAMES_LOOKED_AT)]  # fmt: skip
    return [year for year in YEARS if any(name.startswith(f"ILSVRC{year}") for name in names)]


def _wnids(path: Path, year: Year, table: ClassTable | None, training: Mapping[str, Found]) -> tuple[str, ...]:
    """The classes in the order of the labels. Raises UserError if folders and devkit name different classes."""
    if table is None and year == "2010":
        raise UserError(
            f"{path} has no meta.mat, which numbers the classes of ILSVRC-2010.",
            fix="Put ILSVRC2010_devkit-1.0.tar.gz there, packed or not; it comes with the images from image-net.org.",
            exit_code=Exit.MISSING_INPUT,
        )
    if table is None:
        if not training:
            raise UserError(
                f"{path} has no devkit and no training images in class folders or tars, so there are no classes.",
                fix=f"Put {DEVKIT} there, or the training images in train/<wnid>/.",
                exit_code=Exit.MISSING_INPUT,
            )
        return tuple(sorted(training))
    if training and training.keys() != set(table.wnids):
        added, missing = sorted(training.keys() - set(table.wnids)), sorted(set(table.wnids) - training.keys())
        raise bad_data(f"{path} has {len(added)} training classes that the devkit lacks and lacks {len(missing)} of "
                       f"its classes ({first_few(added + missing)}).")  # fmt: skip
    return table.wnids if year == "2010" else tuple(sorted(table.wnids))


def _companions(path: Path) -> list[Path]:
    """The files and folders that come with the images of ILSVRC."""
    names = (META, "data", SOLUTION, MAPPING, CAFFE, "caffe_ilsvrc12", PATCHES, f"{PATCHES}.tar", MINIATURE)
    return [*(path / name for name in names), *path.glob("*devkit*"), *path.glob("*_ground_truth.txt")]


def _patches(path: Path) -> Patches:
    """The organizers' replacements, from patch_images/ or its tar if it is there."""
    found: Found = [(file.name, File(file)) for file in (path / PATCHES).glob("*/*")]
    packed = path / f"{PATCHES}.tar"
    if not found and packed.is_file():
        found = [(inner.rpartition("/")[2], span) for inner, span in members(archive(packed), lambda *_: None)]
    numbers = {name: NUMBERED.fullmatch(name) for name, _ in found if is_image(name)}
    return {(number[1] if (number := numbers[name]) else "train", name): location
            for name, location in found if name in numbers}  # fmt: skip


def _unused(patches: Patches, splits: Sequence[Split]) -> list[Skipped]:
    """The replacements of images that are not there, in the splits that are."""
    present = {(split.name, image.name) for split in splits for image in split.images} if patches else set()
    names = {split.name for split in splits}
    return [Skipped(escaped(f"{PATCHES}/{split}/{name}"), "a replacement of no image", is_loss=split in names)
            for split, name in patches if (split, name) not in present]  # fmt: skip


def _patched(split: Split, patches: Patches) -> Split:
    if not patches:
        return split
    images = [replace(i, location=patches.get((split.name, i.name), i.location)) for i in split.images]
    return replace(split, images=images)
