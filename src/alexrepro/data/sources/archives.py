"""Tar archives read where they lie: members are found once and then read by offset, nothing is ever extracted.

An archive may be split into parts, and a member may itself be an archive. Only regular members count; their names are
used as names and never as paths.
"""

import gzip
import io
import os
import tarfile
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path, PurePosixPath

from alexrepro.errors import Exit, Refusal

MOST_DEVKIT_BYTES = 50_000_000  # of one file in a devkit; the real meta.mat has 184,207


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
        """All of it."""
        return self.parts.read(self.offset, self.length)

    def size(self) -> int:
        """How many bytes it has."""
        return self.length


class _Window(io.RawIOBase):
    """A span as a file that tarfile can read and skip in."""

    def __init__(self, span: Span) -> None:
        self.span, self.position = span, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.span.length}[whence]
        self.position = max(0, base + offset)
        return self.position

    def tell(self) -> int:
        return self.position

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        left = max(0, min(len(view), self.span.length - self.position))
        data = self.span.parts.read(self.span.offset + self.position, left)
        view[: len(data)] = data
        self.position += len(data)
        return len(data)


def archive(*files: Path) -> Span:
    """The whole of an archive, from its file or from its parts in order."""
    ends = tuple(accumulate(file.stat().st_size for file in files))
    return Span(Parts(files, ends), 0, ends[-1])


def members(span: Span) -> Iterator[tuple[str, Span]]:
    """The name without folders and the place of every regular member, in the archive's order.

    Raises Refusal if the archive is damaged or cut short.
    """
    name = span.parts.files[0]
    try:
        with tarfile.open(fileobj=io.BufferedReader(_Window(span), 1 << 16), mode="r:") as tar:
            for member in tar:
                if member.isreg() and not member.issparse():
                    if member.offset_data + member.size > span.length:
                        raise tarfile.ReadError(f"{member.name} is cut short")
                    place = Span(span.parts, span.offset + member.offset_data, member.size)
                    yield PurePosixPath(member.name).name, place
                tar.members = []  # type: ignore[attr-defined]  # tarfile would keep every header
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise Refusal(
            f"{name} is no whole tar archive: {error}", fix="Fetch it again.", exit_code=Exit.BAD_DATA
        ) from None


def from_tar_gz(file: Path, name: str) -> bytes | None:
    """The content of the first regular member of this name in a compressed archive, streamed; None if it has none."""
    try:
        with gzip.open(file) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                if member.isreg() and PurePosixPath(member.name).name == name:
                    if member.size > MOST_DEVKIT_BYTES:
                        raise tarfile.ReadError(f"{name} has more than {MOST_DEVKIT_BYTES:,} bytes")
                    content = tar.extractfile(member)
                    return content.read() if content else None
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise Refusal(f"{file} cannot be read: {error}", fix="Fetch it again.", exit_code=Exit.BAD_DATA) from None
    return None
