"""Writing files so that a reader sees the old content or the new, never half of it."""

import codecs
import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from alexrepro.errors import Exit, UserError

MARKS = (  # the longer first: a mark of UTF-16 begins that of UTF-32
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NAME = re.compile(r"[^\s./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*")
MOST_NAME_BYTES, SHOWN_CHARACTERS = 200, 60  # of the 255 of a file system, as digests and times are added
NO_FILE = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a disk says that has no room for a file


def write_whole(path: Path, write: Callable[[Path], object], *, size: int | None = None) -> None:
    """Let `write` fill a temporary file beside the path, then rename it into place.

    The file and its folder reach the disk before this returns, so a power cut cannot undo it. If it fails, nothing is
    left. size: the bytes it will have, where that is known, for the error of a disk that is full.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.partial")
    with naming(path, size):
        try:
            write(temporary)
            sync(temporary)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole."""
    write_whole(path, lambda temporary: temporary.write_bytes(content), size=len(content))


def write_text(path: Path, text: str) -> None:
    """Write a text file whole, in UTF-8."""
    write_bytes(path, writable(text).encode())


def writable(text: str) -> str:
    """The text with lone surrogates spelled out, which UTF-8 cannot hold; Python has them in names of other bytes."""
    return text.encode(errors="backslashreplace").decode()


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file whole."""
    write_text(path, json_text(value))


def json_text(value: dict[str, Any]) -> str:
    """The text of a JSON file."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def read_json(path: Path, *, fix: str = "Bring back a copy of it.") -> dict[str, Any]:
    """The object in a JSON file. Raises UserError if missing or anything else; fix: what to do then."""
    try:
        content = path.read_bytes()
        found = json.loads(content)
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.", fix=fix, exit_code=Exit.MISSING_INPUT) from None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        why = "it is not a JSON object" if content.strip(b"\0") else "it is empty"
        raise UserError(f"{path} is damaged: {why}.", fix=fix, exit_code=Exit.BAD_DATA)
    return found


def plain_name(name: str, *, of: str, most_bytes: int = MOST_NAME_BYTES) -> str:
    """The name, once it is known to name one file or folder. Raises UserError if it cannot; of: whose name it is."""
    if NAME.fullmatch(name) and len(os.fsencode(name)) <= most_bytes:
        return name
    shown = name if len(name) <= SHOWN_CHARACTERS else f"{name[:SHOWN_CHARACTERS]}..."
    raise UserError(
        f"{of} cannot be named {shown!r}: its name becomes that of a folder.",
        fix=f"Use at most {most_bytes} bytes without slashes, backslashes or control characters, "
        "and no dot or space at the beginning.",
    )


@contextmanager
def reading(path: Path, *, kind: str = "file", fix: str = "Check the path.") -> Iterator[None]:
    """Have a path that leads to no file refused in two lines; other errors, as of permission, stay as they are."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_FILE:
            raise
        missing = error.errno == errno.ENOENT
        what = f"There is no {kind} {path}." if missing else f"The {kind} {path} cannot be read: {error.strerror}."
        raise UserError(what, fix=fix, exit_code=Exit.MISSING_INPUT) from None


def read_text(path: Path) -> str:
    """The text of a file that somebody else wrote; see `decoded`."""
    return decoded(path.read_bytes(), name=str(path))


def decoded(content: bytes, *, name: str) -> str:
    """The text in some bytes, in UTF-8, or UTF-16 or UTF-32 with a byte-order mark, or Latin-1; lines end with LF.

    Every byte is a character of Latin-1, which is what old tables of names are in. Raises UserError, naming `name`, for
    bytes that are no text: a NUL, as in binary files and in UTF-16 without its mark.
    """
    encoding = next((encoding for mark, encoding in MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if "\0" in text:
        raise UserError(
            f"{name} is not text in UTF-8, Latin-1 or UTF-16 with a byte-order mark.",
            fix=f"Save it as UTF-8, for example with: iconv -f UTF-16LE -t UTF-8 {name}",
            exit_code=Exit.BAD_DATA,
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def append(path: Path, text: str) -> None:
    """Add text at the end of a file, all of it or, if the disk has no room, nothing."""
    content = text.encode()
    before = path.stat().st_size if path.exists() else 0
    with naming(path, len(content)):
        try:
            with path.open("ab") as file:
                file.write(content)
        except OSError:
            with suppress(OSError):
                os.truncate(path, before)
            raise


def sha256_of_file(path: Path) -> str:
    """The SHA-256 of a file's content in hexadecimal."""
    with naming(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until a file or folder has reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, if they are missing, so that a power cut cannot undo it."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(missing):
        sync(folder.parent)


def free_name(path: Path) -> Path:
    """The path, or the first of path-2, path-3, ... that nothing has."""
    names = (path if number == 1 else path.with_name(f"{path.name}-{number}") for number in count(1))
    return next(name for name in names if not name.exists())


@contextmanager
def naming(path: Path, size: int | None = None) -> Iterator[None]:
    """Have errors name the path if they name none, and a full disk what it needs, in bytes, and what it has."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        if error.errno in FULL and size is not None:
            free = shutil.disk_usage(path.parent).free
            error.strerror = f"{error.strerror} ({size:,} bytes are needed, {free:,} are free)"
        raise
