"""Tables of images: Parquet as Hugging Face writes it, and Arrow files of `datasets` (its cache, and save_to_disk).

Both have the columns `image` or `img`, with bytes and path, and `label`. Parquet is read one row group at a time, while
Arrow is mapped into memory.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from alexrepro.data.sources.archives import AGAIN, content
from alexrepro.data.sources.image_tables import (
    LABEL,
    Table,
    image_column,
    label_names,
    source_of,
    split_of,
    table_files,
)
from alexrepro.data.sources.source import UNLABELED, ImageFile, Source, bad_data
from alexrepro.data.sources.walk import SPLITS, escaped
from alexrepro.data.store.manifest import MANIFEST
from alexrepro.errors import Exit, Unreadable, UserError
from alexrepro.progress import progress

STATE = "state.json"  # of save_to_disk: the split, and a selection of rows if there is one
MADE_BY_MAP = re.compile(r"(cache|tmp).*")  # results of functions over a data set, which its cache also holds
DAMAGE = (OSError, pa.lib.ArrowException)


@dataclass(frozen=True)
class Row:
    """An image that is a row of a table; group: the row group, None in Arrow files."""

    file: Path
    column: str
    group: int | None
    row: int

    def read(self) -> bytes:
        """The bytes in the row. Raises Unreadable if file or row hold none, and OSError if the disk fails."""
        try:
            found: bytes | None = _images(self.file, self.column, self.group)[self.row]["bytes"].as_py()
        except DAMAGE as error:
            if getattr(error, "errno", None):  # the system's error, not one of the content
                raise
            raise Unreadable(f"damaged table: {str(error).splitlines()[0]}") from None
        if not found:
            raise Unreadable("no bytes in its row")
        return found

    def size(self) -> int:
        """Bytes of the whole table, which change when any row does."""
        return self.file.stat().st_size


def fits(path: Path, suffix: str) -> bool:
    """Whether files of a suffix, .parquet or .arrow, lie where they are looked for."""
    return bool(_files(path, suffix))


def read(path: Path, suffix: str) -> Source:
    """The splits and rows of the files. Raises UserError if they contradict each other."""
    with progress(f"reading {path}", total=None) as count:
        return source_of(path, [_table(file, count) for file in _files(path, suffix)])


def _files(path: Path, suffix: str) -> list[Path]:
    """The files of a suffix, without the shards of a store and the results of functions over a data set."""
    is_store = suffix == ".arrow" and (path / MANIFEST).exists()  # its shards are Arrow files, too
    files = [] if is_store else table_files(path, suffix)
    return [file for file in files if suffix != ".arrow" or not MADE_BY_MAP.match(file.name)]


def _table(file: Path, count: Callable[[], None]) -> Table:
    """The rows of a file, counted as they are read; of the images only the paths."""
    state = _state(file.with_name(STATE)) if file.suffix == ".arrow" else {}
    if any(state.get(key) for key in ("_indices_data_files", "_indices_files")):
        raise bad_data(
            f"{file} was saved with a selection of its rows.",
            "Save it again: datasets.load_from_disk(FOLDER).flatten_indices().save_to_disk(OTHER_FOLDER)",
        )
    try:
        if not file.stat().st_size:
            raise pa.ArrowInvalid("it is empty")
        schema, images = pa.schema([]), list[ImageFile]()
        for group, column, table in _arrow_rows(file) if file.suffix == ".arrow" else _parquet_rows(file):
            schema = table.schema
            paths = [path for chunk in table[column].chunks for path in chunk.field("path").to_pylist()]
            for row, (path, label) in enumerate(zip(paths, table[LABEL].to_pylist(), strict=True)):
                name = escaped(f"{file.name}/{path or len(images)}")
                known = UNLABELED if label is None else max(label, UNLABELED)
                images.append(ImageFile(name, known, Row(file, column, group, row)))
                count()
    except DAMAGE as error:
        if isinstance(error, PermissionError):
            raise
        raise _broken(file, error) from None
    split = SPLITS.get(str(state.get("_split")).lower()) or split_of(file)
    return Table(file, split, label_names(schema, file), images)


def _parquet_rows(file: Path) -> Iterator[tuple[int | None, str, pa.Table]]:
    """The paths and labels of each row group, with the name of the image column."""
    with pq.ParquetFile(file) as parquet:
        column = image_column(parquet.schema_arrow, file)
        for group in range(parquet.num_row_groups):
            yield group, column, parquet.read_row_group(group, columns=[f"{column}.path", LABEL])


def _arrow_rows(file: Path) -> Iterator[tuple[int | None, str, pa.Table]]:
    table = _mapped(file)
    column = image_column(table.schema, file)
    table.select([column, LABEL]).validate(full=True)
    yield None, column, table


def _mapped(file: Path) -> pa.Table:
    """The rows of an Arrow file, which stay on the disk until they are used unless they are compressed."""
    with file.open("rb") as stream:
        source = pa.BufferReader(pa.py_buffer(mmap(stream.fileno(), 0, access=ACCESS_READ)))
    try:
        return pa.ipc.open_stream(source).read_all()
    except pa.ArrowInvalid:
        return pa.ipc.open_file(source).read_all()


@lru_cache(maxsize=2)
def _images(file: Path, column: str, group: int | None) -> Any:
    """The images of one row group or Arrow file; a process reads images in order, so two are enough."""
    if group is None:
        return _mapped(file)[column]
    with pq.ParquetFile(file) as parquet:
        return parquet.read_row_group(group, columns=[column])[column]


def _broken(file: Path, why: Exception) -> UserError:
    if content(file) == "Git LFS pointer":
        return UserError(f"{file} is a pointer to a file that Git LFS has not fetched.",
                         fix=f"Fetch it: git -C {file.parent} lfs pull", exit_code=Exit.MISSING_INPUT)  # fmt: skip
    kind = "Arrow" if file.suffix == ".arrow" else "Parquet"
    return bad_data(f"{file} cannot be read as {kind} of images: {(str(why) or 'damaged').splitlines()[0]}.", AGAIN)


def _state(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes()) if file.is_file() else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
