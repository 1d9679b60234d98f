"""Class tars: one tar for each class, named after its WNID, as all of ImageNet comes and as half-unpacked archives lie.

PATH/n01440764.tar ..., PATH/{train,val,test}/n01440764.tar ..., or the tar of them all, such as fall11_whole.tar.
"""

import re
from pathlib import Path

from alexrepro.data.sources.folders import SPLITS, WNID, dataset_of, sorted_names, spoken, words_of
from alexrepro.data.sources.ilsvrc_splits import Found
from alexrepro.data.sources.labels import without_training
from alexrepro.data.sources.packed import archive_files
from alexrepro.data.sources.source import Photo, Source, Split
from alexrepro.data.sources.tar_images import CLASS_TAR, Listing, listing
from alexrepro.errors import Exit, UserError

WHOLE = r"\w+_whole"  # fall11_whole, winter21_whole


def fits(path: Path) -> bool:
    """Whether class tars lie in the folder or in folders named after splits, or the tar of them all lies there."""
    return bool(_folders(path)) or any(re.match(rf"{WHOLE}\.tar", name) for name in sorted_names(path))


def read(path: Path) -> Source:
    """The photos of each tar. Raises UserError if the splits' classes differ, or if a tar is damaged."""
    with listing(str(path)) as found:
        by_split = {split: _by_class(folder, found) for split, folder in _folders(path).items()}
        if not by_split:
            by_split = {"train": found.by_class(*archive_files(path, WHOLE))}
    classes = tuple(next(iter(by_split.values())))
    for split, tars in by_split.items():
        if different := set(classes) ^ set(tars):
            raise UserError(
                f"{path}: {split} has other classes than {next(iter(by_split))}: {', '.join(sorted(different)[:5])}.",
                fix="Every split needs the same class tars.", exit_code=Exit.BAD_DATA,
            )  # fmt: skip
    splits = tuple(
        Split(split, [
            Photo(f"{split}/{wnid}/{spoken(Path(name))}", label, place)
            for label, wnid in enumerate(classes) for name, place in tars[wnid]
        ])
        for split, tars in by_split.items()
    )  # fmt: skip
    gaps = tuple(without_training(classes, splits))
    return Source(dataset_of(path, classes, splits), classes, words_of(classes), splits, gaps=gaps)


def _folders(path: Path) -> dict[str, Path]:
    """The folders of class tars by split."""
    named: dict[str, Path] = {
        SPLITS[name.lower()]: path / name for name in sorted_names(path) if name.lower() in SPLITS
    }
    found: dict[str, Path] = {
        split: named[split] for split in ("train", "val", "test") if split in named and _tars(named[split])
    }
    return found or ({"train": path} if _tars(path) else {})


def _tars(folder: Path) -> list[str]:
    """The names of the class tars in a folder; none where class folders lie beside them."""
    names = sorted_names(folder) if folder.is_dir() else []
    has_folders = any(WNID.fullmatch(name) and (folder / name).is_dir() for name in names)
    return [] if has_folders else [name for name in names if CLASS_TAR.fullmatch(name)]


def _by_class(folder: Path, found: Listing) -> dict[str, Found]:
    return {name.removesuffix(".tar"): found.photos(folder / name) for name in _tars(folder)}
