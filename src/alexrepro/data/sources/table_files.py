"""Tables of images: Parquet as Hugging Face writes it, and Arrow files of `datasets` (its cache, and save_to_disk).

Files lie in the folder or in `data`, `default` or `plain_text`, or below them in folders named after splits. They have
the columns `image` or `img`, with bytes and path, and `label`. If the classes are WNIDs, labels follow their order.
"""

import json
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from alexrepro.data.sources.archives import AGAIN, content
from alexrepro.data.sources.images import Images, Packed, without_training
from alexrepro.data.sources.labels import dataset_of, is_wnids, words_of
from alexrepro.data.sources.source import (
    MOST_CLASSES,
    UNLABELED,
    Source,
    Split,
    bad_data,
    escaped,
    missing_files,
    refuse_missing_labels,
)
from alexrepro.data.sources.walk import SPLITS, listing, split_files, wnid_in
from alexrepro.data.store.manifest import MANIFEST
from alexrepro.errors import Unreadable, UserError
from alexrepro.files import writable

COLUMNS, LABEL = ("image", "img"), "label"
FOLDERS = ("", "data", "default", "plain_text")
STATE = "state.json"  # of save_to_disk, where a data set without splits has the name of its own
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
            found = _images(self.file, self.column, self.group)[self.row]["bytes"].as_py()
        except DAMAGE as error:
            if getattr(error, "errno", None):  # the system's error, not one of the content
                raise
            raise Unreadable(f"damaged table: {str(error).splitlines()[0]}") from None
        if not isinstance(found, bytes) or not found:
            raise Unreadable("no bytes in its row")
        return found

    def size(self) -> int:
        """Bytes of the whole table, which change when any row does."""
        return self.file.stat().st_size


class Table(NamedTuple):
    """A file with its split, the names that it gives the labels, and its images, one for each row."""

    file: Path
    split: str
    names: tuple[str, ...]
    images: Packed
    labels: Sequence[int]


def fits(path: Path, suffix: str) -> bool:
    """Whether files of a suffix, .parquet or .arrow, lie where they are looked for."""
    return bool(_files(path, suffix))


def read(path: Path, suffix: str) -> Source:
    """The splits and rows of the files.

    Raises UserError if labels, class names and file names contradict each other, or if labels are missing.
    """
    tables = []
    with listing(path) as skipping:
        for file in _files(path, suffix):
            tables.append(_table(file))
            skipping.read.add(file)
            skipping.count(len(tables[-1].images))
    found: dict[str, list[Table]] = {}
    for name in ("train", "val", "test"):
        of_split = [table for table in tables if table.split == name]
        if of_split:
            found[name] = of_split
        missing = [f"row {row} of {table.file.name}" for table in of_split
                   for row, label in enumerate(table.labels) if label == UNLABELED]  # fmt: skip
        refuse_missing_labels(name, missing, images=sum(len(table.images) for table in of_split))
    if len({(table.split, table.file.parent) for table in tables}) > len(found):
        raise _contradiction("Files of one split lie in several folders.")
    names = {table.names for table in tables if table.names}
    if len(names) > 1:
        raise _contradiction("The files do not number the classes alike.")
    words = next(iter(names), ())
    unsorted = _classes([table for of_split in found.values() for table in of_split], words)
    order = sorted(range(len(unsorted)), key=lambda label: unsorted[label] if is_wnids(unsorted) else "")
    new_label = {label: new for new, label in enumerate(order)} | {UNLABELED: UNLABELED}
    splits = tuple(
        Split(name, Images((f"{table.file.name}/", table.images, array("i", map(new_label.__getitem__, table.labels)))
                           for table in of_split), labeled=all(UNLABELED not in table.labels for table in of_split))
        for name, of_split in found.items()
    )  # fmt: skip
    classes = tuple(unsorted[label] for label in order)
    class_names = tuple(words[label] for label in order) if words and words != unsorted else words_of(classes)
    files = [table.file for table in tables]
    gaps = (*missing_files(files), *without_training(classes, splits))
    return Source(dataset_of(path, classes, splits), classes, class_names, splits, gaps=gaps,
                  skipped=skipping.all_skipped())  # fmt: skip


def _files(path: Path, suffix: str) -> list[Path]:
    """The files of a suffix where tables are looked for."""
    if suffix == ".arrow" and (path / MANIFEST).exists():  # a store, whose shards are Arrow files, too
        return []
    files = [file for file in split_files(path, FOLDERS) if file.name.lower().endswith(suffix) and file.is_file()]
    return [file for file in files if not (suffix == ".arrow" and MADE_BY_MAP.match(file.name))]


def _table(file: Path) -> Table:
    """The rows of a file; of the images only the paths."""
    try:
        if not file.stat().st_size:
            raise pa.ArrowInvalid("it is empty")
        schema, images, labels = pa.schema([]), Packed(), array("q")
        for group, column, table in _groups(file):
            schema, before = table.schema, len(images)
            paths = [path for chunk in table[column].chunks for path in chunk.field("path").to_pylist()]
            images.extend((path or str(before + row), Row(file, column, group, row)) for row, path in enumerate(paths))
            labels.extend(UNLABELED if label is None else max(label, UNLABELED) for label in table[LABEL].to_pylist())
    except PermissionError:
        raise
    except DAMAGE as error:
        why = f"{(str(error) or 'damaged').splitlines()[0]}; its content: {content(file)}"
        raise bad_data(f"{file} cannot be read as a table of images: {why}.", AGAIN) from None
    return Table(file, _split_of(file), _label_names(schema), images, labels)


def _groups(file: Path) -> Iterator[tuple[int | None, str, pa.Table]]:
    """Paths and labels of each row group, with its number and the name of the image column; Arrow files are of one."""
    if file.suffix == ".arrow":
        table = _mapped(file)
        column = _image_column(table.schema, file)
        table.select([column, LABEL]).validate(full=True)
        yield None, column, table
        return
    with pq.ParquetFile(file) as parquet:
        column = _image_column(parquet.schema_arrow, file)
        for group in range(parquet.num_row_groups):
            yield group, column, parquet.read_row_group(group, columns=[f"{column}.path", LABEL])


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


def _image_column(schema: pa.Schema, file: Path) -> str:
    """The column of the images. Raises UserError, with columns and types, unless there are one and a label."""
    kinds = {field.name: field.type for field in schema}
    images = [name for name in COLUMNS if name in kinds and pa.types.is_struct(kinds[name])
              and {"bytes", "path"} <= {part.name for part in kinds[name]}]  # fmt: skip
    label = kinds.get(LABEL, pa.string())
    if len(images) == 1 and (pa.types.is_integer(label) or pa.types.is_null(label)):
        return images[0]
    columns = escaped(", ".join(f"{name}: {kind}" for name, kind in kinds.items()))
    raise bad_data(f"{file} has the columns {columns}.",
                   "It needs `image` or `img`, one struct of bytes and path, and one integer `label`.")  # fmt: skip


def _split_of(file: Path) -> str:
    """The split that a file, its state, or else its folder is named after. Raises UserError if none is."""
    state = file.with_name(STATE)
    saved = re.findall(r'"_split": "(\w+)"', state.read_text(errors="replace")) if state.is_file() else []
    words = (*saved, *re.split(r"[-_.]", file.stem.lower()), file.parent.name.lower())
    split = next((SPLITS[word] for word in words if word in SPLITS), None)
    if split is None:
        raise bad_data(
            f"{file} does not say which split it is.",
            "Rename it so that it begins with train-, validation- or test-, or move it to a folder of that name.",
        )
    return split


def _label_names(schema: pa.Schema) -> tuple[str, ...]:
    """The class names that Hugging Face's metadata give `label`; empty if there are none."""
    try:
        metadata = json.loads((schema.metadata or {})[b"huggingface"])
        return tuple(writable(str(name)) for name in metadata["info"]["features"][LABEL]["names"])
    except (LookupError, TypeError, ValueError):
        return ()


def _classes(tables: Sequence[Table], names: tuple[str, ...]) -> tuple[str, ...]:
    """The class of each label: the WNID in its images' names, else its name in the metadata, else its number.

    Raises UserError if two labels have one WNID, one label has two, or a WNID is not that of the metadata.
    """
    labels = {label for table in tables for label in table.labels} - {UNLABELED}
    if not labels and not names:
        raise _contradiction("No row of the files has a label, and nothing names the classes.")
    largest = max(labels, default=0)
    count = len(names) or min(largest + 1, MOST_CLASSES)
    if largest >= count:
        raise _contradiction(f"A label is {largest:,}; labels from 0 to {count - 1:,} are expected.")
    classes = names if names and len(set(names)) == count else tuple(f"class-{n:04d}" for n in range(count))
    pairs = {(label, wnid) for table in tables for (name, _), label in zip(table.images, table.labels, strict=True)
             if label >= 0 and (wnid := wnid_in(name.rpartition("/")[2]))}  # fmt: skip
    wnid_of = dict(pairs)
    is_contradicted = is_wnids(classes) and any(classes[label] != wnid for label, wnid in pairs)
    if len(pairs) != len(wnid_of) or len(set(wnid_of.values())) != len(wnid_of) or is_contradicted:
        raise _contradiction("The labels do not agree with the WNIDs in the file names.")
    if wnid_of.keys() != labels:
        return classes
    return tuple(wnid_of.get(label, name) for label, name in enumerate(classes))


def _contradiction(what: str) -> UserError:
    return bad_data(what, "Check that the files belong together.")
