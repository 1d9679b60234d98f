"""Tars of images, read where they lie: members are found once and then read by offset, nothing is extracted."""

import errno
import re
import tarfile
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from alexrepro.data.sources.archives import damaged
from alexrepro.data.sources.checks import Found
from alexrepro.data.sources.source import MOST_IMAGE_BYTES, Skipped, bad_data
from alexrepro.data.sources.walk import WNID, escaped, is_image, why_ignored, wnid_in
from alexrepro.errors import Exit, Unreadable, UserError
from alexrepro.progress import progress

NOT_AN_IMAGE = "not an image by its suffix"
CLASS_TAR = re.compile(rf"({WNID.pattern})\.tar")
END_MARK = bytes(tarfile.BLOCKSIZE)
MOST_PADDING_BYTES = 1_000_000  # after the end mark; tar fills up to a multiple of 10,240


@dataclass(frozen=True)
class Span:
    """A stretch of bytes in a file, or in several that were cut from one: a member of an archive, or all of it.

    ends: where each file ends, counted from the start of the first.
    """

    files: tuple[Path, ...]
    ends: tuple[int, ...]
    offset: int
    length: int

    def read(self) -> bytes:
        """All of it. Raises Unreadable if it is larger than any image."""
        if self.length > MOST_IMAGE_BYTES:
            raise Unreadable(f"a member of {self.length:,} bytes; at most {MOST_IMAGE_BYTES:,} are read")
        with closing(_Stream(self)) as stream:
            return stream.read(self.length)

    def size(self) -> int:
        """How many bytes it has."""
        return self.length

    def within(self, offset: int, length: int) -> "Span":
        """A stretch of this one."""
        return Span(self.files, self.ends, self.offset + offset, length)


class _Stream:
    """What tarfile needs of a file, over a span; one file is open at a time."""

    def __init__(self, span: Span) -> None:
        self.span, self.position, self.number = span, 0, -1
        self.file: BinaryIO | None = None

    def seek(self, offset: int) -> None:
        self.position = offset

    def tell(self) -> int:
        return self.position

    def read(self, size: int) -> bytes:
        """As many bytes as asked for; fewer at the end of the span."""
        span, pieces = self.span, list[bytes]()
        size = min(size, span.length - self.position)
        while size > 0:
            start = span.offset + self.position
            number = bisect_right(span.ends, start)
            if self.file is None or number != self.number:
                self.close()
                self.file, self.number = span.files[number].open("rb", buffering=0), number
            self.file.seek(start - (span.ends[number - 1] if number else 0))
            piece = self.file.read(min(size, span.ends[number] - start))
            if not piece:  # the file is shorter than it was
                break
            pieces.append(piece)
            self.position, size = self.position + len(piece), size - len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


def archive(*files: Path) -> Span:
    """The whole of an archive, from its file or from its parts in order. Raises UserError if one is not a file."""
    for file in files:
        if not file.is_file():
            raise bad_data(f"{file} is not a file.", f"Move it elsewhere, or rename it: {file.name}.")
    ends = tuple(accumulate(file.stat().st_size for file in files))
    return Span(files, ends, 0, ends[-1])


def members(span: Span, skip: Callable[[str, str], None], *, within: str = "") -> Iterator[tuple[str, Span]]:
    """Path and location of every file in an archive, in its order; `skip` gets path and kind of all else.

    within: the name of the archive, if it is itself a member. Raises UserError if the archive is damaged or cut short:
    tarfile takes damage for the end, so the mark of the end is checked.
    """
    try:
        if not span.length:
            raise EOFError("it is empty")
        with closing(_Stream(span)) as stream:
            tar = tarfile.open(fileobj=stream, mode="r:")  # type: ignore[call-overload]  # noqa: SIM115
            while member := tar.next():
                tar.members.clear()  # a million of them fill a gigabyte
                if tar.offset > span.length:
                    raise EOFError(f"it ends at byte {span.length:,} within {member.name!r}")
                if member.isreg():
                    yield member.name, span.within(member.offset_data, member.size)
                elif not member.isdir():
                    skip(member.name, "a link" if member.islnk() or member.issym() else "not a regular file")
            _check_end(stream, tar.offset, span.length)
    except OSError as error:
        if error.errno == errno.EACCES:
            raise
        raise UserError(
            f"{span.files[0]} cannot be read: {error.strerror}.",
            fix="Check the disk or the network, then run the same command again.", exit_code=Exit.IO_ERROR,
        ) from None  # fmt: skip
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise damaged(span.files, error, within=within) from None


def _check_end(stream: _Stream, offset: int, length: int) -> None:
    stream.seek(offset)
    mark = stream.read(len(END_MARK))
    if len(mark) < len(END_MARK):
        raise EOFError(f"it ends at byte {length:,} without an end mark")
    if mark != END_MARK:
        raise tarfile.ReadError(f"bad header at byte {offset:,}")
    if length - offset > MOST_PADDING_BYTES:
        raise tarfile.ReadError(f"it goes on after the end mark at byte {offset:,}")


class Listing:
    """Lists the images in tars, counts them on stderr, and keeps what it skips."""

    def __init__(self, count: Callable[[], None]) -> None:
        self.count = count
        self.skipped: list[Skipped] = []

    def skip(self, span: Span, path: str, reason: str, *, within: str = "") -> None:
        """Keep the path of a member that is not read and the reason."""
        self.skipped.append(Skipped(escaped(PurePosixPath(span.files[0].name, within, path)), reason))

    def files(self, span: Span, *, within: str = "") -> Iterator[tuple[str, Span]]:
        """Path and location of each file in an archive that is not hidden, in its order."""
        skip = partial(self.skip, span, within=within)
        for path, location in members(span, skip, within=within):
            if reason := why_ignored(path):
                skip(path, reason)
            else:
                yield path, location

    def images(self, span: Span, *, within: str = "") -> Found:
        """The images in an archive by name, in the order of the names. Raises UserError if it holds two of one name."""
        found: Found = []
        for path, location in self.files(span, within=within):
            if is_image(path):
                found.append((PurePosixPath(path).name, location))
                self.count()
            else:
                self.skip(span, path, NOT_AN_IMAGE, within=within)
        return _in_order(found, span)

    def by_class(self, span: Span) -> dict[str, Found]:
        """The images by WNID in an archive of class tars or of class folders.

        An image in no class tar belongs to the class of its folder or in its name. Raises UserError if it has none, and
        if a class tar or the name of an image comes twice.
        """
        tars, loose = dict[str, Found](), dict[str, Found]()
        for path, location in self.files(span):
            name, folder = PurePosixPath(path).name, PurePosixPath(path).parent.name
            if packed := CLASS_TAR.fullmatch(name):
                if packed[1] in tars:
                    raise _twice(span, name)
                tars[packed[1]] = self.images(location, within=name)
            elif not is_image(path):
                self.skip(span, path, NOT_AN_IMAGE)
            elif wnid := folder if WNID.fullmatch(folder) else wnid_in(name):
                loose.setdefault(wnid, []).append((name, location))
                self.count()
            else:
                raise bad_data(
                    f"{span.files[0]} holds {escaped(path)}, whose class is not known.",
                    "A training image lies in n01440764.tar, in a folder n01440764, or has a name that begins with "
                    "n01440764_.",
                )
        if both := tars.keys() & loose.keys():
            raise _twice(span, min(both))
        return dict(sorted((tars | {wnid: _in_order(images, span) for wnid, images in loose.items()}).items()))


@contextmanager
def listing(title: object) -> Iterator[Listing]:
    """A listing that shows how far it has come."""
    with progress(f"reading {title}", total=None) as count:
        yield Listing(count)


def _in_order(found: Found, span: Span) -> Found:
    found.sort(key=lambda item: item[0])
    for (before, _), (name, _) in pairwise(found):
        if before == name:
            raise _twice(span, name)
    return found


def _twice(span: Span, name: str) -> UserError:
    fix = "Unpack it, so that the later replaces the earlier, and prepare the folder."
    return bad_data(f"{span.files[0]} holds {escaped(name)} twice.", fix)
