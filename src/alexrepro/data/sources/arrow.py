"""Arrow files of Hugging Face's `datasets`: those of its cache, and what save_to_disk writes.

They have the columns of its Parquet, are named or lie in folders by split, and are mapped into memory, not read whole.
"""

import json
import re
from collections.abc import Callable
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pyarrow as pa

from alexrepro.data.sources.folders import SPLITS
from alexrepro.data.sources.image_tables import (
    DAMAGE,
    HARMLESS_BYTES,
    LABEL,
    MOST_TIMES_UNPACKED,
    Table,
    image_column,
    label_names,
    photos_of,
    picture,
    source_of,
    split_of,
    table_files,
)
from alexrepro.data.sources.source import Row, Source
from alexrepro.errors import Exit, UserError
from alexrepro.progress import counting

STATE = "state.json"  # of save_to_disk: the split, and a selection of rows if there is one
STORE = "manifest.json"  # of our own stores, whose shards are Arrow files, too
MADE_BY_MAP = re.compile(r"(cache|tmp).*")  # results of functions over a data set, which its cache also holds


def fits(path: Path) -> bool:
    """Whether Arrow files lie where they are looked for."""
    return bool(_files(path))


def read(path: Path) -> Source:
    """The splits and rows of the files; the same contradictions are refused as in Parquet."""
    with counting(f"reading {path}") as count:
        return source_of(path, [_table(file, count) for file in _files(path)])


def read_row(file: Path, _: int, row: int) -> bytes:
    """The bytes of one picture."""
    return picture("Arrow file", lambda: _pictures(file), row)


def _files(path: Path) -> list[Path]:
    files = [] if (path / STORE).exists() else table_files(path, ".arrow")
    return [file for file in files if not MADE_BY_MAP.match(file.name)]


def _table(file: Path, count: Callable[[], None]) -> Table:
    """The rows of a file, counted as they are read."""
    state = _state(file.with_name(STATE))
    if any(state.get(key) for key in ("_indices_data_files", "_indices_files")):
        raise UserError(
            f"{file} was saved with a selection of its rows.",
            fix="Save it again: datasets.load_from_disk(FOLDER).flatten_indices().save_to_disk(OTHER_FOLDER)",
            exit_code=Exit.BAD_DATA,
        )
    named = SPLITS.get(str(state.get("_split")).lower())
    try:
        table = _mapped(file)
        column = image_column(table.schema, file)
        table.select([column, LABEL]).validate(full=True)
        paths = [path for chunk in table[column].chunks for path in chunk.field("path").to_pylist()]
        photos = photos_of(0, paths, table[LABEL].to_pylist(), Row(file, 0, 0, read_row))
    except DAMAGE as error:
        if isinstance(error, PermissionError):
            raise
        said = (str(error) or "damaged").splitlines()[0]
        raise UserError(f"{file} cannot be read as Arrow: {said}.", fix="Save or download it again.",
                      exit_code=Exit.BAD_DATA) from None  # fmt: skip
    for _ in photos:
        count()
    return Table(file, named or split_of(file), label_names(table.schema, file), photos)


def _pictures(file: Path) -> pa.ChunkedArray:
    table = _mapped(file)
    return table[image_column(table.schema, file)]


@lru_cache(maxsize=2)
def _mapped(file: Path) -> pa.Table:
    """The rows of a file, which stay on the disk until they are used unless they are compressed."""
    with file.open("rb") as stream:
        if file.stat().st_size == 0:
            raise pa.ArrowInvalid("it is empty")
        source = pa.BufferReader(pa.py_buffer(mmap(stream.fileno(), 0, access=ACCESS_READ)))
    try:
        batches = pa.ipc.open_stream(source)
    except pa.ArrowInvalid:
        opened = pa.ipc.open_file(source)
        batches = (opened.get_batch(number) for number in range(opened.num_record_batches))
    found, total, most = [], 0, max(MOST_TIMES_UNPACKED * source.size(), HARMLESS_BYTES)
    for batch in batches:
        total += batch.nbytes
        if total > most:
            raise pa.ArrowInvalid(f"{source.size():,} bytes unpack to more than {most:,}")
        found.append(batch)
    if not found:
        raise pa.ArrowInvalid("it holds no rows")
    return pa.Table.from_batches(found)


def _state(file: Path) -> dict[str, object]:
    try:
        found = json.loads(file.read_bytes()) if file.is_file() else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
