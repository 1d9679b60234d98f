"""ILSVRC-2010 and 2012 as their archives are, or as they unpack, and Kaggle's tree of 2012.

Training photos lie in class folders, in one tar of a class each, or in the tar of those tars (whole or in parts).
Validation and test photos are numbered, in a folder or a tar; their classes come from the devkit, Kaggle's table or
Caffe's val.txt.
Labels of 2010 are the devkit's ids less 1; those of 2012 follow the sorted WNIDs, and the ids are kept beside them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from alexrepro.data.sources.archives import archive, members
from alexrepro.data.sources.devkit import META, ClassTable, Year, class_table, wrong
from alexrepro.data.sources.folders import SPLITS, is_photo, spoken, words_of
from alexrepro.data.sources.hints import flat_photos
from alexrepro.data.sources.ilsvrc_files import numbered, rest, training
from alexrepro.data.sources.ilsvrc_labels import CAFFE, DEVKIT, Truth
from alexrepro.data.sources.ilsvrc_splits import NUMBERED, Found, gaps_of_2012, numbered_split, train_split
from alexrepro.data.sources.kaggle import NAMES, TRUTH
from alexrepro.data.sources.labels import without_training
from alexrepro.data.sources.source import File, Photo, Place, Skipped, Source, Split
from alexrepro.data.sources.tables import names_in
from alexrepro.errors import Exit, UserError
from alexrepro.files import read_text

MINIATURE = "MINIATURE.txt"
YEARS: tuple[Year, ...] = ("2010", "2012")
TREES = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")  # Kaggle keeps the images three folders below its tables
PATCHES = "patch_images"


def fits(path: Path) -> bool:
    """Whether something at the path is named as the archives, the devkit or the numbered photos of a year are."""
    return bool(_years(path))


def read(path: Path) -> Source:
    """Classes and photos of the one year that is there. Raises UserError for two years, or where counts disagree."""
    years = _years(path)
    if len(years) > 1:
        raise UserError(f"{path} holds ILSVRC-2010 and 2012.", fix="Keep each year in a folder of its own.")
    year = years[0]
    table = class_table(path, year)
    images = next(path / tree for tree in reversed(TREES) if (path / tree).is_dir())
    train = training(path, images, year)
    if not train.photos and (refusal := flat_photos(images)):
        raise refusal
    if not train.photos and table is None:
        rest(path, images, used=_companions(path), splits=("val", "test"))  # names what is there of it, if anything is
    wnids = _wnids(path, year, table, train.photos)
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    splits = [train_split(train.photos, label_of)] if train.photos else []
    parts, known = [train], Truth(path, images, year, table, label_of)
    for name in ("val", "test"):
        if (part := numbered(path, images, year, name)) is not None:
            splits.append(numbered_split(name, part.numbered, known.labels(name, part)))
            parts.append(part)
    patches = _patches(path)
    skipped = [*(item for part in parts for item in part.skipped), *_unused(patches, splits)]
    used = [*_companions(path), *(file for part in parts for file in part.read)]
    skipped += rest(path, images, used=used, splits=[split.name for split in splits])
    if not splits:
        raise UserError(f"{path} has no photos of ILSVRC-{year}: {_listed(skipped)}.",
                      fix="Put the photos there, under their official names.", exit_code=Exit.BAD_DATA)  # fmt: skip
    is_miniature = (path / MINIATURE).exists()
    words = dict(zip(table.wnids, table.words, strict=True)) if table else _names(path, wnids)
    ids = {wnid: number for number, wnid in enumerate(table.wnids, 1)} if table else {}
    return Source(
        "ilsvrc2010-miniature" if is_miniature else f"ilsvrc{year}",
        wnids, tuple(words.get(wnid, wnid) for wnid in wnids),
        tuple(_patched(split, patches) for split in splits),
        ilsvrc_ids=tuple(ids[wnid] for wnid in wnids) if ids else None,
        gaps=tuple(
            known.gaps(train.photos, splits)
            if table else (*gaps_of_2012(wnids, splits), *without_training(wnids, splits))
        ),
        known_bad=int(is_miniature),  # one of its files is cut on purpose
        skipped=tuple(skipped),
    )  # fmt: skip


def _years(path: Path) -> list[Year]:
    folders = [path, *(path / tree / split for tree in TREES for split in (*SPLITS, "data"))]
    folders += sorted(path.glob("*devkit*/data"))
    names = [name for folder in folders if folder.is_dir() for name in _first_names(folder)]
    return [year for year in YEARS if any(name.upper().startswith(f"ILSVRC{year}") for name in names)]


def _first_names(folder: Path, most: int = 2000) -> Iterator[str]:
    """Names in a folder; of a large one only some, since every numbered photo says the year."""
    for number, item in enumerate(folder.iterdir()):
        if number == most:
            return
        yield item.name


def _wnids(path: Path, year: Year, table: ClassTable | None, training: dict[str, Found]) -> tuple[str, ...]:
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
                f"{path} has no devkit and no training photos in class folders or tars, so there are no classes.",
                fix=f"Put {DEVKIT} there, or the training photos in train/<wnid>/.",
                exit_code=Exit.MISSING_INPUT,
            )
        return tuple(sorted(training))
    if training and set(training) != set(table.wnids):
        strangers, missing = sorted(set(training) - set(table.wnids)), sorted(set(table.wnids) - set(training))
        raise wrong(path, f"has {len(strangers)} training classes that the devkit lacks and lacks {len(missing)} of "
                          f"its classes ({', '.join((strangers + missing)[:5])})")  # fmt: skip
    return table.wnids if year == "2010" else tuple(sorted(table.wnids))


def _names(path: Path, wnids: tuple[str, ...]) -> dict[str, str]:
    """Names for people where there is no devkit: of Kaggle's table, or those that torchvision publishes."""
    file = path / NAMES
    if file.is_file():
        return names_in(read_text(file))
    return dict(zip(wnids, words_of(wnids), strict=True))


def _companions(path: Path) -> list[Path]:
    """The files and folders with which the photos of ILSVRC come, and of which this layout knows."""
    names = (META, "data", TRUTH, NAMES, CAFFE, "caffe_ilsvrc12", PATCHES, f"{PATCHES}.tar", MINIATURE)
    return [*(path / name for name in names), *path.glob("*devkit*"), *path.glob("*_ground_truth.txt")]


def _listed(skipped: Sequence[Skipped]) -> str:
    lost = [f"{item.path}: {item.reason}" for item in skipped if item.is_loss]
    return "; ".join(lost[:5]) or "only their tables"


def _patches(path: Path) -> dict[tuple[str, str], Place]:
    """The organizers' replacements by split and file name, from patch_images/ or its tar if it is there."""
    found: Found = [(file.name, File(file)) for file in (path / PATCHES).glob("*/*")]
    packed = path / f"{PATCHES}.tar"
    if not found and packed.is_file():
        found = list(members(archive(packed)))
    numbered = {name: NUMBERED.fullmatch(name) for name, _ in found}
    return {(number[1] if (number := numbered[name]) else "train", name): place
            for name, place in found if is_photo(name)}  # fmt: skip


def _unused(patches: dict[tuple[str, str], Place], splits: Sequence[Split]) -> list[Skipped]:
    """The replacements of photos that are not there, in the splits that are."""
    there = {(split.name, photo.name) for split in splits for photo in split.photos} if patches else set()
    names = {split.name for split in splits}
    return [
        Skipped(f"{PATCHES}/{split}/{spoken(Path(name))}", "a replacement of no photo", is_loss=split in names)
        for split, name in patches
        if (split, name) not in there
    ]


def _patched(split: Split, patches: dict[tuple[str, str], Place]) -> Split:
    if not patches:
        return split
    photos = [Photo(p.path, p.label, patches.get((split.name, p.name), p.place)) for p in split.photos]
    return Split(split.name, photos, split.labeled)
