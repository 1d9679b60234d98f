"""The two CSV files of a run: rows are appended, read from the end or in parts, and cut off where a run continues.

Ninety epochs of ILSVRC-2012 are 900,900 rows, so nothing here but `read` holds all of them. A last line without its
end is being written, or was cut off by a crash: it is not a row.
"""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from alexrepro.files import append, naming, write_whole

BLOCK_BYTES = 1 << 20

Row = dict[str, str]


def add(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Append rows, below the names of the columns if the file is new."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not path.exists():
        writer.writerow(columns)
    writer.writerows(rows)
    append(path, text.getvalue())


def read(path: Path) -> list[Row]:
    """Every row, for files that are known to be short."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return list(csv.DictReader(_whole_lines(file)))


def from_end(path: Path) -> Iterator[Row]:
    """Every row, the last one first, in constant memory."""
    if not path.exists():
        return
    with path.open("rb") as file:
        header = file.readline()
        columns = _cells(header)
        for end, line in _lines_from_end(file):
            if end > len(header):
                yield dict(zip(columns, _cells(line), strict=False))


def blocks(path: Path) -> Iterator[bytes]:
    """The file in parts of whole lines, the names of the columns in the first one."""
    if not path.exists():
        return
    with path.open("rb") as file:
        rest = b""
        while block := file.read(BLOCK_BYTES):
            block = rest + block
            end = block.rfind(b"\n") + 1
            rest = block[end:]
            if end:
                yield block[:end]


def cut_after(path: Path, columns: Sequence[str], *, last: int) -> None:
    """Keep the rows that begin with a number up to the last, and nothing after them.

    Only the rows to be dropped are read. A file with other columns, or without their names, is written again.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        header = file.readline()
        if header != f"{','.join(columns)}\n".encode():
            _rewrite(path, columns, last=last)
            return
        kept = (end for end, line in _lines_from_end(file) if end <= len(header) or _is_kept(line, last))
        end = next(kept, len(header))
        is_longer = end < file.seek(0, os.SEEK_END)
    if is_longer:
        with naming(path):
            os.truncate(path, end)


def _rewrite(path: Path, columns: Sequence[str], *, last: int) -> None:
    def write(temporary: Path) -> None:
        with (
            path.open(encoding="utf-8", errors="replace", newline="") as before,
            temporary.open("w", encoding="utf-8", newline="") as after,
        ):
            writer = csv.DictWriter(after, columns, restval="", extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            rows = csv.DictReader(_whole_lines(before))
            writer.writerows(row for row in rows if _is_kept((row.get(columns[0]) or "").encode(), last))

    write_whole(path, write)


def _is_kept(line: bytes, last: int) -> bool:
    number = line.partition(b",")[0]
    return number.isdigit() and int(number) <= last


def _whole_lines(file: Iterable[str]) -> Iterator[str]:
    return (line for line in file if line.endswith("\n"))


def _lines_from_end(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Every whole line without its end, the last one first, each with the offset behind its end."""
    position, tail = file.seek(0, os.SEEK_END), b""
    while position > 0:
        size = min(BLOCK_BYTES, position)
        position -= size
        file.seek(position)
        tail = file.read(size) + tail
        first = tail.find(b"\n") + 1 if position else 0  # what stands before it may be the end of a longer line
        if b"\n" not in tail:
            continue
        end = position + tail.rfind(b"\n") + 1
        for line in reversed(tail[first:].split(b"\n")[:-1]):
            yield end, line
            end -= len(line) + 1
        tail = tail[:first]


def _cells(line: bytes) -> list[str]:
    text = line.decode(errors="replace").rstrip("\r\n")
    return next(csv.reader([text]), [])
