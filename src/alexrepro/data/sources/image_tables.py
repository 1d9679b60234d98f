"""What Parquet and Arrow files of images have in common: their splits, their columns, and the classes of their labels.

Files lie in the folder or in `data`, `default` or `plain_text`, or below them in folders named after splits. If the
classes are WNIDs, labels are brought into their sorted order.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa

from alexrepro.data.sources.checks import (
    dataset_of,
    is_wnids,
    missing_files,
    refuse_missing_labels,
    without_training,
    words_of,
)
from alexrepro.data.sources.source import MOST_CLASSES, UNLABELED, ImageFile, Source, Split, bad_data
from alexrepro.data.sources.walk import SPLITS, escaped, names_in, unread, wnid_in
from alexrepro.errors import UserError
from alexrepro.progress import say

COLUMNS, LABEL = ("image", "img"), "label"
FOLDERS = ("", "data", "default", "plain_text")
BINARY = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)


@dataclass(frozen=True)
class Table:
    """A file with its split, the names that it gives the labels, and its images, one for each row."""

    file: Path
    split: str
    names: tuple[str, ...]
    images: list[ImageFile]


def table_files(path: Path, suffix: str) -> list[Path]:
    """The files of a suffix where tables are looked for; says which folders of such files are left out."""
    tops = [path / name for name in FOLDERS if (path / name).is_dir()]
    inner = [folder / name for folder in tops for name in names_in(folder) if name not in FOLDERS]
    below = {folder: _with_suffix(folder, suffix) for folder in inner if folder.is_dir()}
    of_splits = [file for folder, files in below.items() if folder.name.lower() in SPLITS for file in files]
    found = [file for folder in tops for file in _with_suffix(folder, suffix)] + of_splits
    for folder, files in below.items():
        if found and files and folder.name.lower() not in SPLITS:
            say(f"{folder} and its {len(files):,} {suffix} files are left out; its name is not that of a split.")
    return found


def split_of(file: Path) -> str:
    """The split that a file, or else its folder, is named after. Raises UserError if none, or if they differ."""
    words = re.split(r"[-_.]", file.stem.lower())
    in_name = words[:1] if words[0] in SPLITS else words
    found = sorted({SPLITS[word] for word in (*in_name, file.parent.name.lower()) if word in SPLITS})
    if len(found) != 1:
        what = f"names two splits, {' and '.join(found)}" if found else "does not say which split it is"
        fix = "Rename it so that it begins with train-, validation- or test-, or move it to a folder of that name."
        raise bad_data(f"{file} {what}.", fix)
    return found[0]


def image_column(schema: pa.Schema, file: Path) -> str:
    """The column of the images. Raises UserError, with columns and types, unless there are one and a label."""
    images = [name for name in COLUMNS if schema.names.count(name) == 1 and _is_image(schema.field(name).type)]
    has_label = schema.names.count(LABEL) == 1 and (
        pa.types.is_integer(schema.field(LABEL).type) or pa.types.is_null(schema.field(LABEL).type)
    )
    if len(images) == 1 and has_label:
        return images[0]
    columns = escaped(", ".join(f"{field.name}: {field.type}" for field in schema))
    raise bad_data(
        f"{file} has the columns {columns}.",
        "It needs `image` or `img`, one struct of bytes (binary) and path (string), and one integer `label`.",
    )


def label_names(schema: pa.Schema, file: Path) -> tuple[str, ...]:
    """The class names that Hugging Face's metadata give `label`; empty if there are none."""
    try:
        metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        names = metadata.get("info", {}).get("features", {}).get(LABEL, {}).get("names") or ()
        return tuple(f"{name}" for name in names)
    except (ValueError, AttributeError, TypeError) as error:
        raise _contradiction(f"The metadata of {file} cannot be understood ({type(error).__name__}).") from None


def source_of(path: Path, tables: Sequence[Table]) -> Source:
    """The source of some tables.

    Raises UserError if labels, class names and file names contradict each other, or if labels are missing.
    """
    found: dict[str, list[ImageFile]] = {}
    folders: dict[str, Path] = {}
    for table in tables:
        folder = folders.setdefault(table.split, table.file.parent)
        if folder != table.file.parent:
            raise _contradiction(f"The split {table.split} lies in {folder} and in {table.file.parent}.")
        found.setdefault(table.split, []).extend(table.images)
    for split, images in found.items():
        missing = [f"row {row} of {table.file.name}" for table in tables if table.split == split
                   for row, image in enumerate(table.images) if image.label == UNLABELED]  # fmt: skip
        refuse_missing_labels(split, missing, images=len(images))
    names = _common_names(tables)
    unsorted = _classes([image for images in found.values() for image in images], names)
    words = names if names and names != unsorted else None
    order = sorted(range(len(unsorted)), key=lambda label: unsorted[label] if is_wnids(unsorted) else "")
    new_label = {label: new for new, label in enumerate(order)} | {UNLABELED: UNLABELED}
    splits = tuple(
        Split(name, [replace(image, label=new_label[image.label]) for image in found[name]],
              labeled=all(image.label >= 0 for image in found[name]))
        for name in ("train", "val", "test") if name in found
    )  # fmt: skip
    classes = tuple(unsorted[label] for label in order)
    class_names = tuple(words[label] for label in order) if words else words_of(classes)
    files = [table.file for table in tables]
    gaps = (*missing_files(files), *without_training(classes, splits))
    return Source(dataset_of(path, classes, splits), classes, class_names, splits, gaps=gaps,
                  skipped=unread(path, set(files)))  # fmt: skip


def _is_image(kind: pa.DataType) -> bool:
    """Whether a column is of structs with the bytes and the path of an image, in any of Arrow's types for them."""
    if not pa.types.is_struct(kind):
        return False
    fields = (kind.field(at) for at in range(kind.num_fields))
    parts = {part.name: part.type.value_type if pa.types.is_dictionary(part.type) else part.type for part in fields}
    return {"bytes", "path"} <= parts.keys() and any(test(parts["bytes"]) for test in BINARY) and any(
        test(parts["path"]) for test in TEXT
    )  # fmt: skip


def _with_suffix(folder: Path, suffix: str) -> list[Path]:
    files = [folder / name for name in names_in(folder) if name.lower().endswith(suffix)]
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


def _classes(images: Sequence[ImageFile], names: tuple[str, ...] | None) -> tuple[str, ...]:
    """The class of each label: the WNID in its images' names, else its name in the metadata, else its number.

    Raises UserError if two labels have one WNID, one label has two, or a WNID is not that of the metadata.
    """
    labels = {image.label for image in images} - {UNLABELED}
    if not labels and not names:
        raise _contradiction("No row of the files has a label, and nothing names the classes.")
    largest = max(labels, default=0)
    if largest >= MOST_CLASSES:
        raise _contradiction(f"A label is {largest:,}; at most {MOST_CLASSES:,} are read.")
    numbers = tuple(f"class-{number:04d}" for number in range(len(names) if names else largest + 1))
    classes = names if names and len(set(names)) == len(names) else numbers
    if largest >= len(classes):
        raise _contradiction(f"The labels go up to {largest:,}, and {len(classes):,} classes are named, from 0 on.")
    pairs = {(image.label, wnid) for image in images if image.label >= 0 and (wnid := wnid_in(image.name))}
    wnid_of = dict(pairs)
    is_contradicted = is_wnids(classes) and any(classes[label] != wnid for label, wnid in pairs)
    if len(pairs) != len(wnid_of) or len(set(wnid_of.values())) != len(wnid_of) or is_contradicted:
        raise _contradiction("The labels do not agree with the WNIDs in the file names.")
    if wnid_of.keys() != labels:
        return classes
    return tuple(wnid_of.get(label, name) for label, name in enumerate(classes))


def _contradiction(what: str) -> UserError:
    return bad_data(what, "Check that the files belong together.")
