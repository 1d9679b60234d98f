"""Listing what somebody else put together, in folders and tars: every file is an image, or is skipped for a reason."""

import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path, PurePosixPath

from alexrepro.data.sources.archives import PACKED, Span, members
from alexrepro.data.sources.images import Packed, in_order
from alexrepro.data.sources.source import File, Found, Location, Skipped, bad_data, escaped
from alexrepro.data.store.decode import begins_like_image
from alexrepro.progress import progress, say

# The last line is of formats that are not read: an image in one of them counts as unreadable.
SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
    ".heic", ".heif", ".avif", ".jxl", ".jp2", ".tga",
}  # fmt: skip
TEXTS = {".txt", ".xml", ".json", ".csv", ".tsv", ".md", ".html", ".cls"}  # often one per image, so not opened
SYSTEM = {
    "__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "thumbs.db",
    "desktop.ini", "icon\r",
}  # fmt: skip
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
ORDER: tuple[str, ...] = ("train", "val", "test")
NO_PICTURE, NO_FILE, NOT_AN_IMAGE = "not a picture", "not a file that can be read", "not an image by its suffix"
ARCHIVES = (".tar", *PACKED)
FIRST_BYTES = 16
WNID = re.compile(r"n\d{8}")
CLASS_TAR = re.compile(rf"({WNID.pattern})\.tar")
NAMED_BY_WNID = re.compile(r".+_(n\d{8})\.jpe?g|(n\d{8})_.+", re.IGNORECASE)  # at the end: Hugging Face


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, in the order of the bytes of the names."""
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: os.fsencode(entry.name))


def names_in(folder: Path) -> list[str]:
    """The names in a folder that are not hidden, in the order of their bytes; none if there is no folder."""
    return [entry.name for entry in entries(folder) if not entry.name.startswith(".")] if folder.is_dir() else []


def split_files(path: Path, tops: Collection[str]) -> list[Path]:
    """What lies in some folders of a source, and in the folders below these that are named after splits."""
    above = [path / top for top in tops]
    folders = above + [folder / name for folder in above for name in names_in(folder) if name.lower() in SPLITS]
    return [folder / name for folder in folders for name in names_in(folder)]


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one."""
    return Path(entry.path).is_dir() if entry.is_symlink() else entry.is_dir()


def is_image(name: str) -> bool:
    """Whether a file is an image by its suffix."""
    return Path(name).suffix.lower() in SUFFIXES


def wnid_in(name: str) -> str | None:
    """The WNID that a file name ends or begins with, if any."""
    found = NAMED_BY_WNID.fullmatch(name)
    return (found[1] or found[2]) if found else None


def why_ignored(path: str) -> str | None:
    """Why a file or folder is never data, by its name or that of a folder above, or None."""
    for name in path.split("/"):
        if name.startswith("PaxHeader") or (name.startswith(".") and name.strip(".")):  # but not ./ and ../
            return "hidden"
        if name.lower() in SYSTEM:
            return "made by an operating system"
    return None


def why_skipped(entry: os.DirEntry[str]) -> str | None:
    """Why a file is not an image, by its suffix or else by its first bytes; None for an image or a folder."""
    suffix = Path(entry.name).suffix.lower()
    if reason := why_ignored(entry.name):
        return reason
    if is_folder(entry) or suffix in SUFFIXES:
        return None
    if suffix in TEXTS:
        return NO_PICTURE
    path = Path(entry.path)
    if not path.is_file():
        return NO_FILE
    with path.open("rb") as file:
        return None if begins_like_image(file.read(FIRST_BYTES)) else NO_PICTURE


def walk(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Every file at any depth, with the reason to skip it or None for an image: the files first, then each folder.

    Links are followed, but no folder is read twice.
    """
    waiting, seen = [folder], set[tuple[int, int]]()
    while waiting:
        here = waiting.pop()
        state = here.stat()
        if (state.st_dev, state.st_ino) in seen:
            yield here, "a link to a folder that is read already"
            continue
        seen.add((state.st_dev, state.st_ino))
        below = []
        for entry in entries(here):
            reason = why_skipped(entry)
            if reason or not is_folder(entry):
                yield here / entry.name, reason
            else:
                below.append(here / entry.name)
        waiting += reversed(below)


def contents(folder: Path) -> str | None:
    """Whether a folder holds `class folders` or `images`; None for neither. Reads no further than the first image."""
    if any(is_folder(entry) and not why_ignored(entry.name) and _holds_image(folder / entry.name)
           for entry in entries(folder)):  # fmt: skip
        return "class folders"
    return "images" if _holds_image(folder) else None


def _holds_image(folder: Path) -> bool:
    return any(reason is None for _, reason in walk(folder))


class Listing:
    """Lists the images of a source, counts them on stderr, and keeps what it read, and what it skips and why."""

    def __init__(self, root: Path, count: Callable[..., None]) -> None:
        self.root, self.count = root, count
        self.read, self.skipped = set[Path](), list[Skipped]()

    def skip(self, at: Path, reason: str, *, within: str = "", is_loss: bool = False) -> None:
        """Keep what is not read, and the reason: a file or folder, or what lies at a path within it."""
        path = PurePosixPath(at.relative_to(self.root).as_posix(), within.lstrip("/"))
        self.skipped.append(Skipped(escaped(path), reason, is_loss))

    def forget(self, place: Path, skipped: int) -> None:
        """Take back what was read at a place that has no images after all, and all but the first that were skipped."""
        self.skipped = self.skipped[:skipped]
        self.read = {path for path in self.read if place not in (path, *path.parents)}

    def folder(self, folder: Path) -> Found:
        """The images at any depth of a folder, by their paths below it: the files first, then each folder."""
        self.read.add(folder)

        def rows() -> Iterator[tuple[str, File]]:
            for file, reason in walk(folder):
                if reason:
                    self.skip(file, reason)
                else:
                    below = file.relative_to(folder).as_posix()
                    yield below, File(folder, below)
                    self.count()

        return Packed(rows())

    def members(self, span: Span, *, within: str = "") -> Iterator[tuple[str, Span]]:
        """Path and location of each file in a tar that is not hidden, in its order; within: the tar if in another."""
        self.read.update(span.files)
        for path, found in members(span, within=within):
            reason = found if isinstance(found, str) else why_ignored(path)
            if reason:
                self.skip(span.files[0], reason, within=f"{within}/{path}")
            elif isinstance(found, Span):
                yield path, found

    def tar(self, span: Span, *, within: str = "") -> Found:
        """The images in a tar by name, in the order of the names. Raises UserError if it holds two of one name."""
        return in_order(self._images(span, within), span.files[0])

    def _images(self, span: Span, within: str) -> Iterator[tuple[str, Location]]:
        for path, location in self.members(span, within=within):
            if is_image(path):
                yield path.rpartition("/")[2], location
                self.count()
            else:
                self.skip(span.files[0], NOT_AN_IMAGE, within=f"{within}/{path}")

    def by_class(self, span: Span) -> dict[str, Found]:
        """The images by WNID in a tar of class tars or class folders, in the order of WNIDs and names.

        An image in no class tar belongs to the class of its folder or in its name. Raises UserError if it has none.
        """
        found: dict[str, Packed] = {}
        for wnid, rows in groupby(self._classed(span, found), key=itemgetter(0)):
            found.setdefault(wnid, Packed()).extend((name, location) for _, name, location in rows)
        for wnid in (wnid for wnid, images in found.items() if not images):
            self.skip(span.files[0], "a class tar without an image", within=f"{wnid}.tar", is_loss=True)
        return {wnid: in_order(found[wnid], span.files[0]) for wnid in sorted(found)}

    def _classed(self, span: Span, found: dict[str, Packed]) -> Iterator[tuple[str, str, Location]]:
        """WNID, name and location of each image, in the order of the tar; `found` gets the WNIDs of all class tars."""
        for path, location in self.members(span):
            name, folder = PurePosixPath(path).name, PurePosixPath(path).parent.name
            if packed := CLASS_TAR.fullmatch(name):
                found.setdefault(packed[1], Packed())
                yield from ((packed[1], *row) for row in self._images(location, name))
            elif not is_image(path):
                self.skip(span.files[0], NOT_AN_IMAGE, within=path)
            elif wnid := folder if WNID.fullmatch(folder) else wnid_in(name):
                yield wnid, name, location
                self.count()
            else:
                raise bad_data(
                    f"{span.files[0]} holds {escaped(path)}, whose class is not known.",
                    "A training image lies in n01440764.tar, in a folder n01440764, or has a name that begins with "
                    "n01440764_.",
                )

    def all_skipped(self, splits: Collection[str] = ORDER) -> tuple[Skipped, ...]:
        """What was skipped, and every other file and folder that holds nothing that is read; tells of images in them.

        splits: those that are read; an archive or a dangling link that is named as another one is a loss.
        """
        above = {folder for file in self.read for folder in file.parents}
        waiting = [] if self.root in self.read else [self.root]
        while waiting:
            here = waiting.pop()
            for entry in entries(here):
                at = here / entry.name
                if at in above and at not in self.read:
                    waiting.append(at)
                elif at not in self.read:
                    reason = why_skipped(entry) or (_of_unread(at) if is_folder(entry) else "an image that is not read")
                    split = SPLITS.get(entry.name.partition(".")[0].lower())
                    is_unpacked = reason != NO_FILE and not entry.name.endswith(ARCHIVES)
                    self.skip(at, reason, is_loss=split not in {None, *splits} and not is_unpacked)
        return tuple(self.skipped)


def _of_unread(folder: Path) -> str:
    """The reason why a folder is skipped; says so if it holds images."""
    if held := contents(folder):
        why = "which is read from elsewhere" if folder.name.lower() in SPLITS else "but its name is not that of a split"
        say(f"{folder} holds {held}, {why} (train, val, test); it is left out.")
    return f"a folder with {held or 'no images'} that is not read"


@contextmanager
def listing(root: Path) -> Iterator[Listing]:
    """A listing that shows how far it has come."""
    with progress(f"reading {root}", total=None) as count:
        yield Listing(root, count)
