"""Where the photos of ILSVRC lie, in folders and tars, and what else lies there.

Each function says which files and folders it read, so that all others can be listed as skipped, with the reason.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from alexrepro.data.sources.classes import class_folders
from alexrepro.data.sources.devkit import Year, wrong
from alexrepro.data.sources.folders import SPLITS, WNID, spoken
from alexrepro.data.sources.ilsvrc_splits import NUMBERED, Found
from alexrepro.data.sources.packed import archive_files
from alexrepro.data.sources.source import File, Place, Skipped
from alexrepro.data.sources.tar_images import CLASS_TAR, Listing, listing
from alexrepro.data.sources.walk import (
    PACKED,
    below,
    contents,
    entries,
    is_folder,
    walk,
    why_ignored,
    why_skipped,
)
from alexrepro.errors import Exit, UserError
from alexrepro.progress import say

ARCHIVE = re.compile(
    r"ILSVRC20\d\d_im\w*?_(?P<split>train|val|test)(?!_t3)[\w-]*(\.(tar|tgz|zip|7z|rar)(\.\w+)*)?", re.IGNORECASE
)
BESIDE_ARCHIVES = (".md5", ".sha1", ".sha256", ".txt", ".torrent", ".aria2")
NOT_IMAGES = ("Annotations", "ImageSets")  # of Kaggle's tree


@dataclass(frozen=True)
class Part:
    """The photos of one split by class, or under "" where they are numbered; what was read, and what was skipped."""

    photos: dict[str, Found]
    read: tuple[Path, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    @property
    def numbered(self) -> Found:
        """The photos of a split of numbered ones, in the order of their names."""
        return self.photos.get("", [])


def training(root: Path, images: Path, year: Year) -> Part:
    """The training photos by WNID, from the first form that is there; without any if there is none."""
    folders = [folder for folder in _named(images, "train", year) if folder.is_dir()]
    for folder in (*folders, images):
        part = _classes_in(root, folder, is_whole=folder != images)
        if part.photos:
            return part
    whole = _archive(images, "train", rf"ILSVRC{year}_im\w*_train")
    if not whole:
        return Part({})
    with listing(str(whole[0])) as found:
        photos = found.by_class(*whole)
    if not photos:
        raise wrong(whole[0], "holds no training photos in class tars, such as n01440764.tar, or in class folders")
    return Part(photos, _used(images, whole), _skipped(whole[0].name, found))


def numbered(root: Path, images: Path, year: Year, split: str) -> Part | None:
    """The numbered photos of a split, at any depth of its folder, in the images' own folder or in a tar, if any.

    In class folders, into which many sort the validation photos, they may have any name.
    """
    for folder in _named(images, split, year):
        if folder.is_dir():
            files = list(walk(folder))
            kept = [file for file, reason in files if reason is None]
            official = [file for file in kept if _is_of(split, file.name)]
            if not official and all(map(WNID.fullmatch, (class_above(file, folder) for file in kept))):
                official = kept
            if official:
                left = set(kept) - set(official)
                skipped = [Skipped(below(root, file), reason or "not named as a photo of this split", file in left)
                           for file, reason in files if reason or file in left]  # fmt: skip
                return _numbered_part(((file.name, File(file)) for file in official), (folder,), skipped)
    flat = [images / entry.name for entry in entries(images)
            if _is_of(split, entry.name) and not is_folder(entry) and not why_skipped(entry)]  # fmt: skip
    if flat:
        return _numbered_part(((file.name, File(file)) for file in flat), flat, [])
    whole = _archive(images, split, rf"ILSVRC{year}_im\w*_{split}\w*")
    if not whole:
        return None
    with listing(str(whole[0])) as listed:
        found = listed.photos(*whole)
    strangers = [Skipped(f"{whole[0].name}/{spoken(Path(name))}", "not named as a photo of this split", is_loss=True)
                 for name, _ in found if not _is_of(split, name)]  # fmt: skip
    numbers = (item for item in found if _is_of(split, item[0]))
    return _numbered_part(numbers, _used(images, whole), (*strangers, *_skipped(whole[0].name, listed)))


def _archive(images: Path, split: str, stem: str) -> tuple[Path, ...]:
    """The archive of a split in its parts, beside the others or in a folder named after the split."""
    folders = [folder for folder in (images, images / split) if folder.is_dir()]
    return next((files for folder in folders if (files := archive_files(folder, stem))), ())


def _used(images: Path, whole: tuple[Path, ...]) -> tuple[Path, ...]:
    """The files of an archive, or the folder among the images that they lie in."""
    return tuple(images / file.relative_to(images).parts[0] for file in whole)


def _skipped(name: str, found: Listing) -> tuple[Skipped, ...]:
    return tuple(Skipped(f"{name}/{path}", why) for path, why in found.skipped)


def rest(root: Path, images: Path, *, used: Iterable[Path], splits: Sequence[str]) -> list[Skipped]:
    """What lies in the source, and in its folder of images, and was not used.

    Raises UserError if it is the folder or archive of a split that was found nowhere.
    """
    within = images.relative_to(root).parts
    chain = [root.joinpath(*within[:depth]) for depth in range(len(within) + 1)]
    known = {*used, *chain}
    return [
        Skipped(below(root, folder / entry.name), _why_unused(entry, folder / entry.name, splits))
        for folder in chain
        for entry in entries(folder)
        if folder / entry.name not in known
    ]


def _named(images: Path, split: str, year: Year) -> list[Path]:
    """The folders that are named after a split, or as its archive is."""
    names = [entry.name for entry in entries(images) if SPLITS.get(entry.name.lower()) == split and is_folder(entry)]
    return [images / name for name in (*names, f"ILSVRC{year}_img_{split}", f"ILSVRC{year}_images_{split}")]


def _classes_in(root: Path, folder: Path, *, is_whole: bool) -> Part:
    """The classes in a folder, each a folder or a tar; is_whole: whether nothing else should be there."""
    found = class_folders(folder, root=root, named=None if is_whole else WNID)
    photos: dict[str, Found] = {}
    skipped = {item.path: item for item in found.skipped}
    for name, files in found.photos.items():
        if WNID.fullmatch(name):
            photos[name] = [(file.name, File(file)) for file in files]
        else:
            path = below(root, folder / name)
            skipped[path] = Skipped(path, "photos in a folder that is not named as a class", is_loss=True)
    read = [folder] if is_whole else [folder / name for name in photos]
    for entry in entries(folder):
        place, wnid = folder / entry.name, entry.name[: len("n00000000")]
        path, is_there = below(root, place), bool(photos.get(wnid))
        if CLASS_TAR.fullmatch(entry.name):
            skipped.pop(path, None)
            if is_there:
                skipped[path] = Skipped(path, f"the folder {wnid} is read in its place")
            else:
                with listing(path) as inside:
                    photos[wnid] = inside.photos(place)
                skipped.pop(below(root, folder / wnid), None)
                skipped |= {item.path: item for item in _skipped(path, inside)}
                read.append(place)
    return Part(dict(sorted(photos.items())), tuple(read), tuple(skipped.values()))


def _is_of(split: str, name: str) -> bool:
    number = NUMBERED.fullmatch(name)
    return number is not None and number[1].lower() == split


def class_above(file: Path, folder: Path) -> str:
    """The WNID that the nearest folder of a photo is named by, below the folder of its split; or nothing."""
    return next((part for part in reversed(file.relative_to(folder).parts[:-1]) if WNID.fullmatch(part)), "")


def _numbered_part(found: Iterable[tuple[str, Place]], read: Iterable[Path], skipped: Iterable[Skipped]) -> Part:
    photos = sorted(found, key=lambda item: item[0])
    numbers = Counter(number[2] for name, _ in photos if (number := NUMBERED.fullmatch(name)))
    for twice, count in numbers.most_common(1):
        if count > 1:
            raise wrong(next(iter(read)), f"has the photo with the number {twice} {count:,} times",
                        fix="Keep one of each.")  # fmt: skip
    return Part({"": photos}, tuple(read), tuple(skipped))


def _why_unused(entry: os.DirEntry[str], place: Path, splits: Sequence[str]) -> str:
    """Why something is not used. Raises UserError if it is the folder or archive of a split that was found nowhere."""
    if reason := why_ignored(entry.name):
        return reason
    is_whole = is_folder(entry) or entry.is_symlink()  # also if the link leads nowhere
    packed = None if entry.name.endswith(BESIDE_ARCHIVES) else ARCHIVE.fullmatch(entry.name)
    split = packed["split"].lower() if packed else SPLITS.get(entry.name.lower()) if is_whole else None
    if split in splits:
        return f"{split} is read from elsewhere"
    if split:
        raise _not_understood(place, split)
    if not is_folder(entry):
        return why_skipped(entry) or "a photo outside of the splits"
    if entry.name in NOT_IMAGES:
        return "lists and boxes, which are not needed"
    if what := contents(place):
        say(f"{place} holds {what} that belong to no split; it is left out.")
    return f"a folder with {what or 'no photos'}, of no split"


def _not_understood(place: Path, split: str) -> UserError:
    what, fix = "cannot be read as an archive of photos", "Fetch it again"
    if place.name.endswith(PACKED) and not place.name.endswith(".tar"):
        what, fix = "is compressed, so that no photo in it can be read without all before it", "Unpack it"
    elif place.is_dir() and split == "train":
        what, fix = (
            "holds no photos in folders or plain tars that are named as classes, such as n01440764",
            "Put them there",
        )
    elif place.is_dir():
        what = f"holds no photos under their official names, such as ILSVRC2012_{split}_00000001.JPEG"
        fix = "Put them there"
    elif place.is_symlink():
        what, fix = "is a link that leads nowhere", "Mend it"
    return UserError(
        f"{place} {what}; so there would be no split {split}.",
        fix=f"{fix}, or move it elsewhere to prepare the rest.",
        exit_code=Exit.BAD_DATA,
    )
