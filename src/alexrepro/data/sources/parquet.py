"""Image Parquet as Hugging Face writes it: `image` or `img` with bytes and path, and `label`; splits by file name.

The original bytes are read, never a decoded picture, and one row group at a time.
"""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from alexrepro.data.sources.folders import SPLITS, named_after, sorted_names
from alexrepro.data.sources.source import Photo, Row, Source, Split
from alexrepro.errors import Exit, Refusal

COLUMNS = ("image", "img")


def fits(path: Path) -> bool:
    """Whether Parquet files lie in the folder or in its folder `data`."""
    return bool(_files(path))


def read(path: Path) -> Source:
    """The splits and rows of the files. Raises Refusal if a file has no image column or names no known split."""
    by_split: dict[str, list[Path]] = {}
    for file in _files(path):
        by_split.setdefault(_split_of(file), []).append(file)
    labels = {name: [_labels(file) for file in files] for name, files in by_split.items()}
    names = _classes(next(iter(by_split.values()))[0], labels)
    splits = []
    for name in ("train", "val", "test"):
        if name in by_split:
            photos = [p for file, found in zip(by_split[name], labels[name], strict=True) for p in _photos(file, found)]
            splits.append(Split(name, photos, labelled=all(photo.label >= 0 for photo in photos)))
    classes = _wnids(splits, len(names)) or names
    return Source(named_after(path), classes, names, tuple(splits))


def read_row(file: Path, group: int, row: int) -> bytes:
    """The bytes of one picture."""
    found: bytes | None = _images(file, group)[row]["bytes"].as_py()
    return found or b""


def _files(path: Path) -> list[Path]:
    folders = [path, path / "data"]
    return [f / name for f in folders if f.is_dir() for name in sorted_names(f) if name.endswith(".parquet")]


def _split_of(file: Path) -> str:
    word = re.split(r"[-_.]", file.name.lower())[0]
    if word not in SPLITS:
        raise Refusal(
            f"{file} does not say which split it is.",
            fix="Names begin with train-, validation- or test-.",
            exit_code=Exit.BAD_DATA,
        )
    return SPLITS[word]


def _image_column(file: Path) -> str:
    schema = _schema(file)
    for name in COLUMNS:
        if name in schema.names and pa.types.is_struct(schema.field(name).type) and "label" in schema.names:
            return name
    raise Refusal(
        f"{file} has the columns {', '.join(schema.names)}.",
        fix="It needs `image` or `img` with bytes and path, and `label`.",
        exit_code=Exit.BAD_DATA,
    )


def _schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise Refusal(f"{file} is no Parquet file: {error}", fix="Fetch it again.", exit_code=Exit.BAD_DATA) from None


def _labels(file: Path) -> list[int]:
    _image_column(file)
    found: list[int] = pq.read_table(file, columns=["label"])["label"].to_pylist()
    return found


def _photos(file: Path, labels: list[int]) -> list[Photo]:
    """One photo for each row; their names are read with the table's paths only."""
    parquet, column = pq.ParquetFile(file), _image_column(file)
    photos: list[Photo] = []
    for group in range(parquet.num_row_groups):
        paths = parquet.read_row_group(group, columns=[f"{column}.path"])[column].combine_chunks().field("path")
        for row, path in enumerate(paths.to_pylist()):
            number = len(photos)
            name = f"{file.name}/{path or number}"
            photos.append(Photo(name, labels[number], Row(file, group, row, read_row)))
    return photos


def _classes(file: Path, labels: dict[str, list[list[int]]]) -> tuple[str, ...]:
    """Class names from the Hugging Face metadata if they tell all labels apart, else numbers."""
    largest = max(label for files in labels.values() for found in files for label in found)
    metadata = (_schema(file).metadata or {}).get(b"huggingface")
    if metadata:
        features: dict[str, Any] = json.loads(metadata).get("info", {}).get("features", {})
        names = features.get("label", {}).get("names")
        if names and len(set(names)) == len(names) > largest:
            return tuple(names)
    return tuple(f"class-{number:04d}" for number in range(largest + 1))


def _wnids(splits: list[Split], classes: int) -> tuple[str, ...] | None:
    """The WNID of each label, where every labelled file name ends in one as those of imagenet-1k do.

    Raises Refusal if two labels have one WNID or one label has two: then the labels are of another order or mixed up.
    """
    pairs = {(photo.label, _wnid(photo.name)) for split in splits for photo in split.photos if photo.label >= 0}
    if any(wnid is None for _, wnid in pairs):
        return None
    wnid_of = {label: str(wnid) for label, wnid in pairs}
    if len(pairs) != len(wnid_of) or len(set(wnid_of.values())) != len(wnid_of):
        raise Refusal(
            "The labels do not agree with the WNIDs in the file names.",
            fix="Check that the Parquet files belong together.",
            exit_code=Exit.BAD_DATA,
        )
    return tuple(wnid_of.get(label, f"class-{label:04d}") for label in range(classes))


def _wnid(name: str) -> str | None:
    found = re.fullmatch(r".+_(n\d{8})\.JPEG", name)
    return found[1] if found else None


@lru_cache(maxsize=2)
def _images(file: Path, group: int) -> Any:
    """The pictures of one row group; a process reads photos in order, so two groups are enough."""
    column = _image_column(file)
    return pq.ParquetFile(file).read_row_group(group, columns=[column])[column]
