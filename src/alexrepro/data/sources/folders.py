"""Class folders: PATH/<class>/*.JPEG, or PATH/{train,val,test}/<class>/*.JPEG.

Classes are the folders' names in the order of their bytes, as torchvision's ImageFolder sorts them; photos may lie
deeper in them, as ImageFolder finds them.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alexrepro.data.sources.source import File, Photo, Skipped, Source, Split
from alexrepro.data.sources.walk import SUFFIXES, contents, entries, has_class_folders, is_folder, walk, why_skipped
from alexrepro.errors import Exit, Refusal
from alexrepro.progress import say

SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
ORDER = ("train", "val", "test")
ILSVRC_2012_TRAIN, ILSVRC_CLASSES = 1_281_167, 1000  # §2; exact count of the 2012 release
FIRST_OF_2012, LAST_OF_2012 = "n01440764", "n15075141"  # of its sorted WNIDs: tench and toilet tissue
MOST_OF_NAME = 100  # characters of a data set's name; a file name may have 255 bytes, and stores add to it
WNID = re.compile(r"n\d{8}")
# imagenet-1k puts the WNID behind the official name: n01440764_10026_n01440764.JPEG
ENDS_IN_WNID = re.compile(r".+_(n\d{8})\.jpe?g", re.IGNORECASE)


@dataclass(frozen=True)
class ClassFolders:
    """The folders of one split by their names, with the photos of each, and what is skipped in them."""

    folder: Path
    photos: dict[str, list[Path]]
    skipped: list[Skipped]


def fits(path: Path) -> bool:
    """Whether the path holds class folders, directly or below folders named after splits."""
    return any(has_class_folders(folder) for _, folder in _split_folders(path))


def read(path: Path) -> Source:
    """The class folders below the path.

    Raises Refusal if the classes of the splits differ, or if it is not clear which folders are classes.
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
        skipped += _beside(path)
    names = {name: _by_form(split) for name, split in found.items()}
    first = next(iter(names.values()))
    for name, others in names.items():
        if others.keys() != first.keys():
            different = ", ".join(sorted(others.keys() ^ first.keys())[:5])
            raise Refusal(
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


def class_folders(folder: Path, *, root: Path, named: re.Pattern[str] | None = None) -> ClassFolders:
    """Every folder in a folder as a class, with the photos at any depth; what else lies there is skipped.

    named: what the names of the classes are; others are passed over then.

    A folder without any file is a class without photos; one with other files only is none, unless its name is a WNID.
    Raises Refusal if every photo lies deeper and in several folders of one, so that these may be the classes.
    """
    photos: dict[str, list[Path]] = {}
    skipped = []
    for entry in (entry for entry in entries(folder) if named is None or named.fullmatch(entry.name)):
        path, reason = below(root, folder / entry.name), why_skipped(entry)
        if not is_folder(entry):
            skipped.append(Skipped(path, reason or "a photo outside of the class folders", is_loss=not reason))
        elif reason:
            skipped.append(Skipped(path, reason))
        else:
            files = list(walk(folder / entry.name))
            kept = [file for file, reason in files if reason is None]
            if kept or not files or WNID.fullmatch(entry.name):
                photos[entry.name] = kept
                skipped += [Skipped(below(root, file), reason) for file, reason in files if reason]
            else:
                skipped.append(Skipped(path, f"no photo in {len(files):,} files"))
    found = ClassFolders(folder, photos, skipped)
    _refuse_unclear(found)
    return _without_other_classes(found, root)


def below(root: Path, path: Path) -> str:
    """A path below a source as text that can be written anywhere."""
    return spoken(path.relative_to(root))


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

    That is in lower case, with hyphens for all but letters and digits, and short enough for the names of stores.
    """
    trained = next((len(split.photos) for split in splits if split.name == "train"), 0)
    if len(classes) == ILSVRC_CLASSES and is_wnids(classes) and trained == ILSVRC_2012_TRAIN:
        return "ilsvrc2012"
    return re.sub(r"[^a-z0-9]+", "-", path.resolve().name.lower())[:MOST_OF_NAME].strip("-") or "photos"


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


def _beside(path: Path) -> list[Skipped]:
    """What lies beside the folders of the splits; folders of photos are said by name."""
    skipped = []
    for entry in entries(path):
        place, reason = path / entry.name, why_skipped(entry)
        if is_folder(entry) and entry.name.lower() in SPLITS:
            continue
        if not reason and is_folder(entry) and (what := contents(place)):
            say(f"{place} holds {what}, but its name is not that of a split (train, val, test); it is left out.")
        skipped.append(Skipped(below(path, place), reason or "beside the folders of the splits"))
    return skipped


def _without_other_classes(found: ClassFolders, root: Path) -> ClassFolders:
    """Without the photos in a class folder that lie in a folder named as another class; they are a loss."""
    photos: dict[str, list[Path]] = {}
    skipped = list(found.skipped)
    for name, files in found.photos.items():
        strangers = Counter[Path]()
        kept = []
        for file in files:
            inner = file.relative_to(found.folder).parts[:-1]
            depth = next((at for at, part in enumerate(inner) if at and part != name and _is_class(part, found)), None)
            if depth is None:
                kept.append(file)
            else:
                strangers[found.folder.joinpath(*inner[: depth + 1])] += 1
        if kept or not files:
            photos[name] = kept
        for folder, count in strangers.items():
            reason = f"{count:,} photos in a folder that is named as another class than {spoken(Path(name))}"
            skipped.append(Skipped(below(root, folder), reason, is_loss=True))
        if not files:
            skipped.append(Skipped(below(root, found.folder / name), "a class folder without a photo", is_loss=True))
    return ClassFolders(found.folder, photos, skipped)


def _is_class(name: str, found: ClassFolders) -> bool:
    return name in found.photos or WNID.fullmatch(name) is not None


def _refuse_unclear(found: ClassFolders) -> None:
    """Where no photo lies in a class folder itself and one has several folders of photos, these may be the classes."""
    parents = {name: {file.parent for file in files} for name, files in found.photos.items()}
    if is_wnids(tuple(parents)) or any(found.folder / name in folders for name, folders in parents.items()):
        return
    for name, folders in parents.items():
        if len(folders) > 1:
            inner = ", ".join(sorted(spoken(Path(folder.name)) for folder in folders)[:3])
            raise unclear(f"{found.folder / name} holds {len(folders):,} folders of photos ({inner}), "
                          "so that it is not clear which folders are the classes")  # fmt: skip


def _by_form(found: ClassFolders) -> dict[str, str]:
    """The folder of each class by its name in composed Unicode, since systems differ in how they write accents.

    Raises Refusal if two folders have the same name in that form.
    """
    forms: dict[str, str] = {}
    for name in found.photos:
        form = unicodedata.normalize("NFC", spoken(Path(name)))
        if form in forms:
            both = " and ".join(ascii(other) for other in (forms[form], name))
            raise unclear(f"{found.folder} has two class folders whose names look the same: {both}")
        forms[form] = name
    return forms


def unclear(what: str) -> Refusal:
    """The refusal of folders that can be read in two ways."""
    return Refusal(
        f"{what}.", fix="Keep one folder per split (train, val, test), and the class folders directly in it.",
        exit_code=Exit.BAD_DATA,
    )  # fmt: skip
