"""Class folders: PATH/<class>/*.JPEG, or PATH/{train,val,test}/<class>/*.JPEG.

Classes are the folders' names in the order of their bytes, as torchvision's ImageFolder sorts them; photos may lie
deeper in them, as ImageFolder finds them.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Container, Sequence
from pathlib import Path

from alexrepro.data.sources.classes import ClassFolders, class_folders, unclear
from alexrepro.data.sources.source import File, Photo, Skipped, Source, Split
from alexrepro.data.sources.walk import (
    NO_FILE,
    PACKED,
    SUFFIXES,
    WNID,
    below,
    contents,
    entries,
    has_class_folders,
    is_folder,
    spoken,
    why_skipped,
)
from alexrepro.errors import Exit, UserError
from alexrepro.progress import say

__all__ = ["WNID", "spoken"]  # other layouts take them from here
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
ORDER = ("train", "val", "test")
ILSVRC_2012_TRAIN, ILSVRC_CLASSES = 1_281_167, 1000  # §2; exact count of the 2012 release
FIRST_OF_2012, LAST_OF_2012 = "n01440764", "n15075141"  # of its sorted WNIDs: tench and toilet tissue
LONGEST_NAME = 64  # of a data set; a disk takes 255 bytes with what is added to it
# imagenet-1k puts the WNID behind the official name: n01440764_10026_n01440764.JPEG
ENDS_IN_WNID = re.compile(r".+_(n\d{8})\.jpe?g", re.IGNORECASE)


def fits(path: Path) -> bool:
    """Whether the path holds class folders, directly or below folders named after splits."""
    return any(has_class_folders(folder) for _, folder in _split_folders(path))


def read(path: Path) -> Source:
    """The class folders below the path.

    Raises UserError if the classes of the splits differ, or if it is not clear which folders are classes.
    """
    found: dict[str, ClassFolders] = {}
    skipped = []
    for name, folder in _split_folders(path):
        if not has_class_folders(folder):
            say(f"{folder} has no class folders with photos; it is left out.")
            is_loss = any(is_folder(entry) and not why_skipped(entry) for entry in entries(folder))
            skipped.append(Skipped(below(path, folder), "no class folders with photos", is_loss))
        elif name in found:
            raise unclear(f"{found[name].folder} and {folder} are both the split {name}")
        else:
            found[name] = class_folders(folder, root=path)
            skipped += found[name].skipped
    if path not in (split.folder for split in found.values()):
        skipped += _beside(path, found)
    names = {name: _by_form(split) for name, split in found.items()}
    first = next(iter(names.values()))
    for name, others in names.items():
        if others.keys() != first.keys():
            different = ", ".join(sorted(others.keys() ^ first.keys())[:5])
            raise UserError(
                f"{path}: {name} has other classes than {next(iter(names))}: {different}.",
                fix="Every split needs the same class folders.",
                exit_code=Exit.BAD_DATA,
            )
    classes = tuple(first)
    splits = tuple(
        Split(name, [
            Photo(below(split.folder.parent, file), label, File(file))
            for label, form in enumerate(classes) for file in split.photos[names[name][form]]
        ])
        for name, split in found.items()
    )  # fmt: skip
    return Source(dataset_of(path, classes, splits), classes, words_of(classes), splits, skipped=tuple(skipped))


def sorted_names(folder: Path) -> list[str]:
    """Names in a folder in the order of their bytes, whatever the file system or the language settings."""
    return sorted((item.name for item in folder.iterdir() if not item.name.startswith(".")), key=os.fsencode)


def is_photo(name: str) -> bool:
    """Whether a file is listed as a photo: by suffix, in any case."""
    return Path(name).suffix.lower() in SUFFIXES


def is_wnids(classes: Sequence[str]) -> bool:
    """Whether every class is a WNID."""
    return all(WNID.fullmatch(name) for name in classes)


def dataset_of(path: Path, classes: tuple[str, ...], splits: Sequence[Split]) -> str:
    """`ilsvrc2012` for its exact number of classes and training photos; else the folder's name, tidied.

    That is in lower case, with hyphens for all but letters and digits. A long name is cut and ends in a digest of the
    whole: names of stores and runs, which hold it, must not be too long for a disk.
    """
    trained = next((len(split.photos) for split in splits if split.name == "train"), 0)
    if len(classes) == ILSVRC_CLASSES and is_wnids(classes) and trained == ILSVRC_2012_TRAIN:
        return "ilsvrc2012"
    name = re.sub(r"[^a-z0-9]+", "-", path.resolve().name.lower()).strip("-") or "photos"
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: LONGEST_NAME - 9]}-{digest}"


def words_of(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Names for people: those that torchvision publishes if the classes are ILSVRC-2012's, else the classes.

    Its list follows the sorted WNIDs, which are known here by their number, their first and their last.
    """
    ends = (FIRST_OF_2012, LAST_OF_2012)
    is_2012 = len(classes) == ILSVRC_CLASSES and (classes[0], classes[-1]) == ends
    if not is_2012 or not is_wnids(classes) or list(classes) != sorted(classes):
        return classes
    from torchvision.models import AlexNet_Weights

    return tuple(AlexNet_Weights.IMAGENET1K_V1.meta["categories"])


def _split_folders(path: Path) -> list[tuple[str, Path]]:
    """The folders that are named after splits, or else the path itself as that of the training photos."""
    named = [(SPLITS[entry.name.lower()], path / entry.name) for entry in entries(path)
             if entry.name.lower() in SPLITS and is_folder(entry)]  # fmt: skip
    return sorted(named, key=lambda item: ORDER.index(item[0])) or [("train", path)]


def _beside(path: Path, splits: Container[str]) -> list[Skipped]:
    """What lies beside the folders of the splits; folders of photos are said by name."""
    skipped = []
    for entry in entries(path):
        place, reason = path / entry.name, why_skipped(entry)
        if is_folder(entry) and entry.name.lower() in SPLITS:
            continue
        if not reason and is_folder(entry) and (what := contents(place)):
            say(f"{place} holds {what}, but its name is not that of a split (train, val, test); it is left out.")
        stem = entry.name.partition(".")[0].lower()
        is_loss = stem in SPLITS and (entry.name.endswith(PACKED) or reason == NO_FILE) and SPLITS[stem] not in splits
        skipped.append(Skipped(below(path, place), reason or "beside the folders of the splits", is_loss))
    return skipped


def _by_form(found: ClassFolders) -> dict[str, str]:
    """The folder of each class by its name in composed Unicode, since systems differ in how they write accents.

    Raises UserError if two folders have the same name in that form.
    """
    forms: dict[str, str] = {}
    for name in found.photos:
        form = unicodedata.normalize("NFC", spoken(Path(name)))
        if form in forms:
            both = " and ".join(ascii(other) for other in (forms[form], name))
            raise unclear(f"{found.folder} has two class folders whose names look the same: {both}")
        forms[form] = name
    return forms
