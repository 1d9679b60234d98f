"""Atomic writing and careful reading of files, and text that can be shown and written anywhere."""

import codecs
import csv
import errno
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from alexrepro.errors import Exit, UserError

T = TypeVar("T")
NAME = re.compile(r"[^\s./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*")
MOST_NAME_BYTES, SHOWN_CHARACTERS = 200, 60  # of a file system's 255, since digests and times are added
NO_FILE = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def not_a_file(folder: Path) -> Path:
    """A folder of runs, which may not exist yet. Raises UserError if it is a file."""
    if folder.is_file():
        raise UserError(
            f"{folder} is a file, and runs are folders within a folder.", fix="Name that folder: --runs FOLDER.",
            exit_code=Exit.CANNOT_CREATE,
        )  # fmt: skip
    return folder


def listed(folder: Path) -> Path:
    """A folder, which may not exist yet. Raises PermissionError, as `glob` does not, if it may not be listed."""
    if folder.is_dir():
        os.scandir(folder).close()
    return folder


def write_whole(path: Path, write: Callable[[Path], T], *, size: int | None = None) -> T:
    """Let `write` fill a temporary file, then rename it to the path: readers see the old content or the new.

    File and folder are synced before this returns, so a power cut cannot undo it. A failure leaves nothing. size: the
    number of bytes if known, for the error message of a full disk.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.partial")
    with naming(path, size):
        try:
            written = write(temporary)
            sync(temporary)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync(path.parent)
    return written


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    write_whole(path, lambda temporary: temporary.write_bytes(content), size=len(content))


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    write_bytes(path, writable(text).encode())


def csv_text(rows: Iterable[Mapping[str, object]], *, columns: Sequence[str] = ()) -> str:
    """Rows as CSV, an empty cell for None; columns: by default those of the first row."""
    rows, text = list(rows), io.StringIO()
    writer = csv.DictWriter(text, columns or list(rows[0]), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def writable(text: str) -> str:
    """The text with lone surrogates escaped, which Python uses for undecodable bytes and UTF-8 cannot hold."""
    return text.encode(errors="backslashreplace").decode()


def printable(text: str) -> str:
    """The text with everything escaped that is not printable, such as control characters, which steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file atomically."""
    write_text(path, json_text(value))


def json_text(value: dict[str, Any]) -> str:
    """The text of a JSON file."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def read_json(path: Path, *, fix: str = "Bring back a copy of it.") -> dict[str, Any]:
    """The object in a JSON file. Raises UserError, with this fix, if it is missing or not a JSON object."""
    found = None
    with reading(path, fix=fix), suppress(ValueError, RecursionError):
        found = json.loads(path.read_bytes())
    if not isinstance(found, dict):
        raise UserError(f"{path} is damaged: it is not a JSON object.", fix=fix, exit_code=Exit.BAD_DATA)
    return found


def plain_name(name: str, *, of: str, most_bytes: int = MOST_NAME_BYTES) -> str:
    """The name, if it can name a folder; otherwise raises UserError, which begins with `of`, such as "A split"."""
    if NAME.fullmatch(name) and len(os.fsencode(name)) <= most_bytes:
        return name
    shown = name if len(name) <= SHOWN_CHARACTERS else f"{name[:SHOWN_CHARACTERS]}..."
    raise UserError(
        f"{of} cannot be named {shown!r}: its name is used for a folder.",
        fix=f"Use at most {most_bytes} bytes without slashes, backslashes or control characters, "
        "and no dot or space at the beginning.",
    )


@contextmanager
def reading(path: Path, *, kind: str = "file", fix: str = "Check the path.") -> Iterator[None]:
    """Turn the error of a path without a file into a UserError; others, such as of permission, are raised unchanged."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_FILE:
            raise
        missing = error.errno == errno.ENOENT
        what = f"There is no {kind} {path}." if missing else f"The {kind} {path} cannot be read: {error.strerror}."
        raise UserError(what, fix=fix, exit_code=Exit.MISSING_INPUT) from None


def read_text(path: Path) -> str:
    """The text of a file from elsewhere; see `decoded`."""
    return decoded(path.read_bytes(), name=str(path))


def decoded(content: bytes, *, name: str) -> str:
    """Text from UTF-8, from UTF-16 with a byte-order mark, or else from Latin-1; lines end with LF.

    Raises UserError, naming `name`, if there is a NUL, as in binary files and in UTF-16 without its mark.
    """
    has_mark = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if has_mark else "utf-8-sig")
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
    """Append text to a file; if the disk is full, nothing is added."""
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
    """Make missing folders and sync them, so that a power cut cannot undo it."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(missing):
        sync(folder.parent)


@contextmanager
def naming(path: Path, size: int | None = None) -> Iterator[None]:
    """Add the path to errors that name none, and the bytes needed and free to those of a full disk."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        if error.errno in FULL and size is not None:
            free = shutil.disk_usage(path.parent).free
            error.strerror = f"{error.strerror} ({size:,} bytes are needed, {free:,} are free)"
        raise
