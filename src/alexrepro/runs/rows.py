"""The rows of metrics.csv and validation.csv: appended, read, and cut off where a run continues.

Ninety epochs of ILSVRC-2012 are 900,900 rows, so nothing here but `read` holds all of them. A last line without its
end is being written, or was cut off by a crash: it is not a row.
"""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

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


def read(path: Path) -> list[Row]:
    """Every row, as a dict: a gigabyte for the 900,900 steps of ninety epochs of ILSVRC-2012."""
    return list(csv.DictReader(b"".join(blocks(path)).decode(errors="replace").splitlines()))


def from_end(path: Path) -> Iterator[Row]:
    """Every row, the last one first, in constant memory."""
    if not path.exists():
        return
    with path.open("rb") as file:
        columns = _cells(file.readline())
        for _, line in _lines_from_end(file):
            yield dict(zip(columns, _cells(line), strict=False))


def cut_after(path: Path, *, last: int) -> None:
    """Keep the rows whose first cell is a number up to the last, and nothing after them; reads only what is dropped."""
    if not path.exists():
        return
    with path.open("rb") as file:
        header = file.readline()
        kept = (end for end, line in _lines_from_end(file) if _is_kept(line, last))
        end = next(kept, len(header) if header.endswith(b"\n") else 0)
        is_longer = end < file.seek(0, os.SEEK_END)
    if is_longer:
        with naming(path):
            os.truncate(path, end)


def _is_kept(line: bytes, last: int) -> bool:
    number = line.partition(b",")[0]
    return number.isdigit() and int(number) <= last


def _lines_from_end(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Every full line after the first, without its end, the last one first, each with the offset after its end.

    file: read to the end of its first line.
    """
    start, position, tail = file.tell(), file.seek(0, os.SEEK_END), b""
    while position > start:
        size = min(BLOCK_BYTES, position - start)
        position -= size
        file.seek(position)
        tail = file.read(size) + tail
        first = tail.find(b"\n") + 1 if position > start else 0  # what precedes it may be the end of a longer line
        if b"\n" not in tail:
            continue
        end = position + tail.rfind(b"\n") + 1
        for line in reversed(tail[first:].split(b"\n")[:-1]):
            yield end, line
            end -= len(line) + 1
        tail = tail[:first]


def _cells(line: bytes) -> list[str]:
    return next(csv.reader([line.decode(errors="replace").rstrip("\r\n")]), [])
