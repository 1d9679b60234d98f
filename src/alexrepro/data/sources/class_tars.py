"""Class tars: one for each class, named after its WNID, as all of ImageNet comes.

PATH/n01440764.tar ..., PATH/{train,val,test}/n01440764.tar ..., or the tar of them all, such as fall11_whole.tar.
"""

import re
from pathlib import Path

from alexrepro.data.sources.archives import archive_files
from alexrepro.data.sources.checks import dataset_of, same_classes, without_training, words_of
from alexrepro.data.sources.source import ImageFile, Source, Split
from alexrepro.data.sources.tars import CLASS_TAR, archive, listing
from alexrepro.data.sources.walk import SPLITS, WNID, escaped, names_in

ORDER: tuple[str, ...] = ("train", "val", "test")
WHOLE = r"\w+_whole"  # fall11_whole, winter21_whole


def fits(path: Path) -> bool:
    """Whether class tars lie in the folder or in folders named after splits, or the tar of them all lies there."""
    return bool(_folders(path)) or any(re.match(rf"{WHOLE}\.tar", name) for name in names_in(path))


def read(path: Path) -> Source:
    """The images of each class tar. Raises UserError if the splits' classes differ, or if a tar is damaged."""
    with listing(path) as found:
        by_split = {
            split: {tar.removesuffix(".tar"): found.images(archive(folder / tar)) for tar in _class_tars(folder)}
            for split, folder in _folders(path).items()
        } or {"train": found.by_class(archive(*archive_files(path, WHOLE)))}
    classes = same_classes(path, by_split)
    splits = tuple(
        Split(split, [
            ImageFile(f"{split}/{wnid}/{escaped(name)}", label, location)
            for label, wnid in enumerate(classes) for name, location in tars[wnid]
        ])
        for split, tars in by_split.items()
    )  # fmt: skip
    gaps = tuple(without_training(classes, splits))
    return Source(dataset_of(path, classes, splits), classes, words_of(classes), splits, gaps=gaps,
                  skipped=tuple(found.skipped))  # fmt: skip


def _folders(path: Path) -> dict[str, Path]:
    """The folders of class tars by split, in the order train, val, test."""
    named = {SPLITS[name.lower()]: path / name for name in names_in(path) if name.lower() in SPLITS}
    found = {split: named[split] for split in ORDER if split in named and _class_tars(named[split])}
    return found or ({"train": path} if _class_tars(path) else {})


def _class_tars(folder: Path) -> list[str]:
    """The names of the class tars in a folder; none if class folders lie next to them."""
    names = names_in(folder)
    has_folders = any(WNID.fullmatch(name) and (folder / name).is_dir() for name in names)
    return [] if has_folders else [name for name in names if CLASS_TAR.fullmatch(name)]
