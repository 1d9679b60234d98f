"""Where the images of ILSVRC lie, in folders and tars, and what else lies there.

Each part names the files and folders it was read from, so that all others can be listed as skipped, with the reason.
"""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from alexrepro.data.sources.archives import AGAIN, archive_files, compressed, packing_of
from alexrepro.data.sources.checks import NUMBERED, Found, Year, is_of
from alexrepro.data.sources.class_folders import class_folders
from alexrepro.data.sources.labels import class_above
from alexrepro.data.sources.source import File, Location, Skipped, bad_data
from alexrepro.data.sources.tars import CLASS_TAR, archive, listing
from alexrepro.data.sources.walk import (
    SPLITS,
    WNID,
    below,
    contents,
    entries,
    escaped,
    is_folder,
    walk,
    why_ignored,
    why_skipped,
)
from alexrepro.errors import UserError
from alexrepro.progress import say

ARCHIVE = re.compile(
    r"ILSVRC20\d\d_im\w*?_(?P<split>train|val|test)(?!_t3)[\w-]*(\.(tar|tgz|zip|7z|rar)(\.\w+)*)?", re.IGNORECASE
)
NEXT_TO_ARCHIVES = (".md5", ".sha1", ".sha256", ".txt", ".torrent", ".aria2")
NOT_IMAGES = ("Annotations", "ImageSets")  # of Kaggle's tree
OTHER_NAME = "not named as an image of this split"


@dataclass(frozen=True)
class Part:
    """The images of one split by class, or under "" if they are numbered; what was read, and what was skipped."""

    images: dict[str, Found]
    read: tuple[Path, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def training(root: Path, images: Path, year: Year) -> Part:
    """The training images by WNID, from the first form that is there; without any if there is none."""
    for folder in (*_split_folders(images, "train", year), images):
        part = _classes_in(root, folder, is_whole=folder != images)
        if part.images:
            return part
    whole = _archive(images, "train", rf"ILSVRC{year}_im\w*_train")
    if not whole:
        return Part({})
    with listing(whole[0]) as found:
        by_class = found.by_class(archive(*whole))
    if not by_class:
        raise bad_data(f"{whole[0]} holds no training images in class tars, such as n01440764.tar, or class folders.")
    return Part(by_class, _used(images, whole), tuple(found.skipped))


def numbered(root: Path, images: Path, year: Year, split: str) -> Part | None:
    """The numbered images of a split, at any depth of its folder, in the images' own folder or in a tar, if any.

    In class folders, into which many sort the validation images, they may have any name.
    """
    for folder in _split_folders(images, split, year):
        files = list(walk(folder))
        kept = [file for file, reason in files if reason is None]
        official = [file for file in kept if is_of(split, file.name)]
        if not official and all(class_above(file, folder) for file in kept):
            official = kept
        if official:
            left = set(kept) - set(official)
            skipped = [Skipped(below(root, file), reason or OTHER_NAME, file in left)
                       for file, reason in files if reason or file in left]  # fmt: skip
            return _numbered_part(((file.name, File(file)) for file in official), (folder,), skipped)
    flat = [images / entry.name for entry in entries(images)
            if is_of(split, entry.name) and not is_folder(entry) and not why_skipped(entry)]  # fmt: skip
    if flat:
        return _numbered_part(((file.name, File(file)) for file in flat), flat, [])
    whole = _archive(images, split, rf"ILSVRC{year}_im\w*_{split}\w*")
    if not whole:
        return None
    with listing(whole[0]) as listed:
        found = listed.images(archive(*whole))
    others = [Skipped(f"{whole[0].name}/{escaped(name)}", OTHER_NAME, is_loss=True)
              for name, _ in found if not is_of(split, name)]  # fmt: skip
    return _numbered_part((item for item in found if is_of(split, item[0])), _used(images, whole),
                          [*others, *listed.skipped])  # fmt: skip


def rest(root: Path, images: Path, *, used: Iterable[Path], splits: Collection[str]) -> list[Skipped]:
    """What lies in the source, and in its folder of images, and was not used.

    Raises UserError if it is the folder or archive of a split that was found nowhere.
    """
    within = images.relative_to(root).parts
    chain = [root.joinpath(*within[:depth]) for depth in range(len(within) + 1)]
    known = {*used, *chain}
    return [
        Skipped(below(root, folder / entry.name), _why_unused(entry, folder / entry.name, splits))
        for folder in chain for entry in entries(folder) if folder / entry.name not in known
    ]  # fmt: skip


def _split_folders(images: Path, split: str, year: Year) -> list[Path]:
    """The folders that are named after a split, or as its archive is."""
    names = [entry.name for entry in entries(images) if SPLITS.get(entry.name.lower()) == split and is_folder(entry)]
    found = (images / name for name in (*names, f"ILSVRC{year}_img_{split}", f"ILSVRC{year}_images_{split}"))
    return [folder for folder in found if folder.is_dir()]


def _archive(images: Path, split: str, stem: str) -> tuple[Path, ...]:
    """The archive of a split in its parts, next to the others or in a folder named after the split."""
    return archive_files(images, stem) or archive_files(images / split, stem)


def _used(images: Path, whole: Iterable[Path]) -> tuple[Path, ...]:
    """The files of an archive, or the folder among the images that they lie in."""
    return tuple(images / file.relative_to(images).parts[0] for file in whole)


def _classes_in(root: Path, folder: Path, *, is_whole: bool) -> Part:
    """The classes in a folder, each a folder or a tar; is_whole: whether nothing else should be there."""
    found = class_folders(folder, root=root, named=None if is_whole else WNID)
    images: dict[str, Found] = {}
    skipped = {item.path: item for item in found.skipped}
    for name, files in found.images.items():
        if WNID.fullmatch(name):
            images[name] = [(file.name, File(file)) for file in files]
        else:
            path = below(root, folder / name)
            skipped[path] = Skipped(path, "images in a folder that is not named as a class", is_loss=True)
    read = [folder] if is_whole else [folder / name for name in images]
    for entry in entries(folder):
        packed, path = CLASS_TAR.fullmatch(entry.name), below(root, folder / entry.name)
        if not packed:
            continue
        if images.get(packed[1]):
            skipped[path] = Skipped(path, f"the folder {packed[1]} is read instead")
            continue
        with listing(path) as listed:
            images[packed[1]] = listed.images(archive(folder / entry.name))
        for known in (path, below(root, folder / packed[1])):
            skipped.pop(known, None)
        inner = (Skipped(below(root, folder / item.path), item.reason) for item in listed.skipped)
        skipped |= {item.path: item for item in inner}
        read.append(folder / entry.name)
    return Part(dict(sorted(images.items())), tuple(read), tuple(skipped.values()))


def _numbered_part(found: Iterable[tuple[str, Location]], read: Iterable[Path], skipped: Iterable[Skipped]) -> Part:
    images = sorted(found, key=lambda item: item[0])
    numbers = Counter(number[2] for name, _ in images if (number := NUMBERED.fullmatch(name)))
    for twice, count in numbers.most_common(1):
        if count > 1:
            raise bad_data(f"{next(iter(read))} has the image with the number {twice} {count:,} times.",
                           "Keep one of each.")  # fmt: skip
    return Part({"": images}, tuple(read), tuple(skipped))


def _why_unused(entry: os.DirEntry[str], location: Path, splits: Collection[str]) -> str:
    """Why something is not used. Raises UserError if it is the folder or archive of a split that was found nowhere."""
    if reason := why_ignored(entry.name):
        return reason
    is_whole = is_folder(entry) or entry.is_symlink()  # also if the link leads nowhere
    packed = None if entry.name.endswith(NEXT_TO_ARCHIVES) else ARCHIVE.fullmatch(entry.name)
    split = packed["split"].lower() if packed else SPLITS.get(entry.name.lower()) if is_whole else None
    if split in splits:
        return f"{split} is read from elsewhere"
    if split:
        raise _unusable(location, split)
    if not is_folder(entry):
        return why_skipped(entry) or "an image outside of the splits"
    if entry.name in NOT_IMAGES:
        return "lists and boxes, which are not needed"
    if held := contents(location):
        say(f"{location} holds {held} that belong to no split; it is left out.")
    return f"a folder with {held or 'no images'}, of no split"


def _unusable(location: Path, split: str) -> UserError:
    what, fix = "cannot be read as an archive of images", AGAIN.removesuffix(".")
    if packing_of(location.name) and location.is_file():
        return compressed(location)
    if location.is_dir() and split == "train":
        what = "holds no images in folders or plain tars that are named as classes, such as n01440764"
        fix = "Put them there"
    elif location.is_dir():
        what = f"holds no images under their official names, such as ILSVRC2012_{split}_00000001.JPEG"
        fix = "Put them there"
    elif location.is_symlink():
        what, fix = "is a link that leads nowhere", "Repair it"
    return bad_data(f"{location} {what}; so there would be no split {split}.",
                    f"{fix}, or move it elsewhere to prepare the rest.")  # fmt: skip
