"""ILSVRC-2010 and 2012 as their archives are, or as they unpack, and Kaggle's tree of 2012.

Training images lie in class folders, in one tar of a class each, or in the tar of those tars (whole or in parts).
Validation and test images are numbered, in a folder or a tar; their classes come from the devkit, Kaggle's table or
Caffe's val.txt.
Labels of 2010 are the devkit's ids less 1; those of 2012 follow the sorted WNIDs, and the ids are kept with them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from operator import itemgetter
from pathlib import Path

from alexrepro.data.sources.advice import flat_images
from alexrepro.data.sources.archives import archive, archive_files
from alexrepro.data.sources.class_folders import classes_in
from alexrepro.data.sources.images import Packed, class_split, numbered_split, without_training
from alexrepro.data.sources.labels import NUMBERED, Truth, class_above, is_of, words_by_wnid, words_of
from alexrepro.data.sources.official_files import (
    CAFFE,
    DEVKIT,
    MAPPING,
    META,
    SOLUTION,
    TREES,
    ClassTable,
    Year,
    class_table,
    gaps_of_2012,
)
from alexrepro.data.sources.source import (
    File,
    Found,
    Location,
    Source,
    Split,
    bad_data,
)
from alexrepro.data.sources.walk import SPLITS, WNID, Listing, entries, is_folder, listing, why_skipped
from alexrepro.errors import Exit, UserError
from alexrepro.files import read_text
from alexrepro.progress import first_few

MINIATURE, PATCHES = "MINIATURE.txt", "patch_images"
COMPANIONS = (  # files and folders that come with the images, and are none
    META, "data", SOLUTION, MAPPING, CAFFE, "caffe_ilsvrc12", PATCHES, f"{PATCHES}.tar", MINIATURE, "*devkit*",
    "*_ground_truth.txt", "ILSVRC/Annotations", "ILSVRC/ImageSets", "Annotations", "ImageSets",
)  # fmt: skip
YEARS: tuple[Year, ...] = ("2010", "2012")
NAMES_LOOKED_AT = 2000  # of a folder: every numbered image tells the year
MOVE = "Put them there, or move it elsewhere to prepare the rest."


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
    tables = path.absolute().parent if table is None and images == path / TREES[-1] else path  # Kaggle's, above ILSVRC/
    with listing(path) as found:
        found.read.update(known for pattern in COMPANIONS for known in path.glob(pattern))
        train = _training(images, year, found)
        wnids = _wnids(path, year, table, train)
        known = Truth(tables, images, year, table, {wnid: label for label, wnid in enumerate(wnids)})
        splits = [class_split("train", train, wnids)] if train else []
        for name in ("val", "test"):
            if numbered := _numbered(images, year, name, found):
                splits.append(numbered_split(name, numbered, known.labels(name, numbered)))
        splits = _patched(splits, path, found)
    if not splits:
        raise bad_data(f"{path} has no images of ILSVRC-{year}.", "Put them there, under their official names.")
    gaps = known.gaps(train, splits) if table else (*gaps_of_2012(wnids, splits), *without_training(wnids, splits))
    words = dict(zip(table.wnids, table.words, strict=True)) if table else {}
    if not table and (tables / MAPPING).is_file():
        words = words_by_wnid(read_text(tables / MAPPING))
    ids = {wnid: number for number, wnid in enumerate(table.wnids, 1)} if table else {}
    is_miniature = (path / MINIATURE).exists()
    return Source(
        "ilsvrc2010-miniature" if is_miniature else f"ilsvrc{year}",
        wnids, words_of(wnids, words), tuple(splits),
        ilsvrc_ids=tuple(ids[wnid] for wnid in wnids) if ids else None,
        gaps=tuple(gaps),
        known_bad=int(is_miniature),  # one of its files is cut on purpose
        skipped=found.all_skipped([split.name for split in splits]),
    )  # fmt: skip


def _years(path: Path) -> list[Year]:
    folders = [path, *(path / tree / split for tree in TREES for split in (*SPLITS, "data"))]
    folders += sorted(path.glob("*devkit*/data"))
    names = [item.name.upper() for folder in folders if folder.is_dir()
             for item in islice(folder.iterdir(), NAMES_LOOKED_AT)]  # fmt: skip
    return [year for year in YEARS if any(name.startswith(f"ILSVRC{year}") for name in names)]


def _wnids(path: Path, year: Year, table: ClassTable | None, training: Mapping[str, Found]) -> tuple[str, ...]:
    """The classes in the order of the labels. Raises UserError if folders and devkit name different classes."""
    if table is None and (year == "2010" or not training):
        other = "ILSVRC2010_devkit-1.0.tar.gz" if year == "2010" else f"{DEVKIT}, or training images in train/<wnid>/"
        raise UserError(
            f"{path} has nothing that gives the classes of ILSVRC-{year}, such as meta.mat of its devkit.",
            fix=f"Put there, packed or not: {other}; it comes with the images from image-net.org.",
            exit_code=Exit.MISSING_INPUT,
        )
    if table is None:
        return tuple(sorted(training))
    if training and training.keys() != set(table.wnids):
        added, missing = sorted(training.keys() - set(table.wnids)), sorted(set(table.wnids) - training.keys())
        raise bad_data(f"{path} has {len(added)} training classes that the devkit lacks and lacks {len(missing)} of "
                       f"its classes ({first_few(added + missing)}).")  # fmt: skip
    return table.wnids if year == "2010" else tuple(sorted(table.wnids))


def _training(images: Path, year: Year, found: Listing) -> dict[str, Found]:
    """The training images by WNID, from the first form that is there; none if there is none."""
    folders, before = _split_folders(images, "train", year), len(found.skipped)
    for folder in (*folders, images):
        by_class = classes_in(folder, found, only_wnids=folder == images)
        for name in (name for name in by_class if not WNID.fullmatch(name)):
            found.skip(folder / name, "images in a folder that is not named as a class", is_loss=True)
        by_wnid: dict[str, Found] = {wnid: Packed((name.rpartition("/")[2], location) for name, location in items)
                   for wnid, items in sorted(by_class.items()) if WNID.fullmatch(wnid)}  # fmt: skip
        if by_wnid:
            return by_wnid
        if folder != images:
            found.forget(folder, before)
    files = _archive(images, "train", rf"ILSVRC{year}_im\w*_train")
    by_wnid = found.by_class(archive(*files)) if files else {}
    if not by_wnid and (error := flat_images(images)):
        raise error
    places = [*folders, *files]
    if places and not by_wnid:
        raise bad_data(f"{places[0]} holds no training images in class folders or tars, such as n01440764.", MOVE)
    return by_wnid


def _numbered(images: Path, year: Year, split: str, found: Listing) -> Found:
    """The numbered images of a split, from the first place that has some: its folder, the images' own, or a tar.

    In class folders, into which many sort the validation images, they may have any name.
    """
    before, places = len(found.skipped), [images]
    for place, items in _places(images, year, split, found):
        official: Found = [item for item in items if is_of(split, item[0].rpartition("/")[2])]
        if not official and all(class_above(place / name, place) for name, _ in items):
            official = items
        if official:
            known = {name for name, _ in official}
            for name in (name for name, _ in items if name not in known):
                found.skip(place, "not named as an image of this split", within=name, is_loss=True)
            named = sorted(((name.rpartition("/")[2], location) for name, location in official), key=itemgetter(0))
            numbers = Counter(number[2] for name, _ in named if (number := NUMBERED.fullmatch(name)))
            for twice, count in numbers.most_common(1):
                if count > 1:
                    raise bad_data(
                        f"{place} has the image with the number {twice} {count:,} times.", "Keep one of each."
                    )
            return named
        found.forget(place, before)
        places.append(place)
    if places[1:]:
        example = f"ILSVRC{year}_{split}_00000001.JPEG"
        raise bad_data(f"{places[-1]} holds no images under their official names, such as {example}.", MOVE)
    return []


def _places(images: Path, year: Year, split: str, found: Listing) -> Iterator[tuple[Path, Found]]:
    """Where the numbered images of a split may lie, and the images there."""
    for folder in _split_folders(images, split, year):
        yield folder, found.folder(folder)
    flat = [images / entry.name for entry in entries(images)
            if is_of(split, entry.name) and not is_folder(entry) and not why_skipped(entry)]  # fmt: skip
    if flat:
        found.read.update(flat)
        yield images, [(file.name, File(images, file.name)) for file in flat]
    if files := _archive(images, split, rf"ILSVRC{year}_im\w*_{split}\w*"):
        yield files[0], found.tar(archive(*files))


def _split_folders(images: Path, split: str, year: Year) -> list[Path]:
    """The folders that are named after a split, or as its archive is."""
    names = [entry.name for entry in entries(images) if SPLITS.get(entry.name.lower()) == split]
    found = (images / name for name in (*names, f"ILSVRC{year}_img_{split}", f"ILSVRC{year}_images_{split}"))
    return [folder for folder in found if folder.is_dir()]


def _archive(images: Path, split: str, stem: str) -> tuple[Path, ...]:
    """The archive of a split in its parts, next to the others or in a folder named after the split."""
    return archive_files(images, stem) or archive_files(images / split, stem)


def _patched(splits: list[Split], path: Path, found: Listing) -> list[Split]:
    """The splits with the organizers' replacements, from patch_images/ or its tar, if it is there."""
    folder, packed = path / PATCHES, path / f"{PATCHES}.tar"
    items = found.folder(folder) if folder.is_dir() else found.tar(archive(packed)) if packed.is_file() else []
    patches: dict[tuple[str, str], Location] = {}
    for name, location in items:
        base = name.rpartition("/")[2]
        number = NUMBERED.fullmatch(base)
        patches[number[1] if number else "train", base] = location
    if not patches:
        return splits
    present = {known for split in splits for image in split.images if (known := (split.name, image.name)) in patches}
    for name_of_split, name in (patch for patch in patches if patch not in present):
        is_loss = any(name_of_split == split.name for split in splits)
        found.skip(folder, "a replacement of no image", within=f"{name_of_split}/{name}", is_loss=is_loss)
    return [
        replace(split, images=split.images.moved({name: at for (of, name), at in patches.items() if of == split.name}))
        for split in splits
    ]
