"""ILSVRC-2010 and 2012 as their archives are, or as they unpack, and Kaggle's tree of 2012.

Training photos lie in class folders, in one tar of a class each, or in the tar of those tars (whole or in parts).
Validation and test photos are numbered, in a folder or a tar; their classes come from the devkit, Kaggle's table or
Caffe's val.txt.
Labels of 2010 are the devkit's ids less 1; those of 2012 follow the sorted WNIDs, and the ids are kept beside them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from alexrepro.data.sources.archives import archive, members
from alexrepro.data.sources.devkit import ClassTable, Year, class_table, truth, truth_file, wrong
from alexrepro.data.sources.folders import WNID, is_photo, sorted_names, spoken, words_of
from alexrepro.data.sources.hierarchy import cost_matrix
from alexrepro.data.sources.hints import flat_photos, summary
from alexrepro.data.sources.kaggle import NAMES, TRUTH, class_names, val_labels
from alexrepro.data.sources.labels import without_training
from alexrepro.data.sources.packed import archive_files
from alexrepro.data.sources.source import File, Photo, Place, Source, Split
from alexrepro.data.sources.splits import NUMBERED, Found, gaps_of_2012, numbered_split, train_split
from alexrepro.data.sources.tar_photos import listing
from alexrepro.errors import Exit, Refusal

MINIATURE = "MINIATURE.txt"
YEARS: tuple[Year, ...] = ("2010", "2012")
TREES = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")  # Kaggle keeps the images three folders below its tables
CAFFE_TRUTH = "val.txt"
PATCHES = "patch_images"


def fits(path: Path) -> bool:
    """Whether something at the path is named as the archives, the devkit or the numbered photos of a year are."""
    return bool(_years(path))


def read(path: Path) -> Source:
    """Classes and photos of the one year that is there. Raises Refusal for two years, or where counts disagree."""
    years = _years(path)
    if len(years) > 1:
        raise Refusal(f"{path} holds ILSVRC-2010 and 2012.", fix="Keep each year in a folder of its own.")
    year = years[0]
    table = class_table(path, year)
    images = next(path / tree for tree in reversed(TREES) if (path / tree).is_dir())
    training = _training(images, year)
    if not training and (refusal := flat_photos(images)):
        raise refusal
    wnids = _wnids(path, year, table, training)
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    splits = [train_split(training, label_of)] if training else []
    patches = _patches(path)
    for name in ("val", "test"):
        found = _numbered(images, year, name)
        if found is not None:
            labels = _labels(path, year, name, names=[file for file, _ in found], table=table, label_of=label_of)
            splits.append(numbered_split(name, found, _as_sorted(images / name, found, labels, label_of)))
    is_miniature = (path / MINIATURE).exists()
    dataset = "ilsvrc2010-miniature" if is_miniature else f"ilsvrc{year}"
    words = dict(zip(table.wnids, table.words, strict=True)) if table else _names(path, wnids)
    ids = {wnid: number for number, wnid in enumerate(table.wnids, 1)} if table else {}
    return Source(
        dataset, wnids, tuple(words.get(wnid, wnid) for wnid in wnids),
        tuple(_patched(split, patches) for split in splits),
        ilsvrc_ids=tuple(ids[wnid] for wnid in wnids) if ids else None,
        gaps=tuple(
            _gaps(training, table) if table else (*gaps_of_2012(wnids, splits), *without_training(wnids, splits))
        ),
        known_bad=int(is_miniature),  # one of its files is cut on purpose
        costs=cost_matrix(path, classes=len(wnids)) if year == "2010" else None,
    )  # fmt: skip


def _gaps(training: dict[str, Found], table: ClassTable) -> Iterator[str]:
    """Classes of which there are not as many training photos as the devkit counts."""
    if training:
        for wnid, count in zip(table.wnids, table.train_counts, strict=True):
            if len(training[wnid]) != count:
                yield f"{wnid} has {len(training[wnid]):,} of {count:,} training photos"


def _years(path: Path) -> list[Year]:
    folders = [path, *(path / tree / split for tree in TREES for split in ("val", "test", "data"))]
    folders += sorted(path.glob("*devkit*/data"))
    names = [name for folder in folders if folder.is_dir() for name in _first_names(folder)]
    return [year for year in YEARS if any(name.startswith(f"ILSVRC{year}") for name in names)]


def _first_names(folder: Path, most: int = 2000) -> Iterator[str]:
    """Names in a folder; of a large one only some, since every numbered photo says the year."""
    for number, item in enumerate(folder.iterdir()):
        if number == most:
            return
        yield item.name


def _wnids(path: Path, year: Year, table: ClassTable | None, training: dict[str, Found]) -> tuple[str, ...]:
    """The classes in the order of the labels. Raises Refusal if folders and devkit name different classes."""
    if table is None and year == "2010":
        raise Refusal(
            f"{path} has no meta.mat, which numbers the classes of ILSVRC-2010.",
            fix="Put ILSVRC2010_devkit-1.0.tar.gz there, packed or not; it comes with the images from image-net.org.",
            exit_code=Exit.MISSING_INPUT,
        )
    if table is None:
        if not training:
            raise Refusal(
                f"{path} has neither training photos nor a devkit, so there are no classes; it holds {summary(path)}.",
                fix="Put ILSVRC2012_img_train.tar or ILSVRC2012_devkit_t12.tar.gz there.",
                exit_code=Exit.MISSING_INPUT,
            )
        return tuple(sorted(training))
    if training and set(training) != set(table.wnids):
        strangers, missing = sorted(set(training) - set(table.wnids)), sorted(set(table.wnids) - set(training))
        raise wrong(path, f"has {len(strangers)} training classes that the devkit lacks and lacks {len(missing)} of "
                          f"its classes ({', '.join((strangers + missing)[:5])})")  # fmt: skip
    return table.wnids if year == "2010" else tuple(sorted(table.wnids))


def _training(images: Path, year: Year) -> dict[str, Found]:
    """The training photos by WNID, from the first form that is there; empty if there are none."""
    for folder in (images / "train", images / f"ILSVRC{year}_img_train", images):
        if folder.is_dir():
            names = sorted_names(folder)
            folders = [name for name in names if WNID.fullmatch(name) and (folder / name).is_dir()]
            if folders:
                return {name: _files(folder / name) for name in folders}
            tars = [name for name in names if WNID.fullmatch(name.removesuffix(".tar")) and name.endswith(".tar")]
            if tars:
                with listing(str(folder)) as found:
                    return {name[:9]: found.photos(folder / name) for name in tars}
    whole = _archive(images, "train", rf"ILSVRC{year}_im\w*_train")
    if not whole:
        return {}
    with listing(str(whole[0])) as found:
        training = found.by_class(*whole)
    if not training:
        raise wrong(whole[0], "holds no training photos in class tars, such as n01440764.tar, or in class folders")
    return training


def _archive(images: Path, split: str, stem: str) -> tuple[Path, ...]:
    """The archive of a split in its parts, beside the others or in a folder named after the split."""
    folders = [folder for folder in (images, images / split) if folder.is_dir()]
    return next((files for folder in folders if (files := archive_files(folder, stem))), ())


def _numbered(images: Path, year: Year, split: str) -> Found | None:
    """The numbered photos of a split in the order of their names, or None if they are not there."""
    for folder in (images / split, images / f"ILSVRC{year}_img_{split}"):
        if folder.is_dir():
            sorted_in = (
                item for name in sorted_names(folder) if WNID.fullmatch(name) for item in _files(folder / name)
            )
            found = [item for item in (*_files(folder), *sorted_in) if NUMBERED.fullmatch(item[0])]
            if found:
                return _in_order(iter(found))
    whole = _archive(images, split, rf"ILSVRC{year}_im\w*_{split}\w*")
    if not whole:
        return None
    with listing(str(whole[0])) as listed:
        found = listed.photos(*whole)
    strangers = [name for name, _ in found if not (number := NUMBERED.fullmatch(name)) or number[1].lower() != split]
    if strangers:
        raise wrong(whole[0], f"holds {spoken(Path(strangers[0]))}, which is not a numbered photo of {split}")
    return found


def _files(folder: Path) -> Found:
    return [(name, File(folder / name)) for name in sorted_names(folder) if is_photo(name)]


def _in_order(found: Iterator[tuple[str, Place]]) -> Found:
    return sorted(((name, place) for name, place in found if is_photo(name)), key=lambda item: item[0])


def _labels(
    path: Path, year: Year, split: str, *, names: Sequence[str], table: ClassTable | None, label_of: dict[str, int]
) -> list[int] | None:
    """The label of each numbered photo, or None where nothing says it. Raises Refusal where counts disagree."""
    file = truth_file(year, split)
    ids = truth(path, file, classes=len(table.wnids)) if table else None
    if table and ids is not None:
        if len(ids) != len(names):
            raise wrong(path, f"has {len(names):,} photos of {split}, but {file} has {len(ids):,} lines")
        return [label_of[table.wnids[number - 1]] for number in ids]
    kaggle = path / TRUTH
    if split == "val" and kaggle.is_file():
        return val_labels(kaggle.read_text(encoding="utf-8"), names, label_of)
    return _caffe_labels(path, names, label_of) if split == "val" and year == "2012" else None


def _as_sorted(folder: Path, found: Found, labels: list[int] | None, label_of: dict[str, int]) -> list[int] | None:
    """The labels, or those of the class folders into which many sort the validation photos.

    Raises Refusal where photos lie in folders of other classes than their labels say.
    """
    wnids = [place.path.parent.name if isinstance(place, File) else "" for _, place in found]
    by_folder = [label_of.get(wnid) for wnid in wnids]
    if not all(map(WNID.fullmatch, wnids)):
        return labels
    if None in by_folder or (labels is not None and labels != by_folder):
        raise wrong(folder, "has photos in folders of other classes than their labels say")
    return [label for label in by_folder if label is not None]


def _caffe_labels(path: Path, names: Sequence[str], label_of: dict[str, int]) -> list[int] | None:
    """The labels of Caffe's val.txt, which count the sorted WNIDs from 0; None if it is not there."""
    file = next(
        (place for place in (path / CAFFE_TRUTH, path / "caffe_ilsvrc12" / CAFFE_TRUTH) if place.is_file()), None
    )
    if file is None:
        return None
    rows = [line.rsplit(maxsplit=1) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    labels = {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
    if set(labels) != set(names) or set(labels.values()) != set(range(len(label_of))):
        raise wrong(file, f"does not give each photo a label from 0 to {len(label_of) - 1}")
    return [labels[name] for name in names]


def _names(path: Path, wnids: tuple[str, ...]) -> dict[str, str]:
    """Names for people where there is no devkit: of Kaggle's table, or those that torchvision publishes."""
    file = path / NAMES
    if file.is_file():
        return class_names(file.read_text(encoding="utf-8"))
    return dict(zip(wnids, words_of(wnids), strict=True))


def _patches(path: Path) -> dict[tuple[str, str], Place]:
    """The organizers' replacements by split and file name, from patch_images/ or its tar if it is there."""
    found: Found = [(file.name, File(file)) for file in (path / PATCHES).glob("*/*")]
    packed = path / f"{PATCHES}.tar"
    if not found and packed.is_file():
        found = list(members(archive(packed)))
    numbered = {name: NUMBERED.fullmatch(name) for name, _ in found}
    return {(number[1] if (number := numbered[name]) else "train", name): place
            for name, place in found if is_photo(name)}  # fmt: skip


def _patched(split: Split, patches: dict[tuple[str, str], Place]) -> Split:
    if not patches:
        return split
    photos = [Photo(p.path, p.label, patches.get((split.name, p.name), p.place)) for p in split.photos]
    return Split(split.name, photos, split.labelled)
