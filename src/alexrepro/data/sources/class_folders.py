"""Two layouts: a folder for each class, and a tar for each class, named after its WNID, as all of ImageNet comes.

PATH/<class>/*.JPEG or PATH/{train,val,test}/<class>/*.JPEG. Classes are the folders' names in the order of their bytes,
and images may lie deeper in them, as in torchvision's ImageFolder. PATH/n01440764.tar ..., PATH/{train,val,test}/
n01440764.tar ..., or the tar of them all, such as fall11_whole.tar.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Container, Mapping
from itertools import islice
from pathlib import Path

from alexrepro.data.sources.archives import PART, archive, archive_files
from alexrepro.data.sources.images import Images, Packed
from alexrepro.data.sources.labels import dataset_of, words_of
from alexrepro.data.sources.source import File, Found, Source, Split, bad_data, escaped, refuse_other_classes
from alexrepro.data.sources.walk import (
    ARCHIVES,
    CLASS_TAR,
    NO_FILE,
    ORDER,
    SPLITS,
    WNID,
    Listing,
    contents,
    entries,
    is_folder,
    listing,
    names_in,
    why_skipped,
)
from alexrepro.errors import UserError
from alexrepro.progress import first_few, say

ALL_CLASSES = r"\w+_whole"  # fall11_whole, winter21_whole


def fits(path: Path) -> bool:
    """Whether the path holds class folders, directly or below folders named after splits."""
    return any(contents(folder) == "class folders" for _, folder in _split_folders(path))


def fits_tars(path: Path) -> bool:
    """Whether class tars lie in the folder or in folders named after splits, or the tar of them all lies there."""
    names = [name for _, folder in _split_folders(path) for name in names_in(folder)]
    is_whole = any(re.fullmatch(rf"{ALL_CLASSES}\.tar(?:{PART.pattern})?", name) for name in names_in(path))
    return (is_whole or any(map(CLASS_TAR.fullmatch, names))) and not any(map(WNID.fullmatch, names))


def read(path: Path) -> Source:
    """The class folders and class tars below the path.

    Raises UserError if the classes of the splits differ, or if it is not clear which folders are classes.
    """
    images: dict[str, dict[str, tuple[str, Found]]] = {}
    with listing(path) as found:
        for split, folder in _split_folders(path):
            if contents(folder) == "class folders" or any(map(CLASS_TAR.fullmatch, names_in(folder))):
                if split in images:
                    raise _unclear(f"{path} has two folders of the split {split}, such as {folder}")
                images[split] = _with_paths(split, folder, classes_in(folder, found))
            elif folder != path:
                say(f"{folder} has no class folders with images; it is left out.")
                is_loss = any(is_folder(entry) and not why_skipped(entry) for entry in entries(folder))
                found.skip(folder, "no class folders with images", is_loss=is_loss)
                found.read.add(folder)
        if not images:
            images["train"] = _with_paths("train", path, found.by_class(archive(*archive_files(path, ALL_CLASSES))))
    (first, by_first), *others = images.items()
    for split, by_class in others:
        refuse_other_classes(f"{path}: {split} has other classes than {first}", by_first, by_class)
    classes = tuple(by_first)
    splits = tuple(
        Split(split, Images((*by_class[wnid], [label]) for label, wnid in enumerate(classes)))
        for split, by_class in images.items()
    )
    return Source(dataset_of(path, classes, splits), classes, words_of(classes), splits,
                  skipped=found.all_skipped(images))  # fmt: skip


def classes_in(folder: Path, found: Listing, *, only_wnids: bool = False) -> dict[str, Found]:
    """The images of each class in a folder: in a folder, at any depth, or else in a tar that is named by a WNID.

    A folder without any file is a class without images; one with other files only is none, unless its name is a WNID.
    What else lies there is skipped, or passed over with only_wnids.
    Raises UserError if every image lies deeper and in several folders of one, so that these may be the classes.
    """
    images: dict[str, Found] = {}
    for entry in entries(folder):
        at, stem, reason = folder / entry.name, entry.name.partition(".")[0], why_skipped(entry)
        is_wnid, is_tar = WNID.fullmatch(stem), CLASS_TAR.fullmatch(entry.name)
        if only_wnids and not (is_tar or WNID.fullmatch(entry.name)):
            continue
        found.read.add(at if only_wnids else folder)
        if is_folder(entry) and not reason:
            before, inner = len(found.skipped), found.folder(at)
            if inner or is_wnid or len(found.skipped) == before:
                images[entry.name] = inner
        elif images.get(stem) and entry.name.endswith(ARCHIVES):
            found.skip(at, f"the folder {stem} is read instead")
        elif is_tar:
            images[stem] = found.tar(archive(at))
        else:
            is_lost = (is_wnid and entry.name.endswith(ARCHIVES)) or (entry.is_symlink() and reason == NO_FILE)
            found.skip(at, reason or "an image outside of the class folders", is_loss=not reason or bool(is_lost))
    _refuse_unclear(folder, images)
    return _of_one_class(folder, images, found)


def _of_one_class(folder: Path, images: dict[str, Found], found: Listing) -> dict[str, Found]:
    """The images that lie in no folder named as another class; skips the others, and names empty classes."""
    kept: dict[str, Found] = {}
    for name, items in images.items():
        others = [_other_class(inner, name, images) for inner, _ in items]
        own = Packed(item for item, other in zip(items, others, strict=True) if not other) if any(others) else items
        if own or not items:
            kept[name] = own
        for other, count in Counter(filter(None, others)).items():
            reason = f"{count:,} images in a folder that is named as another class than {escaped(name)}"
            found.skip(folder / name / other, reason, is_loss=True)
        if not items:
            found.skip(folder / name, "a class folder without an image", is_loss=True)
    return kept


def _other_class(inner: str, name: str, classes: Container[str]) -> str:
    """The folder between an image and its class folder that is named as another class, if there is one."""
    parts = inner.split("/")[:-1]
    for depth, part in enumerate(parts, 1):
        if part != name and (part in classes or WNID.fullmatch(part)):
            return "/".join(parts[:depth])
    return ""


def _refuse_unclear(folder: Path, images: dict[str, Found]) -> None:
    """If no image lies in a class folder itself and one has several folders of images, these may be the classes."""
    if all(map(WNID.fullmatch, images)):
        return
    parents = {name: {inner.rpartition("/")[0] for inner, _ in items} for name, items in images.items()}
    if any("" in inner for inner in parents.values()):
        return
    for name, inner in parents.items():
        if len(inner) > 1:
            shown = first_few(sorted(escaped(Path(path).name) for path in inner), 3)
            raise _unclear(f"{folder / name} holds {len(inner):,} folders of images ({shown}), "
                           "so that it is not clear which folders are the classes")  # fmt: skip


def _split_folders(path: Path) -> list[tuple[str, Path]]:
    """The folders that are named after splits, or else the path itself, as the split of its name or for training."""
    named = [(SPLITS[entry.name.lower()], path / entry.name) for entry in entries(path)
             if entry.name.lower() in SPLITS and is_folder(entry)]  # fmt: skip
    return sorted(named, key=lambda item: ORDER.index(item[0])) or [
        (SPLITS.get(path.resolve().name.lower(), "train"), path)
    ]


def _with_paths(split: str, folder: Path, by_class: Mapping[str, Found]) -> dict[str, tuple[str, Found]]:
    """What the paths of a class's images begin with, below the source, and these images.

    Names of classes are brought into composed Unicode, because systems write accents differently. Raises UserError if
    two folders have the same name in that form.
    """
    found: dict[str, tuple[str, Found]] = {}
    for name, images in by_class.items():
        form = unicodedata.normalize("NFC", escaped(name))
        if form in found:
            raise _unclear(f"{folder} has two class folders whose names look the same, such as {name!a}")
        are_files = any(isinstance(location, File) for _, location in islice(images, 1))
        found[form] = f"{folder.name if are_files else split}/{name}/", images
    return found


def _unclear(what: str) -> UserError:
    fix = "Keep one folder per split (train, val, test), and the class folders directly in it."
    return bad_data(f"{what}.", fix)
