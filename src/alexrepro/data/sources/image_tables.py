"""What tables of photos have in common: their files by split, their columns, and the classes of their labels.

Files lie in the folder or in `data`, `default` or `plain_text`, or below them in folders named after splits. Labels of
WNIDs are brought into the order of the sorted WNIDs.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa

from alexrepro.data.sources.beside import beside
from alexrepro.data.sources.folders import SPLITS, dataset_of, is_wnids, sorted_names, spoken, words_of
from alexrepro.data.sources.labels import refuse_missing, without_training, wnid_in
from alexrepro.data.sources.sequences import missing_files
from alexrepro.data.sources.source import MOST_CLASSES, UNLABELED, Photo, Row, Source, Split
from alexrepro.errors import Exit, Unreadable, UserError
from alexrepro.progress import say

COLUMNS, LABEL = ("image", "img"), "label"
MOST_TIMES_UNPACKED, HARMLESS_BYTES = 20, 128_000_000  # photos can hardly be compressed
DAMAGE = (OSError, pa.lib.ArrowException)
FOLDERS = ("", "data", "default", "plain_text")


@dataclass(frozen=True)
class Table:
    """A file with its split, the names that it gives the labels, and its photos, one for each row."""

    file: Path
    split: str
    names: tuple[str, ...]
    photos: list[Photo]


def table_files(path: Path, suffix: str) -> list[Path]:
    """The files of a suffix where tables are looked for; says which folders of such files are left out."""
    tops = [path / name for name in FOLDERS if (path / name).is_dir()]
    inner = [folder / name for folder in tops for name in sorted_names(folder) if name not in FOLDERS]
    below = {folder: _with_suffix(folder, suffix) for folder in inner if folder.is_dir()}
    found = [file for folder in tops for file in _with_suffix(folder, suffix)]
    if found or any(files for folder, files in below.items() if folder.name.lower() in SPLITS):
        for folder, files in below.items():
            if files and folder.name.lower() not in SPLITS:
                say(f"{folder} and its {len(files):,} {suffix} files are left out; its name is not that of a split.")
    return found + [file for folder, files in below.items() if folder.name.lower() in SPLITS for file in files]


def split_of(file: Path) -> str:
    """The split that a file, or else its folder, is named after. Raises UserError if none, or if they differ."""
    words = re.split(r"[-_.]", file.stem.lower())
    in_name = [SPLITS[word] for word in words if word in SPLITS]
    in_folder = SPLITS.get(file.parent.name.lower())
    named = in_name[:1] if words[0] in SPLITS else sorted(set(in_name))
    found = sorted({*named, *([in_folder] if in_folder else [])})
    if len(found) != 1:
        what = f"names two splits, {' and '.join(found)}" if found else "does not say which split it is"
        raise UserError(
            f"{file} {what}.",
            fix="Rename it so that it begins with train-, validation- or test-, or move it to a folder of that name.",
            exit_code=Exit.BAD_DATA,
        )
    return found[0]


def image_column(schema: pa.Schema, file: Path) -> str:
    """The column of the pictures. Raises UserError, with the columns and types, unless there is one and a label."""
    pictures = [name for name in COLUMNS if schema.names.count(name) == 1 and _is_image(schema.field(name).type)]
    has_label = schema.names.count(LABEL) == 1 and _is_label(schema.field(LABEL).type)
    if len(pictures) == 1 and has_label:
        return pictures[0]
    columns = spoken(Path(", ".join(f"{field.name}: {field.type}" for field in schema)))
    raise UserError(
        f"{file} has the columns {columns}.",
        fix="It needs `image` or `img`, one struct of bytes (binary) and path (string), and one integer `label`.",
        exit_code=Exit.BAD_DATA,
    )


def label_names(schema: pa.Schema, file: Path) -> tuple[str, ...]:
    """The class names that Hugging Face's metadata give `label`; empty if there are none."""
    try:
        metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        names = metadata.get("info", {}).get("features", {}).get(LABEL, {}).get("names") or ()
    except (ValueError, AttributeError, RecursionError) as error:
        raise _contradiction(f"The metadata of {file} cannot be understood ({type(error).__name__}).") from None
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise _contradiction(f"The metadata of {file} do not name the classes.")
    return tuple(names)


def photos_of(first: int, paths: Iterable[str | None], labels: Iterable[int | None], place: Row) -> list[Photo]:
    """The photos of the rows from `first` on; one without a path is named after its row, one without a label has -1.

    place: of the first of them.
    """
    found: list[Photo] = []
    for number, (path, label) in enumerate(zip(paths, labels, strict=True)):
        known = UNLABELED if label is None else max(label, UNLABELED)
        row = Row(place.file, place.group, place.row + number, place.reader)
        name = spoken(Path(f"{place.file.name}/{path or f'{first + number}'}"))
        found.append(Photo(name, known, row))
    return found


def picture(kind: str, column: Callable[[], Any], row: int) -> bytes:
    """The bytes of the picture in a row of a column, which is read here.

    Raises Unreadable if the file, of this kind, is damaged or the row is empty, and OSError where the disk fails.
    """
    try:
        found: bytes | None = column()[row]["bytes"].as_py()
    except DAMAGE as error:
        if getattr(error, "errno", None):  # the system's error, not one of the content
            raise
        raise Unreadable(f"damaged {kind}: {str(error).splitlines()[0]}") from None
    if not found:
        raise Unreadable("no bytes in its row")
    return found


def source_of(path: Path, tables: Sequence[Table]) -> Source:
    """The source of some tables.

    Raises UserError where labels, class names and file names contradict each other, and where labels are missing.
    """
    found: dict[str, list[Photo]] = {}
    folders: dict[str, Path] = {}
    for table in tables:
        folder = folders.setdefault(table.split, table.file.parent)
        if folder != table.file.parent:
            raise _contradiction(f"The split {table.split} lies in {folder} and in {table.file.parent}.")
        found.setdefault(table.split, []).extend(table.photos)
    for split, photos in found.items():
        missing = [
            f"row {row} of {table.file.name}"
            for table in tables if table.split == split
            for row, photo in enumerate(table.photos) if photo.label == UNLABELED
        ]  # fmt: skip
        refuse_missing(split, missing, photos=len(photos))
    names = _common_names(tables)
    classes = _classes([photo for photos in found.values() for photo in photos], names)
    words = names if names and names != classes else None
    order = list(range(len(classes)))
    if is_wnids(classes):
        order.sort(key=lambda label: classes[label])
    splits = tuple(_split(name, found[name], order) for name in ("train", "val", "test") if name in found)
    classes = tuple(classes[label] for label in order)
    class_names = tuple(words[label] for label in order) if words else words_of(classes)
    gaps = (*missing_files([table.file for table in tables]), *without_training(classes, splits))
    skipped = tuple(beside(path, {table.file for table in tables}))
    return Source(dataset_of(path, classes, splits), classes, class_names, splits, gaps=gaps, skipped=skipped)


def _split(name: str, photos: list[Photo], order: Sequence[int]) -> Split:
    """A split whose labels are the places in the new order of the classes."""
    place = {label: new for new, label in enumerate(order)} | {UNLABELED: UNLABELED}
    if any(label != new for label, new in place.items()):
        photos = [replace(photo, label=place[photo.label]) for photo in photos]
    return Split(name, photos, labeled=all(photo.label >= 0 for photo in photos))


def _is_image(kind: pa.DataType) -> bool:
    """Whether a column is of structs with the bytes and the path of a picture, in any of Arrow's types for them."""
    if not pa.types.is_struct(kind):
        return False
    parts = {kind.field(place).name: kind.field(place).type for place in range(kind.num_fields)}
    bytes_kind, path_kind = (_values(parts.get(name, pa.bool_())) for name in ("bytes", "path"))
    is_bytes = any(test(bytes_kind) for test in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view))
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    return is_bytes and any(test(path_kind) for test in texts)


def _is_label(kind: pa.DataType) -> bool:
    """Whether a column is of integers, or of nothing, as in a test split without labels."""
    return bool(pa.types.is_integer(kind) or pa.types.is_null(kind))


def _values(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _with_suffix(folder: Path, suffix: str) -> list[Path]:
    files = [folder / name for name in sorted_names(folder) if name.lower().endswith(suffix)]
    return [file for file in files if file.is_file()]


def _common_names(tables: Sequence[Table]) -> tuple[str, ...] | None:
    """The names of the labels. Raises UserError if two files number the classes differently."""
    named = [table for table in tables if table.names]
    for table in named[1:]:
        pairs = zip_longest(named[0].names, table.names, fillvalue="no class")
        for label, (here, there) in enumerate(pairs):
            if here != there:
                both = f"{label} is {here} in {named[0].file.name} and {there} in {table.file.name}"
                raise _contradiction(f"The files do not number the classes alike: {both}.")
    return named[0].names if named else None


def _classes(photos: list[Photo], names: tuple[str, ...] | None) -> tuple[str, ...]:
    """The class of each label: the WNID in its photos' names, else its name in the metadata, else its number.

    Raises UserError if two labels have one WNID, one label has two, or a WNID is not that of the metadata.
    """
    labels = {photo.label for photo in photos} - {UNLABELED}
    if not labels and not names:
        raise _contradiction("No row of the files has a label, and nothing names the classes.")
    largest = max(labels, default=0)
    if largest >= MOST_CLASSES:
        raise _contradiction(f"A label is {largest:,}; at most {MOST_CLASSES:,} are read.")
    numbers = tuple(f"class-{number:04d}" for number in range(len(names) if names else largest + 1))
    classes = names if names and len(set(names)) == len(names) else numbers
    if largest >= len(classes):
        raise _contradiction(f"The labels go up to {largest:,}, and {len(classes):,} classes are named, from 0 on.")
    pairs = {(photo.label, wnid) for photo in photos if photo.label >= 0 and (wnid := wnid_in(photo.name))}
    wnid_of = dict(pairs)
    is_contradicted = is_wnids(classes) and any(classes[label] != wnid for label, wnid in pairs)
    if len(pairs) != len(wnid_of) or len(set(wnid_of.values())) != len(wnid_of) or is_contradicted:
        raise _contradiction("The labels do not agree with the WNIDs in the file names.")
    if set(wnid_of) != labels:
        return classes
    return tuple(wnid_of.get(label, name) for label, name in enumerate(classes))


def _contradiction(what: str) -> UserError:
    return UserError(what, fix="Check that the files belong together.", exit_code=Exit.BAD_DATA)
