"""The rows of metrics.csv and validation.csv: appended, read, and cut off where a run continues.

A last line without its end is being written, or was cut off by a crash: it is not a row.
"""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from alexrepro.files import append, naming

METRICS = ("step", "epoch", "images", "loss", "learning_rate", "images_per_second", "top1_error")
VALIDATION = ("epoch", "split", "crops", "images", "top1_error", "top5_error", "loss")

Row = dict[str, str]


def add(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Append rows, below the names of the columns if the file is new."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if not path.exists() or path.stat().st_size == 0:
        writer.writeheader()
    writer.writerows(rows)
    append(path, text.getvalue())


def full_lines(path: Path) -> bytes:
    """A file up to the end of its last full line; nothing where there is no file."""
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def read(path: Path) -> list[Row]:
    """Every row, as a dict: a gigabyte for the 900,900 steps of ninety epochs of ILSVRC-2012."""
    return list(csv.DictReader(full_lines(path).decode(errors="replace").splitlines()))


def from_end(path: Path) -> Iterator[Row]:
    """Every row, the last one first, each made when it is asked for."""
    content = full_lines(path)
    columns = content.partition(b"\n")[0].decode(errors="replace").split(",")
    for line in _lines_from_end(content):
        yield dict(zip(columns, next(csv.reader([line.decode(errors="replace")])), strict=False))


def cut_after(path: Path, *, last: int) -> None:
    """Keep the rows whose first cell is a number up to the last, and nothing after them."""
    if not path.exists():
        return
    content = full_lines(path)
    end = len(content)
    for line in _lines_from_end(content):
        number = line.partition(b",")[0]
        if number.isdigit() and int(number) <= last:
            break
        end -= len(line) + 1
    if end < path.stat().st_size:
        with naming(path):
            os.truncate(path, end)


def _lines_from_end(content: bytes) -> Iterator[bytes]:
    """Every full line but the first, without its end, the last one first."""
    end = len(content) - 1
    while (start := content.rfind(b"\n", 0, max(end, 0))) >= 0:
        yield content[start + 1 : end]
        end = start
