"""Image Parquet as Hugging Face writes it: `image` or `img` with bytes and path, and `label`; splits by file name.

Files lie in the folder or in `data`, `default` or `plain_text`, or below them in folders named after splits. The bytes
are read as they are, one row group at a time. Labels of WNIDs are brought into the order of the sorted WNIDs.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from alexrepro.data.sources.folders import ENDS_IN_WNID, SPLITS, dataset_of, is_wnids, sorted_names, spoken, words_of
from alexrepro.data.sources.source import MOST_CLASSES, UNLABELLED, Photo, Row, Source, Split
from alexrepro.errors import Exit, Refusal, Unreadable

COLUMNS = ("image", "img")
FOLDERS = ("", "data", "default", "plain_text")
MOST_TIMES_UNPACKED, HARMLESS_BYTES, BYTES_OF_A_ROW = 20, 128_000_000, 64
LONGEST_PATH_BYTES = 4_000
BEGINS_WITH_WNID = re.compile(r"(n\d{8})_.+")


def fits(path: Path) -> bool:
    """Whether Parquet files lie where they are looked for."""
    return bool(_files(path))


def read(path: Path) -> Source:
    """The splits and rows of the files.

    Raises Refusal if a file has no image column or names no known split, or where labels, class names and file names
    contradict each other.
    """
    files = _files(path)
    found: dict[str, list[Photo]] = {}
    for file in files:
        found.setdefault(_split_of(file), []).extend(_photos(file))
    names = _label_names(files)
    photos = [photo for split in found.values() for photo in split]
    classes = _classes(photos, names)
    words = names if names and names != classes else None
    order = list(range(len(classes)))
    if is_wnids(classes):
        order.sort(key=lambda label: classes[label])
    splits = tuple(_split(name, found[name], order) for name in ("train", "val", "test") if name in found)
    classes = tuple(classes[label] for label in order)
    class_names = tuple(words[label] for label in order) if words else words_of(classes)
    return Source(dataset_of(path, classes, splits), classes, class_names, splits)


def read_row(file: Path, group: int, row: int) -> bytes:
    """The bytes of one picture."""
    try:
        found: bytes | None = _images(file, group)[row]["bytes"].as_py()
    except (OSError, IndexError, pa.ArrowInvalid) as error:
        if getattr(error, "errno", None):  # the system's error, not one of the content
            raise
        raise Unreadable(f"damaged Parquet: {str(error).splitlines()[0]}") from None
    return found or b""


def _files(path: Path) -> list[Path]:
    tops = [path / name for name in FOLDERS if (path / name).is_dir()]
    below = [top / name for top in tops for name in sorted_names(top) if name.lower() in SPLITS]
    folders = [*tops, *(folder for folder in below if folder.is_dir())]
    files = [folder / name for folder in folders for name in sorted_names(folder) if name.endswith(".parquet")]
    return [file for file in files if file.is_file()]


def _split_of(file: Path) -> str:
    for word in (re.split(r"[-_.]", file.name.lower())[0], file.parent.name.lower()):
        if word in SPLITS:
            return SPLITS[word]
    raise Refusal(
        f"{file} does not say which split it is.",
        fix="Names begin with train-, validation- or test-, or the folder is named so.",
        exit_code=Exit.BAD_DATA,
    )


def _split(name: str, photos: list[Photo], order: Sequence[int]) -> Split:
    """A split whose labels are the places in the new order of the classes."""
    place = {label: new for new, label in enumerate(order)} | {UNLABELLED: UNLABELLED}
    if any(label != new for label, new in place.items()):
        photos = [replace(photo, label=place[photo.label]) for photo in photos]
    return Split(name, photos, labelled=all(photo.label >= 0 for photo in photos))


def _image_column(file: Path) -> str:
    schema = _schema(file)
    labels = [field for field in schema if field.name == "label" and pa.types.is_integer(field.type)]
    for name in COLUMNS:
        if labels and name in schema.names and _is_image(schema.field(name).type):
            return name
    raise Refusal(
        f"{file} has the columns {', '.join(schema.names)}.",
        fix="It needs `image` or `img` with bytes and path, and `label` with whole numbers.",
        exit_code=Exit.BAD_DATA,
    )


def _is_image(kind: pa.DataType) -> bool:
    """Whether a column is of structs with the bytes and the path of a picture."""
    if not pa.types.is_struct(kind):
        return False
    parts = {kind.field(place).name: kind.field(place).type for place in range(kind.num_fields)}
    is_bytes = "bytes" in parts and (pa.types.is_binary(parts["bytes"]) or pa.types.is_large_binary(parts["bytes"]))
    is_path = "path" in parts and (pa.types.is_string(parts["path"]) or pa.types.is_large_string(parts["path"]))
    return is_bytes and is_path


def _schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise _broken(file, error) from None


def _open(file: Path, column: str) -> pq.ParquetFile:
    """The file, with values that rows share kept once: a page of one value and a million rows fills no memory."""
    return pq.ParquetFile(file, read_dictionary=[f"{column}.bytes", f"{column}.path"])


def _photos(file: Path) -> Iterator[Photo]:
    """One photo for each row; of the pictures only the paths are read."""
    column = _image_column(file)
    try:
        with _open(file, column) as parquet:
            _refuse_a_bomb(file, parquet.metadata)
            for group in range(parquet.num_row_groups):
                table = parquet.read_row_group(group, columns=[f"{column}.path", "label"])
                paths = table[column].combine_chunks().field("path")
                if (pc.max(pc.binary_length(paths.dictionary)).as_py() or 0) > LONGEST_PATH_BYTES:
                    raise _broken(file, f"a path is longer than {LONGEST_PATH_BYTES:,} bytes")
                for row, (path, label) in enumerate(zip(paths.to_pylist(), table["label"].to_pylist(), strict=True)):
                    known = UNLABELLED if label is None else label
                    name = spoken(Path(f"{file.name}/{path or f'{group}-{row}'}"))
                    yield Photo(name, known, Row(file, group, row, read_row))
    except (OSError, pa.ArrowInvalid) as error:
        raise _broken(file, error) from None


def _refuse_a_bomb(file: Path, metadata: pq.FileMetaData) -> None:
    """Photos can hardly be compressed, so rows that unpack to far more than the file holds are none."""
    packed = max(file.stat().st_size, 1)
    unpacked = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    if max(unpacked, BYTES_OF_A_ROW * metadata.num_rows) > max(MOST_TIMES_UNPACKED * packed, HARMLESS_BYTES):
        raise _broken(file, f"{packed:,} bytes unpack to {unpacked:,} in {metadata.num_rows:,} rows")


def _label_names(files: list[Path]) -> tuple[str, ...] | None:
    """The names that `label` has in the Hugging Face metadata. Raises Refusal if two files number them differently."""
    found: set[tuple[str, ...]] = set()
    for file in files:
        metadata = (_schema(file).metadata or {}).get(b"huggingface", b"{}")
        try:
            names = json.loads(metadata).get("info", {}).get("features", {}).get("label", {}).get("names") or ()
        except (ValueError, AttributeError, RecursionError) as error:
            raise _broken(file, f"its metadata cannot be understood ({type(error).__name__})") from None
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise _broken(file, "its metadata do not name the classes")
        if names:
            found.add(tuple(names))
    if len(found) > 1:
        raise _contradiction("The Parquet files do not number the classes alike.")
    return next(iter(found), None)


def _classes(photos: list[Photo], names: tuple[str, ...] | None) -> tuple[str, ...]:
    """The class of each label: the WNID in its photos' names, else its name in the metadata, else its number.

    Raises Refusal if two labels have one WNID, one label has two, or a WNID is not that of the metadata.
    """
    labels = {photo.label for photo in photos}
    if not labels - {UNLABELLED} and not names:
        raise _contradiction("No row of the Parquet files has a label.")
    if max(labels) >= MOST_CLASSES:
        raise _contradiction(f"A label of the Parquet files is {max(labels):,}; at most {MOST_CLASSES:,} are read.")
    numbers = tuple(f"class-{number:04d}" for number in range(len(names) if names else max(labels) + 1))
    classes = names if names and len(set(names)) == len(names) else numbers
    if not labels <= {UNLABELLED, *range(len(classes))}:
        raise _contradiction(f"The labels are {min(labels)} to {max(labels)} for {len(classes):,} named classes.")
    pairs = {(photo.label, wnid) for photo in photos if photo.label >= 0 and (wnid := _wnid_in(photo.name))}
    wnid_of = dict(pairs)
    is_contradicted = is_wnids(classes) and any(classes[label] != wnid for label, wnid in pairs)
    if len(pairs) != len(wnid_of) or len(set(wnid_of.values())) != len(wnid_of) or is_contradicted:
        raise _contradiction("The labels do not agree with the WNIDs in the file names.")
    if set(wnid_of) != labels - {UNLABELLED}:
        return classes
    return tuple(wnid_of.get(label, name) for label, name in enumerate(classes))


def _wnid_in(name: str) -> str | None:
    """The WNID that a file name ends or begins with, if any."""
    found = ENDS_IN_WNID.fullmatch(name) or BEGINS_WITH_WNID.fullmatch(name)
    return found[1] if found else None


def _broken(file: Path, why: object) -> Refusal:
    said = (str(why) or "damaged").splitlines()[0]
    return Refusal(f"{file} is no Parquet file of images: {said}.", fix="Fetch it again.", exit_code=Exit.BAD_DATA)


def _contradiction(what: str) -> Refusal:
    return Refusal(what, fix="Check that the files belong together.", exit_code=Exit.BAD_DATA)


@lru_cache(maxsize=2)
def _images(file: Path, group: int) -> Any:
    """The pictures of one row group; a process reads photos in order, so two groups are enough."""
    column = _image_column(file)
    with _open(file, column) as parquet:
        return parquet.read_row_group(group, columns=[column])[column]
