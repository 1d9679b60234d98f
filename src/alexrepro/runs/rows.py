"""The rows of metrics.csv and validation.csv: appended, read, and cut off where a run continues.

Ninety epochs of ILSVRC-2012 are 900,900 rows, so only a reader of all holds all. A last line without its end is being
written, or was cut off by a crash: it is not a row.
"""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from alexrepro.files import append, naming

METRICS = ("step", "epoch", "images", "loss", "learning_rate", "images_per_second", "top1_error")
VALIDATION = ("epoch", "split", "crops", "images", "top1_error", "top5_error", "loss")

BLOCK_BYTES = 1 << 20

Row = dict[str, str]


def add(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Append rows, below the names of the columns if the file is new."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if not path.exists() or path.stat().st_size == 0:
        writer.writeheader()
    writer.writerows(rows)
    append(path, text.getvalue())


def blocks(path: Path) -> Iterator[bytes]:
    """The file in parts of full lines, the names of the columns in the first part; nothing where there is no file."""
    if not path.exists():
        return
    with path.open("rb") as file:
        rest = b""
        while block := file.read(BLOCK_BYTES):
            full, end, rest = (rest + block).rpartition(b"\n")
            if end:
                yield full + end


def read(path: Path, *, most: int | None = None) -> list[Row]:
    """The last rows up to a number, for which only the end of the file is read, or all of them."""
    found = b"".join(blocks(path)) if most is None else _end(path, most)
    columns, *lines = found.decode(errors="replace").splitlines() or [""]
    return list(csv.DictReader([columns, *lines[-most:]] if most else [columns, *lines]))


def _end(path: Path, most: int) -> bytes:
    """The names of the columns, and at least so many of the last full lines, or all."""
    if not path.exists():
        return b""
    with path.open("rb") as file:
        columns, found = file.readline(), b""
        first, begin = file.tell(), file.seek(0, os.SEEK_END)
        while begin > first and found.count(b"\n") <= most:
            size = min(BLOCK_BYTES, begin - first)
            begin = file.seek(begin - size)
            found = file.read(size) + found
    rows = found if begin == first else found.partition(b"\n")[2]
    return columns + rows[: rows.rfind(b"\n") + 1]


def cut_after(path: Path, *, last: int) -> None:
    """Keep the names of the columns, and the rows up to the last whose first cell is at most this number."""
    if not path.exists():
        return
    end = position = 0
    with path.open("rb") as file:
        for line in file:
            number = line.partition(b",")[0]
            is_kept = position == 0 or (number.isdigit() and int(number) <= last)
            position += len(line)
            if is_kept and line.endswith(b"\n"):
                end = position
    if end < position:
        with naming(path):
            os.truncate(path, end)
