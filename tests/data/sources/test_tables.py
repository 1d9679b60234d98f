"""Labels and types of Parquet and Arrow files: what is missing or odd is refused by file and row, or read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alexrepro.data.sources import recognize
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.errors import Unreached, UserError

from ..hostile import picture

BYTES = {
    "binary": pa.binary(), "large_binary": pa.large_binary(), "binary_view": pa.binary_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.binary()),
}  # fmt: skip
PATHS = {"string": pa.string(), "large_string": pa.large_string(), "string_view": pa.string_view(), "null": pa.null()}
TYPES = [(kind, PATHS["string"]) for kind in BYTES.values()] + [(BYTES["binary"], kind) for kind in PATHS.values()]


def images(count: int, of_bytes: pa.DataType = BYTES["binary"], of_paths: pa.DataType = PATHS["string"]) -> pa.Array:
    data = pa.array([picture(number) for number in range(count)], pa.binary())
    names = pa.array([f"{number}.jpg" for number in range(count)])
    return pa.StructArray.from_arrays(
        [
            data.dictionary_encode() if pa.types.is_dictionary(of_bytes) else data.cast(of_bytes),
            pa.nulls(count) if pa.types.is_null(of_paths) else names.cast(of_paths),
        ],
        names=["bytes", "path"],
    )


def write(file: Path, labels: Sequence[Any], *, names: Sequence[str] = ()) -> None:
    """A table of images, in groups of three rows; an Arrow stream or Parquet."""
    table = pa.table({"image": images(len(labels)), "label": pa.array(labels)})
    if names:
        features = {"label": {"names": list(names), "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".arrow":
        with pa.OSFile(str(file), "wb") as stream, pa.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table)
    else:
        pq.write_table(table, file, row_group_size=3)


@pytest.mark.parametrize(("of_bytes", "of_paths"), TYPES)
def test_every_type_of_bytes_and_paths_is_read(of_bytes: pa.DataType, of_paths: pa.DataType, tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": images(3, of_bytes, of_paths), "label": [0, 1, 2]}), tmp_path / "train-0.parquet")

    found = recognize(tmp_path).splits[0].images

    assert [image.read() for image in found] == [picture(number) for number in range(3)]


def test_rows_are_read_by_split_in_their_order(tmp_path: Path) -> None:
    write(tmp_path / "train-00000-of-00002.parquet", [0, 3, 1, 1])
    write(tmp_path / "train-00001-of-00002.parquet", [2])
    write(tmp_path / "validation-00000-of-00001.parquet", [1])

    found = recognize(tmp_path)

    assert [(split.name, [image.label for image in split.images]) for split in found.splits] == [
        ("train", [0, 3, 1, 1, 2]), ("val", [1]),
    ]  # fmt: skip
    assert found.classes == ("class-0000", "class-0001", "class-0002", "class-0003")
    assert [image.read() for image in found.splits[0].images[:4]] == [picture(number) for number in range(4)]


REFUSED: dict[str, tuple[dict[str, Sequence[Any]], str]] = {
    **{
        f"a training label of {bad}": (
            {"train-00000-of-00002.parquet": [0, 1], "train-00001-of-00002.parquet": [0, 1, 0, 1, bad, 1]},
            r"1 of 8 images of train have no label: row 4 of train-00001-of-00002\.parquet",
        )
        for bad in (None, -1, -7)
    },
    "validation labeled in part": (
        {"train-0.parquet": [0, 1], "validation-0.parquet": [-1, 1]},
        "1 of 2 images of val have no label: row 0 of validation-0",
    ),
    "an Arrow label that is null": ({"set-train.arrow": [0, None]}, r"row 1 of set-train\.arrow"),
    "words for labels": ({"train-0.parquet": ["a"]}, "has the columns image: struct<.*>, label: string"),
    "no split": ({"part-0.parquet": [0, 1]}, "does not say which split it is"),
    "a split in two folders": (
        {"data/train-0.parquet": [0, 1], "default/train/0.parquet": [0, 1], "data/test-0.parquet": [0, 1]},
        "one split lie in several folders",
    ),
    "two numberings": (
        {"train-00000-of-00001.parquet": [0, 1], "train-00000-of-00002.parquet": [0, 1]}, "one set of files twice"
    ),
    "a huge label": ({"train-0.parquet": [0, 10**12]}, "A label is 1,000,000,000,000; labels from 0 to 99,999 are"),
    "no rows": ({"train-0.parquet": pa.array([], pa.int64())}, "No row of the files has a label"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "what"), REFUSED.values(), ids=REFUSED)
def test_what_contradicts_itself_is_refused_by_file_and_row(
    files: dict[str, Sequence[Any]], what: str, tmp_path: Path
) -> None:
    for name, labels in files.items():
        write(tmp_path / name, labels)

    with pytest.raises(UserError, match=what):
        recognize(tmp_path)


def test_files_that_name_a_label_differently_are_refused(tmp_path: Path) -> None:
    for split, name in (("train", "dog"), ("validation", "fox")):
        write(tmp_path / f"{split}-0.parquet", [0, 1], names=["cat", name])

    with pytest.raises(UserError, match="do not number the classes alike"):
        recognize(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [*(("set-train.arrow", content) for content in (b"", b"no Arrow file", b"ARROW1\0\0")),
     ("train-0.parquet", b"version https://git-lfs.github.com/spec/v1\n")],
)  # fmt: skip
def test_another_content_is_named(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(UserError, match=rf"{name} cannot be read as a table .* content: (empty|unknown|Git LFS)"):
        recognize(tmp_path)


@pytest.mark.parametrize("bad", [None, -1])
def test_a_validation_split_may_have_no_labels(bad: int | None, tmp_path: Path) -> None:
    write(tmp_path / "train-0.parquet", [0, 1])
    write(tmp_path / "validation-0.parquet", pa.array([bad, bad], pa.int64()))

    assert not recognize(tmp_path).splits[1].labeled


@pytest.mark.parametrize(
    ("name", "labels", "gap"),
    [
        ("train-0.parquet", [1, 2, 3, 4], "class-0000 of 5 classes has no training image"),
        ("train-0.parquet", [0, 10, 20], "class-0001 (and 17 more) of 21 classes has no training image"),
        ("train-00001-of-00003-0123456789abcdef.parquet", [0, 1], "train-*.parquet lacks 2 of 3 files: 0, 2"),
    ],
)
def test_missing_files_and_classes_without_a_training_image_are_gaps(
    name: str, labels: list[int], gap: str, tmp_path: Path
) -> None:
    write(tmp_path / name, labels)

    assert recognize(tmp_path).gaps == (gap,)


@pytest.mark.parametrize(
    "name", ["imagenet-1k-train-00000-of-00001.parquet", "TRAIN.PARQUET", "default/train/0.parquet"]
)
def test_the_split_of_a_file_is_in_its_name_or_its_folder(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, [0, 1])

    assert [split.name for split in recognize(tmp_path).splits] == ["train"]


def test_rows_without_bytes_and_empty_groups_are_no_obstacle(tmp_path: Path) -> None:
    rows = [{"bytes": picture(), "path": "a.jpg"}, {"bytes": None, "path": "b.jpg"}, None]
    (tmp_path / "source").mkdir()
    table = pa.table({"image": rows, "label": [0, 0, 0]})
    with pq.ParquetWriter(tmp_path / "source/train-0.parquet", table.schema) as writer:
        for part in (table.slice(0, 0), table, table.slice(0, 0)):
            writer.write_table(part)

    store = prepare(tmp_path / "source", out=tmp_path / "stores", workers=1, options=Options(max_bad=2))["train"]

    assert [defect["reason"] for defect in store.manifest.defects] == ["no bytes in its row"] * 2


def data_set(labels: Sequence[int]) -> datasets.Dataset:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    rows = [{"path": f"{number}.jpg", "bytes": picture(number)} for number in range(len(labels))]
    return datasets.Dataset.from_dict({"image": rows, "label": list(labels)}, features=features)


def test_what_save_to_disk_writes_is_read_as_its_parquet_is(tmp_path: Path) -> None:
    both = datasets.DatasetDict({"train": data_set([0, 1, 1]), "validation": data_set([1, 0])})
    both.save_to_disk(tmp_path / "arrow/set")
    for name, part in both.items():
        part.to_parquet(tmp_path / f"parquet/set/{name}-0.parquet")

    arrow, parquet = recognize(tmp_path / "arrow/set"), recognize(tmp_path / "parquet/set")

    assert (arrow.dataset, arrow.classes) == (parquet.dataset, parquet.classes) == ("set", ("cat", "dog"))
    for of_arrow, of_parquet in zip(arrow.splits, parquet.splits, strict=True):
        assert [(image.label, image.read()) for image in of_arrow.images] == [
            (image.label, image.read()) for image in of_parquet.images
        ]


def test_the_cache_is_read_without_the_results_of_map(tmp_path: Path) -> None:
    write(tmp_path / "imagenet-1k-train-00000-of-00001.arrow", [0, 1])
    write(tmp_path / "cache-0123456789abcdef.arrow", [0, 1])

    assert [(split.name, len(split.images)) for split in recognize(tmp_path).splits] == [("train", 2)]


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_file_that_is_gone_is_no_damage_of_its_rows(suffix: str, tmp_path: Path) -> None:
    files = [tmp_path / f"set-train-{number:05d}-of-00003.{suffix}" for number in range(3)]
    for file in files:  # three, because two may still be open
        write(file, [0, 1])
    image = recognize(tmp_path).splits[0].images[0]
    files[0].unlink()

    with pytest.raises(Unreached, match="cannot be read: No such file"):
        image.read()
