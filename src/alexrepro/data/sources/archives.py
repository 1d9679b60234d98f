"""Tar archives read where they lie: members are found once and then read by offset, nothing is ever extracted.

An archive may be split into parts, and a member may itself be an archive. Only regular members count; their names are
used as names and never as paths. The headers are walked here, one block at a time, because tarfile takes a damaged
header for the end of the archive and reads announced names of any length into memory.
"""

import errno
import gzip
import os
import tarfile
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path, PurePosixPath

from alexrepro.data.sources.damage import CutShort, damaged
from alexrepro.errors import Exit, Unreadable, UserError

MOST_MEMBER_BYTES = 64 * 2**20  # of one photo; the largest ImageNet photos have about 16 MB
MOST_DEVKIT_BYTES = 50_000_000  # of one file in a devkit; the real meta.mat has 184,207
MOST_UNPACKED_BYTES = 500_000_000  # of a whole devkit
MOST_NAME_BYTES = 1_000_000  # of a header that holds a name; Linux has paths of up to 4,096 bytes
MOST_PADDING_BYTES = 1_000_000  # after the mark of the end; tar fills up to a multiple of 10,240
BLOCK_BYTES = 512
ANNOUNCING = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
WITHOUT_DATA = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
SILENT = (tarfile.DIRTYPE, tarfile.XGLTYPE)  # folders, and remarks on the whole archive
KINDS = {
    tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link to nothing in the archive",
    tarfile.CHRTYPE: "a device", tarfile.BLKTYPE: "a device", tarfile.FIFOTYPE: "a pipe",
}  # fmt: skip

Read = Callable[[int, int], bytes]  # so many bytes from an offset; fewer at the end


@dataclass(frozen=True)
class Parts:
    """The bytes of one file, or of several that were cut from one."""

    files: tuple[Path, ...]
    ends: tuple[int, ...]

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes from an offset; fewer at the end."""
        with self.opened() as read:
            return read(offset, size)

    @contextmanager
    def opened(self) -> Iterator[Read]:
        """A function that reads so many bytes from an offset, with each file opened once and one open at a time."""
        with ExitStack() as stack:
            number_open, descriptor = -1, -1

            def read(offset: int, size: int) -> bytes:
                nonlocal number_open, descriptor
                pieces: list[bytes] = []
                number = bisect_right(self.ends, offset)
                while size > 0 and number < len(self.files):
                    if number != number_open:
                        stack.close()
                        descriptor = stack.enter_context(self.files[number].open("rb", buffering=0)).fileno()
                        number_open = number
                    start = self.ends[number - 1] if number else 0
                    piece = os.pread(descriptor, min(size, self.ends[number] - offset), offset - start)
                    if not piece:
                        break
                    pieces.append(piece)
                    offset, size = offset + len(piece), size - len(piece)
                    number = bisect_right(self.ends, offset)
                return b"".join(pieces)

            yield read


@dataclass(frozen=True)
class Span:
    """A stretch of bytes within an archive: a member, or the whole."""

    parts: Parts
    offset: int
    length: int

    def read(self) -> bytes:
        """All of it. Raises Unreadable if it is larger than any photo."""
        if self.length > MOST_MEMBER_BYTES:
            raise Unreadable(f"a member of {self.length:,} bytes; at most {MOST_MEMBER_BYTES:,} are read")
        return self.parts.read(self.offset, self.length)

    def size(self) -> int:
        """How many bytes it has."""
        return self.length


def archive(*files: Path) -> Span:
    """The whole of an archive, from its file or from its parts in order. Raises UserError if one is no file."""
    for file in files:
        if not file.is_file():
            what = "a folder" if file.is_dir() else "a link to nothing, a pipe or a device"
            raise UserError(f"{file} is {what}, not an archive.", fix=f"Move it elsewhere, or rename it: {file.name}.",
                          exit_code=Exit.BAD_DATA)  # fmt: skip
    ends = tuple(accumulate(file.stat().st_size for file in files))
    return Span(Parts(files, ends), 0, ends[-1])


def members(span: Span) -> Iterator[tuple[str, Span]]:
    """The name without folders and the place of every file in an archive, in its order; see `listed`."""
    with span.parts.opened() as read:
        for path, found in listed(span, read, lambda *_: None):
            yield PurePosixPath(path).name, found


def listed(span: Span, read: Read, skip: Callable[[str, str], None], *, within: str = "") -> Iterator[tuple[str, Span]]:
    """The path and place of every file in an archive, in its order; `skip` is told the path and kind of all else.

    A hard link is the file that it names. read: of `span.parts`, opened. within: the name of the archive, if it is
    itself a member. Raises UserError if the archive is damaged or cut short.
    """
    targets: dict[str, _Header] = {}
    try:
        for header in _walk(read, span.offset, span.offset + span.length):
            found = header
            if header.kind == tarfile.LNKTYPE:
                targets = targets or {
                    h.path: h for h in _walk(read, span.offset, span.offset + span.length) if h.is_file
                }
                found = targets.get(header.link, header)
            if found.is_file:
                yield header.path, Span(span.parts, found.offset, found.size)
            elif header.kind not in SILENT:
                skip(header.path, KINDS.get(header.kind, "no regular file"))
    except OSError as error:
        if error.errno == errno.EACCES:
            raise
        raise UserError(
            f"{span.parts.files[0]} cannot be read: {error.strerror}.",
            fix="Check the disk or the network, then run the same command again.", exit_code=Exit.IO_ERROR,
        ) from None  # fmt: skip
    except (tarfile.TarError, ValueError) as error:
        raise damaged(span.parts.files, span.parts.ends[-1], error, within=within) from None


def from_tar_gz(file: Path, name: str) -> bytes | None:
    """The content of the first file of this name in a compressed archive, streamed; None if it has none."""
    try:
        with gzip.open(file) as stream:

            def read(offset: int, size: int) -> bytes:
                stream.seek(offset)
                return stream.read(size)

            for found in _walk(read, 0, MOST_UNPACKED_BYTES):
                if found.is_file and PurePosixPath(found.path).name == name:
                    if found.size > MOST_DEVKIT_BYTES:
                        raise tarfile.ReadError(f"{name} has more than {MOST_DEVKIT_BYTES:,} bytes")
                    return _exactly(read, found.offset, found.size, MOST_UNPACKED_BYTES)
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"{file} is no whole tar archive: {error}.",
                      fix="Download it again.", exit_code=Exit.BAD_DATA) from None  # fmt: skip
    return None


@dataclass(frozen=True)
class _Header:
    """What a tar says of a member, and where its bytes are."""

    path: str
    kind: bytes
    link: str
    offset: int
    size: int

    @property
    def is_file(self) -> bool:
        return self.kind in tarfile.REGULAR_TYPES


def _walk(read: Read, start: int, end: int) -> Iterator[_Header]:
    """Each member of the tar between two offsets: header after header, to the block of zeros that ends them."""
    offset, announced = start, dict[str, str]()
    while any(block := _exactly(read, offset, BLOCK_BYTES, end)):
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} at byte {offset:,}") from None
        path = announced.get("path", header.name)
        size = header.size if header.type in ANNOUNCING else int(announced.get("size", header.size))
        offset += BLOCK_BYTES
        if header.type in WITHOUT_DATA:
            size = 0
        if size < 0:
            raise tarfile.ReadError(f"{path!r} has a negative size")
        if size > end - offset:
            raise CutShort(f"within {path!r}, which needs {size - (end - offset):,} bytes more")
        if header.type in ANNOUNCING:
            if size > MOST_NAME_BYTES:
                raise tarfile.ReadError(f"it announces a name of {size:,} bytes")
            announced |= _announced(header.type, _exactly(read, offset, size, end))
        else:
            if header.type == tarfile.GNUTYPE_SPARSE or "GNU.sparse.major" in announced:
                raise tarfile.ReadError(f"{path!r} is stored as a sparse file")
            yield _Header(path, header.type, announced.get("linkpath", header.linkname), offset, size)
            announced = {}
        offset += size + -size % BLOCK_BYTES
    if offset + MOST_PADDING_BYTES < end and read(offset + MOST_PADDING_BYTES, 1):
        raise tarfile.ReadError(f"it goes on after the mark of its end at byte {offset:,}")


def _exactly(read: Read, offset: int, size: int, end: int) -> bytes:
    data = read(offset, size) if offset + size <= end else b""
    if len(data) < size:
        raise CutShort("without a mark of the end")
    return data


def _announced(kind: bytes, data: bytes) -> dict[str, str]:
    """What one header says of the next member: its name, or POSIX's records `<length> <key>=<value>`."""
    if kind in {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}:
        told = "path" if kind == tarfile.GNUTYPE_LONGNAME else "linkpath"
        return {told: data.partition(b"\0")[0].decode("utf-8", "surrogateescape")}
    found, start = {}, 0
    while start < len(data) and data[start]:
        space = data.index(b" ", start, start + 10)
        end = start + int(data[start:space])
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not space < end <= len(data) or not equals:
            raise tarfile.ReadError("a record of a header has another length than it says")
        found[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        start = end
    return found
