"""Listing what somebody else put together: every file is an image, or there is a reason to skip it."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath

from alexrepro.data.sources.archives import PACKED
from alexrepro.data.sources.source import Skipped
from alexrepro.data.store.decode import begins_like_image
from alexrepro.files import printable
from alexrepro.progress import first_few, say

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
NO_PICTURE, NO_FILE = "not a picture", "not a file that can be read"
ARCHIVES = (".tar", *PACKED)
FIRST_BYTES = 16
MOST_FOLDERS, MOST_BELOW, MOST_NAMES, MOST_DEPTH = 500, 20, 2000, 7  # folders in all and of one, names of one
WNID = re.compile(r"n\d{8}")
CLASS_TAR = re.compile(rf"({WNID.pattern})\.tar")
NAMED_BY_WNID = re.compile(r".+_(n\d{8})\.jpe?g|(n\d{8})_.+", re.IGNORECASE)  # at the end: Hugging Face


@dataclass(frozen=True)
class Folder:
    """What lies in a folder, without hidden names; `error` is why it cannot be listed, if it cannot."""

    path: Path
    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    error: str = ""

    @property
    def images(self) -> list[str]:
        """The names of the images in it."""
        return [name for name in self.files if is_image(name)]

    def words(self) -> str:
        """What lies there, such as `3 folders (a, b, c) and 12 files (10 .txt, 2 .csv)`."""
        suffixes = Counter(Path(name).suffix or name for name in self.files).most_common()
        kinds = [f"{count:,} {suffix}" for suffix, count in suffixes]
        parts = (("folder", self.folders, self.folders), ("file", self.files, kinds))
        return " and ".join(f"{len(names):,} {unit}{'s' * (len(names) != 1)} ({first_few(shown, 4)})"
                            for unit, names, shown in parts if names)  # fmt: skip


def listed(top: Path) -> list[Folder]:
    """The folder and those below it, the upper first; links are followed, but no folder is visited twice."""
    found, waiting, visited = list[Folder](), [(top, 0)], set[tuple[int, int]]()
    for path, depth in waiting:
        try:
            state = path.stat()
        except OSError:
            continue
        if (state.st_dev, state.st_ino) in visited or len(found) == MOST_FOLDERS:
            continue
        visited.add((state.st_dev, state.st_ino))
        found.append(_listed(path))
        if depth < MOST_DEPTH:
            waiting += [(path / name, depth + 1) for name in found[-1].folders[:MOST_BELOW]]
    return found


def _listed(path: Path) -> Folder:
    try:
        with os.scandir(path) as found:
            names = {entry.name: is_folder(entry) for entry in islice(found, MOST_NAMES)}
    except OSError as error:
        return Folder(path, error=error.strerror or type(error).__name__)
    shown = sorted(name for name in names if not name.startswith("."))
    folders, files = (tuple(name for name in shown if names[name] is kind) for kind in (True, False))
    return Folder(path, folders, files)


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, in the order of the bytes of the names."""
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: os.fsencode(entry.name))


def names_in(folder: Path) -> list[str]:
    """The names in a folder that are not hidden, in the order of their bytes; none if there is no folder."""
    return [entry.name for entry in entries(folder) if not entry.name.startswith(".")] if folder.is_dir() else []


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


def unread(root: Path, read: Collection[Path], *, splits: Collection[str] = ORDER) -> tuple[Skipped, ...]:
    """Every file and folder of a source that is not read and holds nothing that is; says which folders hold images.

    splits: those that are read; an archive or a dangling link that is named as another one is a loss.
    """
    above = {folder for file in read for folder in file.parents}
    waiting, found = [] if root in read else [root], list[Skipped]()
    while waiting:
        here = waiting.pop()
        for entry in entries(here):
            at = here / entry.name
            if at in above and at not in read:
                waiting.append(at)
            elif at not in read:
                reason = why_skipped(entry)
                if not reason and is_folder(entry):
                    held = contents(at)
                    reason = f"a folder with {held or 'no images'} that is not read"
                    is_split = entry.name.lower() in SPLITS
                    why = "which is read from elsewhere" if is_split else "but its name is not that of a split"
                    if held:
                        say(f"{at} holds {held}, {why} (train, val, test); it is left out.")
                split = SPLITS.get(entry.name.partition(".")[0].lower())
                is_lost = split not in {None, *splits} and (reason == NO_FILE or entry.name.endswith(ARCHIVES))
                found.append(Skipped(below(root, at), reason or "an image that is not read", is_lost))
    return tuple(found)


def below(root: Path, path: Path) -> str:
    """A path below a source as text that can be written anywhere."""
    return escaped(path.relative_to(root))


def escaped(path: PurePath | str) -> str:
    """A path as text that can be written anywhere, with bytes that are not UTF-8 and control characters escaped."""
    return printable(os.fsencode(PurePath(path).as_posix()).decode("utf-8", "backslashreplace"))
