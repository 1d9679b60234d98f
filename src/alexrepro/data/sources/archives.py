"""Archives, read where they lie: the files of one, the members of a tar by offset, and why one cannot be read."""

import os
import re
import tarfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, product
from pathlib import Path
from shlex import quote
from string import ascii_lowercase
from typing import NamedTuple

from alexrepro.data.sources.source import MOST_IMAGE_BYTES, bad_data
from alexrepro.errors import Exit, Unreadable, UserError
from alexrepro.files import naming
from alexrepro.progress import say

AGAIN = "Download it again."
UNFINISHED = (".aria2", ".part", ".partial", ".crdownload", ".download", ".filepart", ".opdownload", ".!qb", ".!ut")
PART = re.compile(r"[._-]?(?:part[._-]?)?(\d+|[a-z]{2})", re.IGNORECASE)  # letters: of `split`
LETTERS = ["".join(pair) for pair in product(ascii_lowercase, repeat=2)]
END_MARK = bytes(tarfile.BLOCKSIZE)
MOST_OPEN = 8  # files of archives
MOST_PADDING_BYTES = 1_000_000  # after the end mark; tar fills up to a multiple of 10,240


class Packing(NamedTuple):
    """A kind of compression: its name, the bytes it begins with, its suffixes, and the command that unpacks it."""

    name: str
    magic: bytes
    suffixes: tuple[str, ...]
    command: str


PACKINGS = (
    Packing("gzip", b"\x1f\x8b", (".gz", ".tgz"), "gunzip"),
    Packing("xz", b"\xfd7zXZ\0", (".xz", ".txz"), "unxz"),
    Packing("zstd", b"\x28\xb5\x2f\xfd", (".zst", ".tzst"), "unzstd"),
    Packing("bzip2", b"BZh", (".bz2", ".tbz2", ".tbz"), "bunzip2"),
    Packing("lz4", b"\x04\x22\x4d\x18", (".lz4",), "unlz4"),
    Packing("zip", b"PK\x03\x04", (".zip",), "unzip"),
    Packing("7-Zip", b"7z\xbc\xaf\x27\x1c", (".7z",), "7z x"),
    Packing("RAR", b"Rar!\x1a\x07", (".rar",), "unrar x"),
)
PACKED = tuple(suffix for packing in PACKINGS for suffix in packing.suffixes)
ENDS = "|".join(map(re.escape, PACKED))
NOT_AN_ARCHIVE = {"empty", "web page", "Git LFS pointer"}


def packing_of(name: str) -> Packing | None:
    """The compression that a name promises; None if it promises none."""
    return next((packing for packing in PACKINGS if name.lower().endswith(packing.suffixes)), None)


def content(file: Path) -> str:
    """What the first bytes of a file show: a kind of compression, tar, web page, Git LFS pointer, empty or unknown."""
    if not file.is_file():
        return "unknown"  # reading a pipe would never end
    with file.open("rb") as stream:
        start = stream.read(512)
    found = [packing.name for packing in PACKINGS if start.startswith(packing.magic)]
    found += ["tar"] * (start[257:262] == b"ustar")
    found += ["Git LFS pointer"] * start.startswith(b"version https://git-lfs")
    found += ["web page"] * (start.lstrip()[:1] == b"<")
    return found[0] if found else "unknown" if start else "empty"


def archive_files(folder: Path, stem: str) -> tuple[Path, ...]:
    """The file of an archive whose name without suffixes matches `stem`, or its parts in order; none if not there.

    A compressed one only if there is no plain tar. Raises UserError for an unfinished download or a missing part.
    """
    pattern = re.compile(rf"({stem}(?: \(\d+\))?(?:\.tar(?:{ENDS})?|{ENDS}))(.*)", re.IGNORECASE)  # (1): of a browser
    ends: dict[str, list[str]] = {}
    for name in sorted(file.name for file in folder.glob("*")):
        if match := pattern.fullmatch(name):
            ends.setdefault(match[1], []).append(match[2])
    found = [files for name in ends if (files := _files(folder / name, ends[name]))]
    found.sort(key=lambda files: packing_of(files[0].name) is None)
    for files in found[:-1]:
        say(f"{files[0]} is left out; {found[-1][0].name} is read instead.")
    return found[-1] if found else ()


def _files(archive: Path, ends: Sequence[str]) -> tuple[Path, ...]:
    """The whole archive, or its parts in order; none if only something else begins with its name."""
    is_whole = "" in ends and (not archive.exists() or archive.stat().st_size > 0)
    for end in ends:
        if end.lower().endswith(".aria2" if is_whole else UNFINISHED):
            raise UserError(
                f"{archive}{end} is an unfinished download.",
                fix="Let the download finish, or remove that file if the archive next to it is whole.",
                exit_code=Exit.MISSING_INPUT,
            )
    if "" in ends:
        return (archive,)
    parts = {end: match[1].lower() for end in ends if (match := PART.fullmatch(end))}
    number_of = {end: int(at) if at.isdigit() else LETTERS.index(at) for end, at in parts.items()}
    ordered = sorted(parts, key=lambda end: (len(parts[end]), number_of[end]))
    before = -1
    for end in ordered:
        first = before == -1 and number_of[end] == 1 and parts[end].isdigit()  # numbers count from 0 or 1
        if not first and number_of[end] not in (before + 1, (before + 1) * 100):  # `split -d` goes on from 89 with 9000
            raise UserError(
                f"Parts of {archive} are missing before {archive.name}{end}, or there are two sets of them.",
                fix="Download the missing parts, or keep one set.", exit_code=Exit.MISSING_INPUT,
            )  # fmt: skip
        before = number_of[end]
    return tuple(archive.with_name(archive.name + end) for end in ordered)


def kaggle_archive(folder: Path) -> Path | None:
    """Kaggle's zip archive of ILSVRC-2012 in a folder, if it is there under its name."""
    return next(iter(sorted(folder.glob("imagenet-object-localization*.zip"))), None)


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
        return _Stream(self).read(self.length)

    def size(self) -> int:
        """How many bytes it has."""
        return self.length


class _Opened:
    """A file that is open as long as something refers to it."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


_opened = lru_cache(MOST_OPEN)(_Opened)  # an archive is opened once for all its images


class _Stream:
    """What tarfile needs of a file, over a span."""

    def __init__(self, span: Span) -> None:
        self.span, self.position = span, 0

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
            file, begin = _opened(span.files[number]), span.ends[number - 1] if number else 0
            piece = os.pread(file.number, min(size, span.ends[number] - start), start - begin)
            if not piece:  # the file is shorter than it was
                break
            pieces.append(piece)
            self.position, size = self.position + len(piece), size - len(piece)
        return b"".join(pieces)


def archive(*files: Path) -> Span:
    """The whole of an archive, from its file or from its parts in order. Raises UserError if one is not a file."""
    _opened.cache_clear()  # it may be another file by now
    for file in files:
        if not file.is_file():
            raise bad_data(f"{file} is not a file.", f"Move it elsewhere, or rename it: {file.name}.")
    ends = tuple(accumulate(file.stat().st_size for file in files))
    return Span(files, ends, 0, ends[-1])


def members(span: Span, *, within: str = "") -> Iterator[tuple[str, Span | str]]:
    """Path of every member of an archive but folders, in its order, with its location, or with what it is if no file.

    within: the name of the archive, if it is itself a member. Raises UserError if the archive is compressed, damaged or
    cut short: tarfile takes damage for the end, so the mark of the end is checked.
    """
    try:
        if not span.length:
            raise EOFError("it is empty")
        with naming(span.files[0]):
            stream = _Stream(span)
            tar = tarfile.open(fileobj=stream, mode="r:")  # type: ignore[call-overload]  # noqa: SIM115
            while member := tar.next():
                tar.members.clear()  # a million of them fill a gigabyte
                if tar.offset > span.length:
                    raise EOFError(f"it ends at byte {span.length:,} within {member.name!r}")
                if member.isreg():
                    yield member.name, Span(span.files, span.ends, span.offset + member.offset_data, member.size)
                elif not member.isdir():
                    yield member.name, ("a link" if member.islnk() or member.issym() else "not a regular file")
            stream.seek(tar.offset)
            mark = stream.read(len(END_MARK))
            if len(mark) < len(END_MARK):
                raise EOFError(f"it ends at byte {span.length:,} without an end mark")
            if mark != END_MARK:
                raise tarfile.ReadError(f"bad header at byte {tar.offset:,}")
            if span.length - tar.offset > MOST_PADDING_BYTES:
                raise tarfile.ReadError(f"it goes on after the end mark at byte {tar.offset:,}")
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise _damaged(span.files, error, within) from None


def _damaged(files: Sequence[Path], why: Exception, within: str) -> UserError:
    """The error for a tar, in its parts, that cannot be listed to its end; within: the member that is the tar."""
    file, found = files[0], content(files[0])
    if packing := next((packing for packing in PACKINGS if packing.name == found), None):
        renamed = file if packing_of(file.name) else file.with_name(file.name + packing.suffixes[0])
        move = f"mv {quote(str(file))} {quote(str(renamed))} && " if renamed != file else ""
        return bad_data(
            f"{file} is compressed with {found}, so no image can be read without unpacking all before it.",
            f"Unpack it{', its parts joined' * (len(files) > 1)}: {move}{packing.command} {quote(str(renamed))}",
        )
    if found in NOT_AN_ARCHIVE:
        return bad_data(f"{file} is not a tar archive; its content: {found}.", AGAIN)
    what = f"{within} in {file}" if within else files[-1]
    return bad_data(
        f"{what} is {'cut short' if isinstance(why, EOFError) else 'damaged'}: {why}.",
        f"Continue the download, for example with wget -c{', or add the parts that follow' * (len(files) > 1)}, or "
        "download it again.",
    )
