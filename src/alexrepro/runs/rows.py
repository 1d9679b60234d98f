"""The rows of metrics.csv and validation.csv: appended, read, and cut off where a run continues.

Ninety epochs of ILSVRC-2012 are 900,900 rows, so only a reader of all holds all. A last line without its end is being
written, or was cut off by a crash: it is not a row.
"""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from alexrepro.errors import Exit, UserError, first_line
from alexrepro.files import append, naming

if TYPE_CHECKING:  # a training that reads no row loads no pandas
    from pandas import DataFrame

Columns = Mapping[str, str]  # with their pandas types
COUNT, NUMBER, TEXT = "int64", "float64", "string"
METRICS: Columns = {
    **dict.fromkeys(("step", "epoch", "images"), COUNT),
    **dict.fromkeys(("loss", "learning_rate", "images_per_second", "top1_error"), NUMBER),
}
VALIDATION: Columns = {
    "epoch": COUNT, "split": TEXT, "crops": TEXT, "images": COUNT,
    **dict.fromkeys(("top1_error", "top5_error", "loss"), NUMBER),
}  # fmt: skip

BLOCK_BYTES = 1 << 20


def add(path: Path, columns: Columns, rows: Iterable[Mapping[str, object]]) -> None:
    """Append rows, below the names of the columns if the file is new."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
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


def parts(path: Path, columns: Columns) -> "Iterator[DataFrame]":
    """The rows in parts that fit into memory however long the run is. Raises UserError if the file is damaged."""
    import pandas as pd

    names: list[str] | None = None
    for block in blocks(path):
        first = 0 if names is None else None
        names = names or block.partition(b"\n")[0].decode("utf-8-sig", errors="replace").rstrip("\r").split(",")
        try:
            if lacking := [name for name in columns if name not in names]:
                raise ValueError(f"it has no column {', '.join(lacking)}")
            part = pd.read_csv(io.BytesIO(block), names=names, header=first, usecols=list(columns), dtype=dict(columns))
        except ValueError as error:
            raise UserError(
                f"{path} is damaged: {first_line(error)}.",
                fix=f"Bring back a copy of it, or remove the lines that are not rows of {', '.join(columns)}.",
                exit_code=Exit.BAD_DATA,
            ) from None
        if len(part):
            yield part


def read(path: Path, columns: Columns, *, most: int | None = None) -> "DataFrame":
    """The last rows up to a number, or all: 50 MB for the 900,900 steps of ninety epochs of ILSVRC-2012."""
    import pandas as pd

    found = [pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})]
    for part in parts(path, columns):
        found.append(part)
        if most is not None:
            found = [pd.concat(found).tail(most)]
    return pd.concat(found, ignore_index=True)


def cut_after(path: Path, *, last: int) -> None:
    """Keep the names of the columns, and the rows up to the last whose first cell is at most this number."""
    end = position = 0
    for block in blocks(path):
        is_whole = _is_until(last, block[block.rfind(b"\n", 0, -1) + 1 :])
        for lines in [block] if is_whole else block.splitlines(keepends=True):
            is_kept = is_whole or position == 0 or _is_until(last, lines)
            position += len(lines)
            end = position if is_kept else end
    if path.exists() and end < path.stat().st_size:
        with naming(path):
            os.truncate(path, end)


def _is_until(last: int, line: bytes) -> bool:
    number = line.partition(b",")[0]
    return number.isdigit() and int(number) <= last
