"""Which files make up an archive: the tar itself, or its parts in order; and why one cannot be read in place.

Compressed archives, unfinished downloads and sets of parts with gaps are refused with the command that fixes them.
"""

import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from shlex import quote
from string import ascii_lowercase
from typing import NamedTuple

from alexrepro.data.sources.source import bad_data
from alexrepro.data.sources.walk import names_in
from alexrepro.errors import Exit, UserError
from alexrepro.progress import first_few, say

AGAIN = "Download it again."
UNFINISHED = (".aria2", ".part", ".partial", ".crdownload", ".download", ".filepart", ".opdownload", ".!qb", ".!ut")
PART = re.compile(r"[._-]?(?:part[._-]?)?(\d+|[a-z]{2})", re.IGNORECASE)  # letters: of `split`
LETTERS = ["".join(pair) for pair in product(ascii_lowercase, repeat=2)]


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
    Packing("lzip", b"LZIP", (".lz",), "lzip -d"),
    Packing("zip", b"PK\x03\x04", (".zip",), "unzip"),
    Packing("7-Zip", b"7z\xbc\xaf\x27\x1c", (".7z",), "7z x"),
    Packing("RAR", b"Rar!\x1a\x07", (".rar",), "unrar x"),
)
PACKED = tuple(suffix for packing in PACKINGS for suffix in packing.suffixes)
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
    """The file of a tar whose name without `.tar` matches `stem`, or its parts in order; none if it is not there.

    Raises UserError if only a compressed one is there, if it is not downloaded to its end, or if a part is missing.
    """
    pattern = re.compile(rf"({stem}(?: \(\d+\))?)\.tar(.*)", re.IGNORECASE)  # (1): of a browser
    found: dict[str, list[str]] = {}
    for name in names_in(folder):
        if match := pattern.fullmatch(name):
            found.setdefault(name[: match.start(2)], []).append(match[2])
    usable = [files for tar, ends in found.items() if (files := _files(folder / tar, ends))]
    for files in usable[:-1]:
        say(f"{files[0]} is left out; {usable[-1][0].name} is read instead.")
    if not usable:
        for tar, ends in found.items():
            _refuse_compressed(folder / tar, ends)
    return usable[-1] if usable else ()


def kaggle_archive(folder: Path) -> Path | None:
    """Kaggle's zip archive of ILSVRC-2012 in a folder, if it is there under its name."""
    return next(iter(sorted(folder.glob("imagenet-object-localization*.zip"))), None)


def compressed(file: Path, *, others: int = 0) -> UserError:
    """The error for a tar that is compressed, or named as if it were."""
    packing, found = packing_of(file.name), content(file)
    assert packing is not None
    if found == "tar":
        fix = f"Rename it: mv {quote(str(file))} {quote(str(file.with_suffix('')))}"
        return bad_data(f"{file} is a plain tar in spite of its name.", fix)
    if found != packing.name:
        return bad_data(f"{file} is not compressed with {packing.name}; its content: {found}.", AGAIN)
    more = f", and the {others:,} others like it" if others else ""
    return bad_data(
        f"{file} is compressed with {packing.name}, so no image can be read without unpacking all before it.",
        f"Unpack it to a plain tar: {packing.command} {quote(str(file))}{more}",
    )


def damaged(files: Sequence[Path], why: Exception, *, within: str = "") -> UserError:
    """The error for a tar, in its parts, that cannot be listed to its end; within: the member that is the tar."""
    file, last = files[0], files[-1]
    found, is_cut = content(file), isinstance(why, EOFError)
    if within:
        return bad_data(f"{within} in {file} is {'cut short' if is_cut else 'damaged'}: {why}.", AGAIN)
    if packing := next((packing for packing in PACKINGS if packing.name == found), None):
        renamed = quote(f"{file}{packing.suffixes[0]}")
        fix = f"Unpack it: mv {quote(str(file))} {renamed} && {packing.command} {renamed}"
        return bad_data(f"{file} is compressed with {found} in spite of its name.", fix)
    if found in NOT_AN_ARCHIVE:
        return bad_data(f"{file} is not a tar archive; its content: {found}.", AGAIN)
    if is_cut:
        check = f", and compare its size: alexrepro verify {quote(str(file.parent))} --quick" * ("ILSVRC" in file.name)
        more = f", or add the parts after {last.name}" if len(files) > 1 else ""
        mark = f". If it is whole, write the end mark: truncate -s +1K {quote(str(last))}" * ("mark" in str(why))
        fix = f"Continue the download, for example with wget -c{more}{check}{mark}."
        return bad_data(f"{last} is cut short: {why}.", fix)
    again = f"Check that {file.name} to {last.name} belong to one download." if len(files) > 1 else AGAIN
    return bad_data(f"{file} is damaged or not a tar archive: {why}.", again)


def _files(tar: Path, ends: Sequence[str]) -> tuple[Path, ...]:
    """The whole tar, or its parts in order; none if only something else begins with its name."""
    unfinished = [tar.name + end for end in ends if end.lower().endswith(UNFINISHED)]
    is_whole = "" in ends and (not tar.exists() or tar.stat().st_size > 0)
    if unfinished and (not is_whole or any(name.endswith(".aria2") for name in unfinished)):
        raise UserError(
            f"{tar.with_name(unfinished[0])} is an unfinished download.",
            fix="Let the download finish, or remove that file if the archive next to it is whole.",
            exit_code=Exit.MISSING_INPUT,
        )
    if "" in ends:
        return (tar,)
    parts = {end: match[1].lower() for end in ends if (match := PART.fullmatch(end)) and not packing_of(end)}
    return _in_order(tar, parts) if parts else ()


def _in_order(tar: Path, parts: dict[str, str]) -> tuple[Path, ...]:
    """The parts by number or letters. Raises UserError if one is missing or there are two sets of them."""
    are_letters = {not index.isdigit() for index in parts.values()}
    number_of = {end: LETTERS.index(i) if max(are_letters) and not i.isdigit() else int(i) for end, i in parts.items()}
    ordered = sorted(parts, key=lambda end: (len(parts[end]), number_of[end]))
    if len(set(number_of.values())) < len(parts) or len(are_letters) > 1:
        shown = first_few([tar.name + end for end in parts], 4)
        raise bad_data(f"{tar.parent} holds two sets of parts of {tar.name}: {shown}.", "Keep one set.")
    missing, width = list[str](), 0
    before = min(number_of[ordered[0]] - 1, -1 if max(are_letters) else 0)  # numbers count from 0 or 1, letters from aa
    for end in ordered:
        index, number = parts[end], number_of[end]
        if width == 0 or len(index) < width + 2:  # `split -d` goes on from 89 with 9000
            gap = range(before + 1, number)
            names = [LETTERS[n] if max(are_letters) else f"{n:0{len(parts[ordered[0]])}d}" for n in gap]
            missing += [tar.name + end[: -len(index)] + name for name in names]
        before, width = number, len(index)
    if missing:
        raise UserError(
            f"Parts of {tar} are missing: {first_few(missing)}.",
            fix="Download the missing parts.",
            exit_code=Exit.MISSING_INPUT,
        )
    return tuple(tar.with_name(tar.name + end) for end in ordered)


def _refuse_compressed(tar: Path, ends: Sequence[str]) -> None:
    """Raise UserError for a compressed archive, whole or in parts."""
    for end in ends:
        file = tar.with_name(tar.name + end)
        if packing_of(end):
            raise compressed(file)
        joined = re.sub(rf"{PART.pattern}$", "", str(file), flags=re.IGNORECASE)
        if packing := packing_of(joined):
            raise bad_data(
                f"{file} is a part of a compressed archive, so no image can be read without unpacking all before it.",
                "Join the parts, then unpack them: "
                f"cat {quote(joined)}.* > {quote(joined)} && {packing.command} {quote(joined)}",
            )
