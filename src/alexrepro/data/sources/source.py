"""What a source is: photos with their classes, by split, whatever the layout they lie in."""

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

from alexrepro.errors import Unreached, Unreadable
from alexrepro.files import writable
from alexrepro.paper.training import STORED_PX

UNLABELED = -1
MOST_PHOTO_BYTES = 64 * 2**20  # of one file; the largest ImageNet photos have about 16 MB
SPELLED = {"TIF": "TIFF", "PGM": "PPM", "PBM": "PPM", "PNM": "PPM"}  # suffixes by the format that they stand for
OF_THIS_PROCESS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # errors that no photo causes
MOST_CLASSES = 100_000  # all of ImageNet has 21,843; a greater label is a mistake, or meant to fill the memory


class Place(Protocol):
    """Where the bytes of a photo are, so that any process can read them."""

    def read(self) -> bytes:
        """The bytes. Raises Unreadable if they are no photo's, or OSError."""

    def size(self) -> int:
        """How many there are, or of the file that holds them."""


@dataclass(frozen=True)
class Photo:
    """One file of a source: its path there, its class (-1 where unknown), and how to read it.

    Reading is a place, not an open file, so that photos can be sent to other processes.
    """

    path: str
    label: int
    place: Place

    @property
    def name(self) -> str:
        """The file name without its folders."""
        return self.path.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """What the name says of the content, in capitals: PNG for a.png, TIFF for a.tif."""
        suffix = self.name.rpartition(".")[2].upper()
        return SPELLED.get(suffix, suffix)

    def read(self) -> bytes:
        """The bytes of the file. Raises Unreadable if they are no photo's, and Unreached if the system fails."""
        try:
            return self.place.read()
        except OSError as error:
            if error.errno in OF_THIS_PROCESS:
                raise
            reason = os.strerror(error.errno) if error.errno else str(error)  # without the path, which some add
            raise Unreached(f"cannot be read: {reason}") from None

    def size(self) -> int:
        """Bytes of the file or of the one that holds it; -1 where the system cannot tell."""
        try:
            return self.place.size()
        except OSError:
            return -1


@dataclass(frozen=True)
class File:
    """A photo that is a file of its own."""

    path: Path

    def read(self) -> bytes:
        """The whole file. Raises Unreadable if it is none, or too large for a photo."""
        found = self.path.stat()
        if not S_ISREG(found.st_mode):
            raise Unreadable("no file, but a folder, pipe or device")
        if found.st_size > MOST_PHOTO_BYTES:
            raise Unreadable(f"a file of {found.st_size:,} bytes; at most {MOST_PHOTO_BYTES:,} are read")
        return self.path.read_bytes()

    def size(self) -> int:
        """Bytes of the file, without reading it."""
        return self.path.stat().st_size


@dataclass(frozen=True)
class Row:
    """A photo that is a row of a table, read through a function that both have."""

    file: Path
    group: int
    row: int
    reader: Callable[[Path, int, int], bytes]

    def read(self) -> bytes:
        """The bytes in the row."""
        return self.reader(self.file, self.group, self.row)

    def size(self) -> int:
        """Bytes of the whole table, which change when any row does."""
        return self.file.stat().st_size


@dataclass(frozen=True)
class Split:
    """A part of a source: train, val or test."""

    name: str
    photos: Sequence[Photo]
    labeled: bool = True


@dataclass(frozen=True)
class Skipped:
    """A file or folder of a source that is not read, and why.

    is_loss: whether it looks like photos or classes of the data set; such a source is refused unless a part is allowed.
    """

    path: str
    reason: str
    is_loss: bool = False


@dataclass(frozen=True)
class Source:
    """Everything that a layout says: data set, classes in the order of the labels, and the splits.

    gaps say where there are fewer or more photos than the data set is known to have; known_bad is how many of its
    files nobody can read. skipped are the files and folders below the source that are not read.
    side_px is the side in which the images are stored by default.
    classes are WNIDs or folder names; class_names are for people; ilsvrc_ids are 1-based where the source has them.
    """

    dataset: str
    classes: tuple[str, ...]
    class_names: tuple[str, ...]
    splits: tuple[Split, ...]
    ilsvrc_ids: tuple[int, ...] | None = None
    gaps: tuple[str, ...] = ()
    known_bad: int = 0
    skipped: tuple[Skipped, ...] = ()
    side_px: int = STORED_PX


def in_utf8(source: Source) -> Source:
    """The source with names that can be written to any file: what is no UTF-8 in them is spelled out."""
    splits = (replace(split, photos=[_in_utf8(photo) for photo in split.photos]) for split in source.splits)
    return replace(
        source,
        classes=tuple(map(writable, source.classes)),
        class_names=tuple(map(writable, source.class_names)),
        splits=tuple(splits),
    )


def _in_utf8(photo: Photo) -> Photo:
    return photo if photo.path.isascii() else replace(photo, path=writable(photo.path))
