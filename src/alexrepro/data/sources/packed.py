"""Which files make up an archive: the tar itself, or its parts in order.

Compressed archives, unfinished downloads and sets of parts with gaps are refused with the command that mends them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from alexrepro.data.sources.folders import sorted_names
from alexrepro.errors import Exit, UserError
from alexrepro.progress import say

UNFINISHED = (".aria2", ".part", ".partial", ".crdownload", ".download", ".filepart", ".opdownload", ".!qb", ".!ut")
LETTERS = r"[a-z]{2}|a[a-g][a-z]|z[a-z]{3}"  # of `split`, which goes on from yz with zaaa; not asc, sig or old
PART = re.compile(rf"\.tar[._-]?(?:part[._-]?)?(\d+|{LETTERS})", re.IGNORECASE)
SHOWN_MISSING = 5


@dataclass(frozen=True)
class Packing:
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
PACKED_PART = re.compile(
    rf"(.*(?:{'|'.join(re.escape(suffix) for packing in PACKINGS for suffix in packing.suffixes)}))"
    r"[._-]?(?:part[._-]?)?(?:\d+|[a-z]{2})",
    re.IGNORECASE,
)


def archive_files(folder: Path, stem: str) -> tuple[Path, ...]:
    """The file of a tar whose name without `.tar` matches `stem`, or its parts in order; none if it is not there.

    Raises UserError if it is there compressed only, not downloaded to its end, or without one of its parts.
    """
    pattern = re.compile(rf"({stem}(?: \(\d+\))?)(\..+)", re.IGNORECASE)  # (1): of a browser
    found: dict[str, list[str]] = {}
    for name in sorted_names(folder):
        if match := pattern.fullmatch(name):
            found.setdefault(match[1], []).append(match[2])
    usable = {name: files for name, rests in found.items() if (files := _files(folder, name, rests))}
    for name in list(usable)[:-1]:
        say(f"{usable[name][0]} is left out; {next(reversed(usable.values()))[0].name} is read in its place.")
    if not usable:
        for name, rests in found.items():
            _refuse_what_must_be_unpacked(folder, name, rests)
    return next(reversed(usable.values()), ())


def unpacking(file: Path) -> str | None:
    """The command that unpacks a compressed file, by its name; None if its name is not that of one."""
    return next(
        (f"{packing.command} {quote(str(file))}" for packing in PACKINGS if _has_suffix(file, packing.suffixes)), None
    )


def content(file: Path) -> str:
    """What the first bytes of a file show: a kind of compression, tar, web page, Git LFS pointer, empty or unknown."""
    if not file.is_file():
        return "unknown"  # a pipe would be waited for
    with file.open("rb") as stream:
        start = stream.read(512)
    if not start:
        return "empty"
    if start[257:262] == b"ustar":
        return "tar"
    if start.startswith(b"version https://git-lfs"):
        return "Git LFS pointer"
    if start.lstrip()[:1] == b"<":
        return "web page"
    return next((packing.name for packing in PACKINGS if start.startswith(packing.magic)), "unknown")


def compressed(file: Path, *, others: int = 0) -> UserError:
    """The refusal of a tar that is compressed, or that is named as if it were."""
    packing = next(packing for packing in PACKINGS if _has_suffix(file, packing.suffixes))
    found = content(file)
    if found == "tar":
        fix = f"Rename it: mv {quote(str(file))} {quote(str(file.with_suffix('')))}"
        return UserError(f"{file} is a plain tar in spite of its name.", fix=fix, exit_code=Exit.BAD_DATA)
    if found != packing.name:
        seen = "it does not begin like that" if found == "unknown" else f"its first bytes are those of: {found}"
        return UserError(f"{file} is not compressed with {packing.name}: {seen}.",
                       fix="Download it again.", exit_code=Exit.BAD_DATA)  # fmt: skip
    more = f", and the {others:,} others like it" if others else ""
    return UserError(
        f"{file} is compressed with {packing.name}, so no photo can be read without unpacking all before it.",
        fix=f"Unpack it to a plain tar: {packing.command} {quote(str(file))}{more}",
        exit_code=Exit.BAD_DATA,
    )


def _files(folder: Path, stem: str, rests: Sequence[str]) -> tuple[Path, ...]:
    """The whole tar, or its parts in order; none if there is only something else."""
    whole = next((folder / (stem + rest) for rest in rests if rest.lower() == ".tar"), None)
    unfinished = [folder / (stem + rest) for rest in rests if rest.lower().endswith(UNFINISHED)]
    is_whole = whole is not None and whole.exists() and whole.stat().st_size > 0
    if unfinished and (not is_whole or any(_has_suffix(file, (".aria2",)) for file in unfinished)):
        raise UserError(
            f"{unfinished[0]} is an unfinished download.",
            fix="Let the download finish, or remove that file if the archive beside it is whole.",
            exit_code=Exit.MISSING_INPUT,
        )
    if whole is not None:
        return (whole,)
    parts = [(rest, match[1]) for rest in rests if unpacking(Path(rest)) is None and (match := PART.fullmatch(rest))]
    return _in_order(folder, stem, parts)


def _in_order(folder: Path, stem: str, parts: Sequence[tuple[str, str]]) -> tuple[Path, ...]:
    """The parts by number or by letters. Raises UserError if one is missing or there are two sets of them."""
    name_of = {(len(index), _number(index)): (stem + rest, index) for rest, index in parts}
    numbers = sorted(name_of)
    are_letters = [not index.isdigit() for _, index in parts]
    if len({number for _, number in numbers}) < len(parts) or len(set(are_letters)) > 1:
        raise UserError(
            f"{folder} holds two sets of parts of {stem}.tar: {', '.join(stem + rest for rest, _ in parts[:4])} ...",
            fix="Keep one set.", exit_code=Exit.BAD_DATA,
        )  # fmt: skip
    missing, before = list[str](), (0, -1 if any(are_letters) else 0)  # numbers count from 0 or 1, letters from aa
    for length, number in numbers:
        name, index = name_of[length, number]
        if before[0] == 0 or length < before[0] + 2:  # `split` goes on from 89 with 9000, and from yz with zaaa
            missing += [
                name.removesuffix(index) + _index(gap, index, numbers[0][0]) for gap in range(before[1] + 1, number)
            ]
        before = (length, number)
    if missing:
        more = f" and {len(missing) - SHOWN_MISSING:,} more" if len(missing) > SHOWN_MISSING else ""
        raise UserError(
            f"Parts of {folder / stem}.tar are missing: {', '.join(missing[:SHOWN_MISSING])}{more}.",
            fix="Download the missing parts.", exit_code=Exit.MISSING_INPUT,
        )  # fmt: skip
    return tuple(folder / name_of[number][0] for number in numbers)


def _number(index: str) -> int:
    """The place of a part: 12 for 012, 27 for bb."""
    if index.isdigit():
        return int(index)
    number = 0
    for letter in index.lower():
        number = 26 * number + ord(letter) - ord("a")
    return number


def _index(number: int, like: str, digits: int) -> str:
    """How a part of this number is named beside one named `like`, where the shortest number has so many digits."""
    if like.isdigit():
        return f"{number:0{digits}d}"
    letters = ""
    for _ in like:
        number, letter = divmod(number, 26)
        letters = chr(ord("a") + letter) + letters
    return letters


def _refuse_what_must_be_unpacked(folder: Path, stem: str, rests: Sequence[str]) -> None:
    """Raise UserError for a compressed archive, whole or in parts."""
    for rest in rests:
        file = folder / (stem + rest)
        if unpacking(file):
            raise compressed(file)
        if match := PACKED_PART.fullmatch(rest):
            joined = folder / (stem + match[1])
            typed = f"cat {quote(str(joined))}.* > {quote(str(joined))} && {unpacking(joined)}"
            raise UserError(
                f"{file} is a part of a compressed archive, so no photo can be read without unpacking all before it.",
                fix=f"Join the parts, then unpack them: {typed}",
                exit_code=Exit.BAD_DATA,
            )


def _has_suffix(file: Path, suffixes: tuple[str, ...]) -> bool:
    return file.name.lower().endswith(suffixes)
