"""What lies in folders that somebody else filled: every file is a photo, or there is a reason why it is none."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from alexrepro.data.store.decode import begins_like_image
from alexrepro.errors import Exit, UserError
from alexrepro.files import printable

# The last line is of formats that are not read: a photo in one of them is named as unreadable, not passed over.
SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
    ".heic", ".heif", ".avif", ".jxl", ".jp2", ".tga",
}  # fmt: skip
TEXTS = {".txt", ".xml", ".json", ".csv", ".tsv", ".md", ".html", ".cls"}  # often one beside each photo, so not opened
SYSTEM = {
    "__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "thumbs.db",
    "desktop.ini", "icon\r",
}  # fmt: skip
PACKED = (".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar")
HIDDEN, OF_SYSTEM, NO_PICTURE = "hidden", "made by an operating system", "not a picture"
NO_FILE = "not a file that can be read"
READ_ALREADY = "a link to a folder that is read already"
FIRST_BYTES = 16
MOST_PATH_BYTES = 3_800  # of a folder; a name may have 255 more, and Linux opens paths of up to 4,095
WNID = re.compile(r"n\d{8}")


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, in the order of the bytes of the names."""
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: os.fsencode(entry.name))


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one; a link that leads nowhere or to itself is none."""
    return Path(entry.path).is_dir() if entry.is_symlink() else entry.is_dir()


def why_ignored(name: str) -> str | None:
    """Why a name is never that of data, or None."""
    if name.startswith("."):
        return HIDDEN
    return OF_SYSTEM if name.lower() in SYSTEM else None


def why_skipped(entry: os.DirEntry[str]) -> str | None:
    """Why a file is no photo, or None if it is one, by its suffix or else by its first bytes; None for a folder."""
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
    """Every file at any depth, with the reason to skip it or None for a photo: first the files, then each folder.

    Links are followed, but no folder is read twice, so that a link to a folder above ends. Raises UserError for folders
    so deep that their files cannot be opened.
    """
    waiting, seen = [folder], set[tuple[int, int]]()
    while waiting:
        here = waiting.pop()
        if len(os.fsencode(here)) > MOST_PATH_BYTES:
            raise UserError(
                f"{folder} holds folders in folders, {len(here.relative_to(folder).parts):,} deep, with paths too long "
                "to be opened.",
                fix="Move the photos further up, or the folder elsewhere.",
                exit_code=Exit.BAD_DATA,
            )
        state = here.stat()
        if (state.st_dev, state.st_ino) in seen:
            yield here, READ_ALREADY
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


def holds_photo(folder: Path) -> bool:
    """Whether there is a photo at any depth; reads no further than the first."""
    return any(reason is None for _, reason in walk(folder))


def has_class_folders(folder: Path) -> bool:
    """Whether a folder holds folders of photos."""
    return any(is_folder(entry) and not why_ignored(entry.name) and holds_photo(folder / entry.name)
               for entry in entries(folder))  # fmt: skip


def contents(folder: Path) -> str | None:
    """What a folder holds that a data set is made of, in words; None for nothing of the kind."""
    if has_class_folders(folder):
        return "class folders"
    return "photos" if holds_photo(folder) else None


def below(root: Path, path: Path) -> str:
    """A path below a source as text that can be written anywhere."""
    return spoken(path.relative_to(root))


def spoken(path: Path) -> str:
    """A path as text that can be written anywhere; bytes that are no UTF-8 and control characters are spelled out."""
    return printable(os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace"))
