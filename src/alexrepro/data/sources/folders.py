"""Class folders: PATH/<class>/*.JPEG, or PATH/{train,val,test}/<class>/*.JPEG.

Classes are the folders' names in the order of their bytes, as torchvision's ImageFolder sorts them.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from alexrepro.data.sources.source import File, Photo, Source, Split
from alexrepro.errors import Exit, Refusal
from alexrepro.progress import say

SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp"}
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
ILSVRC_2012_TRAIN, ILSVRC_CLASSES = 1_281_167, 1000  # §2; exact count of the 2012 release
FIRST_OF_2012, LAST_OF_2012 = "n01440764", "n15075141"  # of its sorted WNIDs: tench and toilet tissue
LONGEST_NAME = 64  # of a data set; a disk takes 255 bytes with what is added to it
WNID = re.compile(r"n\d{8}")
# imagenet-1k puts the WNID behind the official name: n01440764_10026_n01440764.JPEG
ENDS_IN_WNID = re.compile(r".+_(n\d{8})\.jpe?g", re.IGNORECASE)


def fits(path: Path) -> bool:
    """Whether the path holds class folders, directly or below folders named after splits."""
    return any(_has_classes(folder) for folder in _split_folders(path).values())


def read(path: Path) -> Source:
    """The class folders below the path. Raises Refusal if the splits' classes differ."""
    folders = {}
    for name, folder in _split_folders(path).items():
        if _has_classes(folder):
            folders[name] = folder
        else:
            say(f"{folder} has no class folders with photos; it is left out.")
    classes = {name: tuple(_class_folders(folder)) for name, folder in folders.items()}
    first = next(iter(classes.values()))
    for name, found in classes.items():
        if found != first:
            different = sorted(set(found) ^ set(first))
            raise Refusal(
                f"{path}: {name} has other classes than {next(iter(classes))}: {', '.join(different[:5])}.",
                fix="Every split needs the same class folders.",
                exit_code=Exit.BAD_DATA,
            )
    splits = tuple(Split(name, list(_photos(folder, first))) for name, folder in folders.items())
    return Source(dataset_of(path, first, splits), first, words_of(first), splits)


def sorted_names(folder: Path) -> list[str]:
    """Names in a folder in the order of their bytes, whatever the file system or the language settings."""
    return sorted((item.name for item in folder.iterdir() if not item.name.startswith(".")), key=os.fsencode)


def is_photo(name: str) -> bool:
    """Whether a file is listed as a photo: by suffix, in any case."""
    return Path(name).suffix.lower() in SUFFIXES


def spoken(path: Path) -> str:
    """A path as text that can be written anywhere; bytes that are no UTF-8 and control characters are spelled out."""
    text = os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


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


def _split_folders(path: Path) -> dict[str, Path]:
    found: dict[str, Path] = {
        SPLITS[name.lower()]: path / name for name in sorted_names(path) if name.lower() in SPLITS
    }
    return {name: found[name] for name in ("train", "val", "test") if name in found} or {"train": path}


def _class_folders(folder: Path) -> list[str]:
    """The names of the folders that hold photos."""
    return [name for name in sorted_names(folder) if any(map(is_photo, _names_below(folder / name)))]


def _has_classes(folder: Path) -> bool:
    return folder.is_dir() and bool(_class_folders(folder))


def _names_below(folder: Path) -> Iterator[str]:
    return (item.name for item in folder.iterdir()) if folder.is_dir() else iter(())


def _photos(folder: Path, classes: tuple[str, ...]) -> Iterator[Photo]:
    for label, name in enumerate(classes):
        for file in sorted_names(folder / name):
            if is_photo(file):
                place = folder / name / file
                yield Photo(spoken(place.relative_to(folder.parent)), label, File(place))
