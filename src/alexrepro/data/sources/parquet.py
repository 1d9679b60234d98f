"""Image Parquet as Hugging Face writes it: `image` or `img` with bytes and path, and `label`; splits by file name.

The bytes are read as they are, one row group at a time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

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
from alexrepro.data.sources.packed import content
from alexrepro.data.sources.source import Photo, Row, Source
from alexrepro.errors import Exit, UserError
from alexrepro.progress import counting

BYTES_OF_A_ROW = 64
LONGEST_PATH_BYTES = 4_000


def fits(path: Path) -> bool:
    """Whether Parquet files lie where they are looked for."""
    return bool(table_files(path, ".parquet"))


def read(path: Path) -> Source:
    """The splits and rows of the files.

    Raises UserError if a file has no image column or names no known split, or where labels, class names and file names
    contradict each other.
    """
    with counting(f"reading {path}") as count:
        return source_of(path, [_table(file, count) for file in table_files(path, ".parquet")])


def read_row(file: Path, group: int, row: int) -> bytes:
    """The bytes of one picture."""
    return picture("Parquet", lambda: _images(file, group), row)


@contextmanager
def _opened(file: Path) -> Iterator[tuple[pq.ParquetFile, str]]:
    """The file, opened once, and its image column.

    Values that rows share are kept once: a page of one value and a million rows fills no memory.
    """
    with file.open("rb") as stream:
        column = image_column(pq.read_schema(stream), file)
        yield pq.ParquetFile(stream, read_dictionary=[f"{column}.bytes", f"{column}.path"]), column


def _table(file: Path, count: Callable[[], None]) -> Table:
    """The rows of a file, counted as they are read."""
    split = split_of(file)
    try:
        with _opened(file) as (parquet, column):
            _refuse_a_bomb(file, parquet.metadata)
            photos = list(_photos(file, parquet, column, count))
            return Table(file, split, label_names(parquet.schema_arrow, file), photos)
    except DAMAGE as error:
        if isinstance(error, PermissionError):
            raise
        raise _broken(file, error) from None


def _photos(file: Path, parquet: pq.ParquetFile, column: str, count: Callable[[], None]) -> Iterator[Photo]:
    """One photo for each row; of the pictures only the paths are read."""
    first = 0
    for group in range(parquet.num_row_groups):
        table = parquet.read_row_group(group, columns=[f"{column}.path", LABEL])
        paths = table[column].combine_chunks().field("path")
        distinct = paths.dictionary if pa.types.is_dictionary(paths.type) else paths
        if (
            not pa.types.is_null(distinct.type)
            and (pc.max(pc.binary_length(distinct)).as_py() or 0) > LONGEST_PATH_BYTES
        ):
            raise _broken(file, f"a path is longer than {LONGEST_PATH_BYTES:,} bytes")
        for photo in photos_of(first, paths.to_pylist(), table[LABEL].to_pylist(), Row(file, group, 0, read_row)):
            yield photo
            count()
        first += len(paths)


def _refuse_a_bomb(file: Path, metadata: pq.FileMetaData) -> None:
    """Photos can hardly be compressed, so rows that unpack to far more than the file holds are none."""
    packed = max(file.stat().st_size, 1)
    unpacked = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    if max(unpacked, BYTES_OF_A_ROW * metadata.num_rows) > max(MOST_TIMES_UNPACKED * packed, HARMLESS_BYTES):
        raise _broken(file, f"{packed:,} bytes unpack to {unpacked:,} in {metadata.num_rows:,} rows")


def _broken(file: Path, why: object) -> UserError:
    if content(file) == "Git LFS pointer":
        return UserError(f"{file} is a pointer to a file that Git LFS has not fetched.",
                       fix=f"Fetch it: git -C {file.parent} lfs pull", exit_code=Exit.MISSING_INPUT)  # fmt: skip
    said = (str(why) or "damaged").splitlines()[0]
    return UserError(f"{file} cannot be read as Parquet of images: {said}.",
                   fix="Download it again.", exit_code=Exit.BAD_DATA)  # fmt: skip


@lru_cache(maxsize=2)
def _images(file: Path, group: int) -> Any:
    """The pictures of one row group; a process reads photos in order, so two groups are enough."""
    with _opened(file) as (parquet, column):
        return parquet.read_row_group(group, columns=[column])[column]
