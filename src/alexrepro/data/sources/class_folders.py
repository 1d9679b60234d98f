"""Two layouts: a folder for each class, and a tar for each class, named after its WNID, as all of ImageNet comes.

PATH/<class>/*.JPEG or PATH/{train,val,test}/<class>/*.JPEG. Classes are the folders' names in the order of their bytes,
and images may lie deeper in them, as in torchvision's ImageFolder. PATH/n01440764.tar ..., PATH/{train,val,test}/
n01440764.tar ..., or the tar of them all, such as fall11_whole.tar.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from alexrepro.data.sources.archives import PACKED, archive_files
from alexrepro.data.sources.checks import class_split, dataset_of, same_classes, without_training, words_of
from alexrepro.data.sources.source import File, ImageFile, Skipped, Source, Split, bad_data
from alexrepro.data.sources.tars import CLASS_TAR, archive, listing
from alexrepro.data.sources.walk import (
    NO_FILE,
    SPLITS,
    WNID,
    below,
    contents,
    entries,
    escaped,
    is_folder,
    names_in,
    walk,
    why_skipped,
)
from alexrepro.errors import UserError
from alexrepro.progress import first_few, say

ORDER: tuple[str, ...] = ("train", "val", "test")
ALL_CLASSES = r"\w+_whole"  # fall11_whole, winter21_whole
ARCHIVES = (".tar", *PACKED)


@dataclass(frozen=True)
class ClassFolders:
    """The class folders of one split by name, with the images of each, and what is skipped in them."""

    folder: Path
    images: dict[str, list[Path]]
    skipped: list[Skipped]


def fits(path: Path) -> bool:
    """Whether the path holds class folders, directly or below folders named after splits."""
    return any(contents(folder) == "class folders" for _, folder in _split_folders(path))


def read(path: Path) -> Source:
    """The class folders below the path.

    Raises UserError if the classes of the splits differ, or if it is not clear which folders are classes.
    """
    found: dict[str, ClassFolders] = {}
    skipped = []
    for name, folder in _split_folders(path):
        if contents(folder) != "class folders":
            say(f"{folder} has no class folders with images; it is left out.")
            is_loss = any(is_folder(entry) and not why_skipped(entry) for entry in entries(folder))
            skipped.append(Skipped(below(path, folder), "no class folders with images", is_loss))
        elif name in found:
            raise _unclear(f"{found[name].folder} and {folder} are both the split {name}")
        else:
            found[name] = class_folders(folder, root=path)
            skipped += found[name].skipped
    if path not in (split.folder for split in found.values()):
        skipped += _next_to_splits(path, found)
    names = {name: _by_form(split) for name, split in found.items()}
    classes = same_classes(path, names)
    splits = tuple(
        Split(name, [
            ImageFile(below(split.folder.parent, file), label, File(file))
            for label, form in enumerate(classes) for file in split.images[names[name][form]]
        ])
        for name, split in found.items()
    )  # fmt: skip
    return Source(dataset_of(path, classes, splits), classes, words_of(classes), splits, skipped=tuple(skipped))


def fits_tars(path: Path) -> bool:
    """Whether class tars lie in the folder or in folders named after splits, or the tar of them all lies there."""
    return bool(_tar_folders(path)) or any(re.match(rf"{ALL_CLASSES}\.tar", name) for name in names_in(path))


def read_tars(path: Path) -> Source:
    """The images of each class tar. Raises UserError if the splits' classes differ, or if a tar is damaged."""
    with listing(path) as found:
        by_split = {
            split: {tar.removesuffix(".tar"): found.images(archive(folder / tar)) for tar in _class_tars(folder)}
            for split, folder in _tar_folders(path).items()
        } or {"train": found.by_class(archive(*archive_files(path, ALL_CLASSES)))}
    classes = same_classes(path, by_split)
    splits = tuple(class_split(split, tars, classes) for split, tars in by_split.items())
    return Source(dataset_of(path, classes, splits), classes, words_of(classes), splits,
                  gaps=tuple(without_training(classes, splits)), skipped=tuple(found.skipped))  # fmt: skip


def _tar_folders(path: Path) -> dict[str, Path]:
    """The folders of class tars by split, in the order train, val, test."""
    named = {SPLITS[name.lower()]: path / name for name in names_in(path) if name.lower() in SPLITS}
    found = {split: named[split] for split in ORDER if split in named and _class_tars(named[split])}
    return found or ({"train": path} if _class_tars(path) else {})


def _class_tars(folder: Path) -> list[str]:
    """The names of the class tars in a folder; none if class folders lie next to them."""
    names = names_in(folder)
    has_folders = any(WNID.fullmatch(name) and (folder / name).is_dir() for name in names)
    return [] if has_folders else [name for name in names if CLASS_TAR.fullmatch(name)]


def class_folders(folder: Path, *, root: Path, named: re.Pattern[str] | None = None) -> ClassFolders:
    """Every folder in a folder as a class, with the images at any depth; anything else there is skipped.

    named: what the names of the classes are; others are passed over then. A folder without any file is a class without
    images; one with other files only is none, unless its name is a WNID.
    Raises UserError if every image lies deeper and in several folders of one, so that these may be the classes.
    """
    images: dict[str, list[Path]] = {}
    skipped = []
    for entry in (entry for entry in entries(folder) if named is None or named.fullmatch(entry.name)):
        path, reason = below(root, folder / entry.name), why_skipped(entry)
        if not is_folder(entry):
            stem = entry.name.partition(".")[0]
            is_class = (entry.name.endswith(ARCHIVES) and WNID.fullmatch(stem)) or (
                entry.is_symlink() and reason == NO_FILE
            )
            is_loss = not reason or (is_class and stem not in images)
            skipped.append(Skipped(path, reason or "an image outside of the class folders", bool(is_loss)))
        elif reason:
            skipped.append(Skipped(path, reason))
        else:
            files = list(walk(folder / entry.name))
            kept = [file for file, reason in files if reason is None]
            if kept or not files or WNID.fullmatch(entry.name):
                images[entry.name] = kept
                skipped += [Skipped(below(root, file), reason) for file, reason in files if reason]
            else:
                skipped.append(Skipped(path, f"no image in {len(files):,} files"))
    _refuse_unclear(folder, images)
    return ClassFolders(folder, _by_one_class(folder, images, skipped, root), skipped)


def _by_one_class(
    folder: Path, images: dict[str, list[Path]], skipped: list[Skipped], root: Path
) -> dict[str, list[Path]]:
    """The images that lie in no folder named as another class; adds the others, and empty classes, to `skipped`."""
    kept: dict[str, list[Path]] = {}
    for name, files in images.items():
        others = {file: other for file in files if (other := _other_class(file, folder, name, images))}
        if not files or len(others) < len(files):
            kept[name] = [file for file in files if file not in others]
        for other, count in Counter(others.values()).items():
            reason = f"{count:,} images in a folder that is named as another class than {escaped(name)}"
            skipped.append(Skipped(below(root, other), reason, is_loss=True))
        if not files:
            skipped.append(Skipped(below(root, folder / name), "a class folder without an image", is_loss=True))
    return kept


def _other_class(file: Path, folder: Path, name: str, classes: Container[str]) -> Path | None:
    """The folder between an image and its class folder that is named as another class, if there is one."""
    inner = file.relative_to(folder).parts[:-1]
    for depth, part in enumerate(inner[1:], 2):
        if part != name and (part in classes or WNID.fullmatch(part)):
            return folder.joinpath(*inner[:depth])
    return None


def _refuse_unclear(folder: Path, images: dict[str, list[Path]]) -> None:
    """If no image lies in a class folder itself and one has several folders of images, these may be the classes."""
    parents = {name: {file.parent for file in files} for name, files in images.items()}
    if all(map(WNID.fullmatch, parents)) or any(folder / name in inner for name, inner in parents.items()):
        return
    for name, inner in parents.items():
        if len(inner) > 1:
            shown = first_few(sorted(escaped(path.name) for path in inner), 3)
            raise _unclear(f"{folder / name} holds {len(inner):,} folders of images ({shown}), "
                           "so that it is not clear which folders are the classes")  # fmt: skip


def _split_folders(path: Path) -> list[tuple[str, Path]]:
    """The folders that are named after splits, or else the path itself as that of the training images."""
    named = [(SPLITS[entry.name.lower()], path / entry.name) for entry in entries(path)
             if entry.name.lower() in SPLITS and is_folder(entry)]  # fmt: skip
    return sorted(named, key=lambda item: ORDER.index(item[0])) or [("train", path)]


def _next_to_splits(path: Path, splits: Container[str]) -> list[Skipped]:
    """What lies next to the folders of the splits; folders of images are named on stderr."""
    skipped = []
    for entry in entries(path):
        location, reason = path / entry.name, why_skipped(entry)
        if is_folder(entry) and entry.name.lower() in SPLITS:
            continue
        if not reason and is_folder(entry) and (held := contents(location)):
            say(f"{location} holds {held}, but its name is not that of a split (train, val, test); it is left out.")
        split = SPLITS.get(entry.name.partition(".")[0].lower())
        is_lost = split is not None and split not in splits and (entry.name.endswith(ARCHIVES) or reason == NO_FILE)
        skipped.append(Skipped(below(path, location), reason or "next to the folders of the splits", is_lost))
    return skipped


def _by_form(found: ClassFolders) -> dict[str, str]:
    """The folder of each class by its name in composed Unicode, because systems write accents differently.

    Raises UserError if two folders have the same name in that form.
    """
    forms: dict[str, str] = {}
    for name in found.images:
        form = unicodedata.normalize("NFC", escaped(name))
        if form in forms:
            both = " and ".join(ascii(other) for other in (forms[form], name))
            raise _unclear(f"{found.folder} has two class folders whose names look the same: {both}")
        forms[form] = name
    return forms


def _unclear(what: str) -> UserError:
    fix = "Keep one folder per split (train, val, test), and the class folders directly in it."
    return bad_data(f"{what}.", fix)
