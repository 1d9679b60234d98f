"""The kernel's file locks, which end with their process; work continues without them on a disk that has none."""

import csv
import errno
import io
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from alexrepro.errors import UserError
from alexrepro.files import csv_text, decoded, make_folder, writable, write_text
from alexrepro.progress import say

LOOK_EVERY_SECONDS, SAY_EVERY_SECONDS = 0.2, 30.0


@contextmanager
def locked(file: Path, *, busy: Callable[[str], object]) -> Iterator[None]:
    """Hold a lock on a file, which names this process and is removed at the end.

    busy: called while another process has the lock, with `1234 on host` if it is known; it waits a moment or raises.
    """
    make_folder(file.parent)
    lock = FileLock(file, fallback_to_soft=False)  # a soft lock would outlive a process that is killed
    while not _is_taken(lock, file.parent):
        busy(_holder(file))
    with suppress(OSError):  # a full disk; the name is for people only
        file.write_text(f"{os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink()  # while it is held: who has opened it sees that it is gone, and tries again
        with suppress(OSError):
            lock.release()


def rewrite(path: Path, text: Callable[[], str]) -> None:
    """Write a file whose text is made from the files that are there, one process at a time; an equal one stays."""
    with locked(path.with_name(f".{path.name}.lock"), busy=lambda _: time.sleep(LOOK_EVERY_SECONDS)):
        new = text()
        if not path.exists() or path.read_bytes() != writable(new).encode():
            write_text(path, new)


def replace_rows(path: Path, rows: Sequence[Mapping[str, object]], *, key: Sequence[str]) -> Path:
    """Put rows into a CSV table in place of those with the same key; all others stay. Returns its path.

    key: columns that tell the rows apart, or groups of rows that are replaced together. A file that is no such table,
    such as one that was edited and has other columns, is kept under another name.
    """
    columns, new = list(rows[0]), {tuple(str(row[name]) for name in key) for row in rows}

    def text() -> str:
        old = _rows_of(path, columns)
        if old is None:
            aside = next(name for n in count(1) if not (name := path.with_stem(f"{path.stem}.old-{n}")).exists())
            path.replace(aside)
            say(f"{path} is not a table with the columns that belong there; it is kept as {aside}.")
        kept = [row for row in old or () if tuple(row[name] for name in key) not in new]
        return csv_text([*kept, *rows], columns=columns)

    rewrite(path, text)
    return path


def _rows_of(path: Path, columns: Sequence[str]) -> list[dict[str, str]] | None:
    """The rows of a CSV table, as spreadsheets save it, too; None if its columns are others or its rows incomplete."""
    with suppress(UserError, csv.Error):
        content = path.read_bytes() if path.exists() else b""
        lines = list(csv.reader(io.StringIO(decoded(content, name=str(path)), newline="")))
        if not lines or (lines[0] == list(columns) and all(len(line) in (0, len(columns)) for line in lines)):
            return [dict(zip(columns, line, strict=True)) for line in lines[1:] if line]
    return None


def is_locked(file: Path) -> bool:
    """Whether a process holds the lock on a file, as far as can be told: one that was killed does not."""
    if not file.exists():
        return False
    lock = FileLock(file, fallback_to_soft=False)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return True
    lock.release()
    return False


def waiting_for(work: str) -> Callable[[str], None]:
    """A function for `busy` that waits a moment and reports now and then for which process, and how long."""
    started = due = time.monotonic()

    def wait(holder: str) -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due:
            due = now + SAY_EVERY_SECONDS
            who = f"another process ({holder})" if holder else "another process"
            say(f"{work}: waiting for {who} that does the same ({now - started:,.0f} s so far). Ctrl-C stops waiting.")
        time.sleep(LOOK_EVERY_SECONDS)

    return wait


def _is_taken(lock: FileLock, folder: Path) -> bool:
    """Whether this process holds the lock, or no process can; False while another holds it."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    except OSError as error:
        if error.errno != errno.EROFS:  # where nothing can be written, nobody is in the way
            if error.filename:  # the file cannot be opened
                raise
            _say_unlocked(folder, error.strerror or type(error).__name__)
    return True


@cache
def _say_unlocked(folder: Path, why: str) -> None:
    say(f"{folder} is on a disk without file locks ({why}): make sure that no other process does the same work there.")


def _holder(file: Path) -> str:
    """The process that holds the lock; empty before it has written its name."""
    with suppress(OSError):
        return file.read_text(encoding="utf-8", errors="replace").strip()
    return ""
