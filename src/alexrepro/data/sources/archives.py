"""Tar archives read where they lie: members are found once and then read by offset, nothing is ever extracted.

An archive may be split into parts, and a member may itself be an archive. Only regular members count; their names are
used as names and never as paths. The headers are walked here, one block at a time, because tarfile takes a damaged
header for the end of the archive and reads announced names of any length into memory.
"""

import gzip
import os
import tarfile
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path, PurePosixPath

from alexrepro.errors import Exit, Refusal, Unreadable

MOST_MEMBER_BYTES = 64 * 2**20  # of one photo; the largest ImageNet photos have about 16 MB
MOST_DEVKIT_BYTES = 50_000_000  # of one file in a devkit; the real meta.mat has 184,207
MOST_UNPACKED_BYTES = 500_000_000  # of a whole devkit
MOST_NAME_BYTES = 1_000_000  # of a header that holds a name; Linux has paths of up to 4,096 bytes
MOST_PADDING_BYTES = 1_000_000  # after the mark of the end; tar fills up to a multiple of 10,240
BLOCK_BYTES = 512

Read = Callable[[int, int], bytes]  # so many bytes from an offset; fewer at the end


@dataclass(frozen=True)
class Parts:
    """The bytes of one file, or of several that were cut from one."""

    files: tuple[Path, ...]
    ends: tuple[int, ...]

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes from an offset; fewer at the end."""
        pieces: list[bytes] = []
        number = bisect_right(self.ends, offset)
        while size > 0 and number < len(self.files):
            start = self.ends[number - 1] if number else 0
            with self.files[number].open("rb", buffering=0) as file:
                piece = os.pread(file.fileno(), min(size, self.ends[number] - offset), offset - start)
            if not piece:
                break
            pieces.append(piece)
            offset, size, number = offset + len(piece), size - len(piece), bisect_right(self.ends, offset + len(piece))
        return b"".join(pieces)


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
    """The whole of an archive, from its file or from its parts in order. Raises Refusal if one is no file."""
    for file in files:
        if not file.is_file():
            raise _damaged(file, "it is not a file")
    ends = tuple(accumulate(file.stat().st_size for file in files))
    return Span(Parts(files, ends), 0, ends[-1])


def members(span: Span) -> Iterator[tuple[str, Span]]:
    """The name without folders and the place of every regular member, in the archive's order.

    Raises Refusal if the archive is damaged or cut short.
    """

    def read(offset: int, size: int) -> bytes:
        return span.parts.read(span.offset + offset, min(size, span.length - offset))

    try:
        for name, offset, size in _walk(read, span.length):
            yield name, Span(span.parts, span.offset + offset, size)
    except (tarfile.TarError, ValueError) as error:
        raise _damaged(span.parts.files[0], error) from None


def from_tar_gz(file: Path, name: str) -> bytes | None:
    """The content of the first regular member of this name in a compressed archive, streamed; None if it has none."""
    try:
        with gzip.open(file) as stream:

            def read(offset: int, size: int) -> bytes:
                stream.seek(offset)
                return stream.read(size)

            for found, offset, size in _walk(read, MOST_UNPACKED_BYTES):
                if found == name:
                    if size > MOST_DEVKIT_BYTES:
                        raise tarfile.ReadError(f"{name} has more than {MOST_DEVKIT_BYTES:,} bytes")
                    return _exactly(read, offset, size)
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
        raise _damaged(file, error) from None
    return None


def _walk(read: Read, length: int) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size of each regular member: header after header, to the block of zeros that ends them."""
    offset, announced = 0, dict[str, str]()
    while any(block := _exactly(read, offset, BLOCK_BYTES)):
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        is_announcement = header.type in {tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE}
        size = header.size if is_announcement else int(announced.get("size", header.size))
        offset += BLOCK_BYTES
        if not 0 <= size <= length - offset:
            raise tarfile.ReadError(f"{header.name!r} is cut short")
        if is_announcement:
            if size > MOST_NAME_BYTES:
                raise tarfile.ReadError(f"it announces a name of {size:,} bytes")
            announced |= _announced(header.type, _exactly(read, offset, size))
        else:
            if header.type == tarfile.GNUTYPE_SPARSE or "GNU.sparse.major" in announced:
                raise tarfile.ReadError(f"{header.name!r} is stored as a sparse file")
            if header.isreg():
                yield PurePosixPath(announced.get("path", header.name)).name, offset, size
            announced = {}
        offset += size + -size % BLOCK_BYTES
    if read(offset + MOST_PADDING_BYTES, 1):
        raise tarfile.ReadError(f"it goes on after the mark of its end at byte {offset:,}")


def _exactly(read: Read, offset: int, size: int) -> bytes:
    data = read(offset, size)
    if len(data) < size:
        raise tarfile.ReadError(f"it stops at byte {offset + len(data):,} without a mark of the end")
    return data


def _announced(kind: bytes, data: bytes) -> dict[str, str]:
    """What one header says of the next member: its name, or POSIX's records `<length> <key>=<value>`."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {"path": data.partition(b"\0")[0].decode("utf-8", "surrogateescape")}
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


def _damaged(file: Path, why: object) -> Refusal:
    return Refusal(f"{file} is no whole tar archive: {why}.", fix="Fetch it again.", exit_code=Exit.BAD_DATA)
