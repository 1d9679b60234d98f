"""What a source is: images with their classes, by split, whatever the layout."""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

from alexrepro.errors import Exit, Unreached, Unreadable, UserError
from alexrepro.files import writable
from alexrepro.paper.training import STORED_PX

UNLABELED = -1
MOST_IMAGE_BYTES = 64 * 2**20  # of one file; the largest of ImageNet have about 16 MB
MOST_CLASSES = 100_000  # all of ImageNet has 21,843; a larger label is a mistake
SPELLINGS = {"TIF": "TIFF", "PGM": "PPM", "PBM": "PPM", "PNM": "PPM"}  # suffixes and the format that they mean
OF_THIS_PROCESS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # errors that no image causes


class Location(Protocol):
    """Where the bytes of an image are. Holds no open file, so it can be pickled to worker processes."""

    def read(self) -> bytes:
        """The bytes. Raises Unreadable if they are no image, or OSError."""

    def size(self) -> int:
        """The number of bytes, or that of the file that holds them."""


@dataclass(frozen=True)
class ImageFile:
    """One image of a source: its path there, its class (-1 if unknown), and where its bytes are."""

    path: str
    label: int
    location: Location

    @property
    def name(self) -> str:
        """The file name without its folders."""
        return self.path.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The format that the name promises, in capitals: PNG for a.png, TIFF for a.tif."""
        suffix = self.name.rpartition(".")[2].upper()
        return SPELLINGS.get(suffix, suffix)

    def read(self) -> bytes:
        """The bytes of the file. Raises Unreadable if they are no image, and Unreached if the system fails."""
        try:
            return self.location.read()
        except OSError as error:
            if error.errno in OF_THIS_PROCESS:
                raise
            reason = os.strerror(error.errno) if error.errno else str(error)  # without the path, which some add
            raise Unreached(f"cannot be read: {reason}") from None

    def size(self) -> int:
        """Bytes of the file or of the one that holds it; -1 if it cannot be reached."""
        try:
            return self.location.size()
        except OSError:
            return -1


@dataclass(frozen=True)
class File:
    """An image that is a file of its own."""

    path: Path

    def read(self) -> bytes:
        """The whole file. Raises Unreadable if it is not a file, or too large for an image."""
        found = self.path.stat()
        if not S_ISREG(found.st_mode):
            raise Unreadable("no file, but a folder, pipe or device")
        if found.st_size > MOST_IMAGE_BYTES:
            raise Unreadable(f"a file of {found.st_size:,} bytes; at most {MOST_IMAGE_BYTES:,} are read")
        return self.path.read_bytes()

    def size(self) -> int:
        """Bytes of the file, without reading it."""
        return self.path.stat().st_size


@dataclass(frozen=True)
class Split:
    """A part of a source: train, val or test."""

    name: str
    images: Sequence[ImageFile]
    labeled: bool = True


@dataclass(frozen=True)
class Skipped:
    """A file or folder of a source that is not read, and why.

    is_loss: whether it looks like images or classes of the data set; such a source is refused without --allow-partial.
    """

    path: str
    reason: str
    is_loss: bool = False


@dataclass(frozen=True)
class Source:
    """Data set, classes in the order of the labels, and splits.

    classes are WNIDs or folder names, class_names words for people; ilsvrc_ids count from 1.
    gaps: where images are missing or too many, compared with the known counts. known_bad: files known to be unreadable.
    skipped: files and folders below the source that are not read. side_px: of the stored images, by default.
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
    """The source with names that any file can hold: bytes that are not UTF-8 are escaped."""
    return replace(
        source,
        classes=tuple(map(writable, source.classes)),
        class_names=tuple(map(writable, source.class_names)),
        splits=tuple(
            replace(split, images=[i if i.path.isascii() else replace(i, path=writable(i.path)) for i in split.images])
            for split in source.splits
        ),
    )


def bad_data(what: str, fix: str = "Check that the download is complete.") -> UserError:
    """The error for a source that contradicts itself or cannot be read."""
    return UserError(what, fix=fix, exit_code=Exit.BAD_DATA)
