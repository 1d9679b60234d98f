"""What a source is: images with their classes, by split, whatever the layout; and what every layout checks."""

import errno
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from stat import S_ISREG
from typing import TYPE_CHECKING, Protocol

from alexrepro.errors import Exit, Unreached, Unreadable, UserError
from alexrepro.files import printable
from alexrepro.paper.results import CLASSES, IMAGES, PARTIAL
from alexrepro.paper.training import STORED_PX
from alexrepro.progress import first_few, say

if TYPE_CHECKING:
    from alexrepro.data.sources.images import Images

UNLABELED = -1
MOST_IMAGE_BYTES = 64 * 2**20  # of one file; the largest of ImageNet have about 16 MB
MOST_CLASSES = 100_000  # all of ImageNet has 21,843; a larger label is a mistake
SPELLINGS = {"TIF": "TIFF", "PGM": "PPM", "PBM": "PPM", "PNM": "PPM"}  # suffixes and the format that they mean
OF_THIS_PROCESS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # errors that no image causes
PLAIN = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)*", re.ASCII)  # a path that needs no escape and has no folder twice
NUMBERED_FILE = re.compile(r"(.*?)(\d+)(?:-of-(\d+))?(?:-[0-9a-f]{16})?(\.\w+)", re.IGNORECASE)


class Location(Protocol):
    """Where the bytes of an image are. Holds no open file, so it can be pickled to worker processes."""

    def read(self) -> bytes:
        """The bytes. Raises Unreadable if they are no image, or OSError."""

    def size(self) -> int:
        """The number of bytes, or that of the file that holds them."""


Found = Sequence[tuple[str, Location]]  # file names and where to read them


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
    """An image that is a file of its own, below a folder."""

    folder: Path
    below: str

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / self.below

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
    images: "Images"
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


def named_if_partial(source: Source) -> Source:
    """The source, named as a part, `ilsvrc2012-partial`, if the splits that are there lack images or classes.

    The counts of a released data set decide, else the gaps and losses that its layout has found.
    """
    counts = [(len(source.classes), CLASSES.get(source.dataset), "classes")]
    counts += [(len(s.images), IMAGES.get(f"{source.dataset}-{s.name}"), f"{s.name} images") for s in source.splits]
    lacks = [f"{count:,} of {official:,} {what}" for count, official, what in counts if official not in (None, count)]
    if source.dataset not in CLASSES:
        lacks = [*source.gaps, *(item.path for item in source.skipped if item.is_loss)]
    elif lacks and not source.gaps:  # which are named later
        say(f"This is not all of {source.dataset}: {first_few(lacks)}.")
    if not lacks:
        return source
    return replace(source, dataset=f"{source.dataset}{PARTIAL}")


def refuse_other_classes(where: Path | str, one: Collection[str], other: Collection[str]) -> None:
    """Raise UserError unless two parts of a source have the same classes; where: begins the message."""
    if different := set(one) ^ set(other):
        shown = first_few([escaped(name) for name in sorted(different)])
        raise bad_data(f"{where}: {shown}.", "Every split needs the same classes.")


def missing_files(files: Sequence[Path]) -> Iterator[str]:
    """A remark on every set of numbered files, such as train-00000-of-00294.parquet, that lacks some.

    Sets without a total are checked only if they begin with 0 or 1. Raises UserError if one set is there in two
    numberings, which would give every image twice.
    """
    sets: dict[tuple[Path, str, str], set[tuple[int, str | None]]] = {}
    for file in files:
        if found := NUMBERED_FILE.fullmatch(file.name):
            before, number, total, after = found.groups()
            sets.setdefault((file.parent, before, after), set()).add((int(number), total))
    for (folder, before, after), found_files in sets.items():
        numbers, (total, *other_totals) = {number for number, _ in found_files}, {total for _, total in found_files}
        if other_totals:
            raise bad_data(f"{folder} holds one set of files twice: {before}*{after}.", "Remove the older files.")
        first, last = min(numbers), max(numbers)
        expected = range(int(total)) if total else range(min(first, 1), last + 1)
        gaps = [number for number in expected if number not in numbers]
        if gaps and (total or first <= 1):
            yield f"{before}*{after} lacks {len(gaps):,} of {len(expected):,} files: {first_few(list(map(str, gaps)))}"


def refuse_missing_labels(split: str, unlabeled: Sequence[str], *, images: int) -> None:
    """Raise UserError for training images without a label, and for other splits that are labeled in part.

    unlabeled: where the images without a label are, in words. images: how many the split has.
    """
    if unlabeled and (split == "train" or len(unlabeled) < images):
        need = "every training image needs one" if split == "train" else "either every image has one or none has"
        raise bad_data(
            f"{len(unlabeled):,} of {images:,} images of {split} have no label: {first_few(unlabeled)}.",
            f"Label them or remove them; {need}.",
        )


def escaped(path: PurePath | str) -> str:
    """A path as text that can be written anywhere, with bytes that are not UTF-8 and control characters escaped."""
    if isinstance(path, str) and PLAIN.fullmatch(path):  # as most are
        return path
    return printable(os.fsencode(PurePath(path).as_posix()).decode("utf-8", "backslashreplace"))


def bad_data(what: str, fix: str = "Check that the download is complete.") -> UserError:
    """The error for a source that contradicts itself or cannot be read."""
    return UserError(what, fix=fix, exit_code=Exit.BAD_DATA)
