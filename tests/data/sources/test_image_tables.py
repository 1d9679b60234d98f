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
from alexrepro.data.store.prepare import prepare
from alexrepro.errors import Unreached, UserError

from ..hostile import picture

BYTES = {
    "binary": pa.binary(), "large_binary": pa.large_binary(), "binary_view": pa.binary_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.binary()),
}  # fmt: skip
PATHS = {"string": pa.string(), "large_string": pa.large_string(), "string_view": pa.string_view(), "null": pa.null()}


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


def write(file: Path, labels: Sequence[Any], *, names: Sequence[str] = (), group: int = 3, **columns: pa.Array) -> None:
    table = pa.table({"image": images(len(labels)), "label": pa.array(labels), **columns})
    if names:
        features = {"label": {"names": list(names), "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file, row_group_size=group)


@pytest.mark.parametrize("bad", [None, -1, -7])
def test_a_training_row_without_a_label_is_refused_by_file_and_row(bad: int | None, tmp_path: Path) -> None:
    write(tmp_path / "train-00000-of-00002.parquet", [0, 1])
    write(tmp_path / "train-00001-of-00002.parquet", [0, 1, 0, 1, bad, 1])

    with pytest.raises(
        UserError, match=r"1 of 8 images of train have no label: row 4 of train-00001-of-00002\.parquet"
    ):
        recognize(tmp_path)


@pytest.mark.parametrize("bad", [None, -1])
def test_a_validation_split_is_labeled_whole_or_not_at_all(bad: int | None, tmp_path: Path) -> None:
    write(tmp_path / "train-0.parquet", [0, 1])
    write(tmp_path / "validation-0.parquet", [bad, bad])
    assert not recognize(tmp_path).splits[1].labeled

    write(tmp_path / "validation-0.parquet", [bad, 1])
    with pytest.raises(UserError, match="1 of 2 images of val have no label: row 0 of validation-0"):
        recognize(tmp_path)


@pytest.mark.parametrize(
    ("labels", "gap"),
    [
        ([1, 2, 3, 4], "class-0000 of 5 classes has no training image; the training labels are 4 numbers from 1 to 4"),
        ([0, 10, 20, 30], "class-0001 (and 26 more) of 31 classes has no training image; "
                          "the training labels are 4 numbers from 0 to 30"),
    ],
    ids=["from one", "with gaps"],
)  # fmt: skip
def test_classes_without_a_training_image_stop_the_preparation_unless_allowed(
    labels: list[int], gap: str, tmp_path: Path
) -> None:
    write(tmp_path / "source/train-0.parquet", labels)

    with pytest.raises(UserError) as refused:
        prepare(tmp_path / "source", out=tmp_path / "stores", workers=1)
    found = prepare(tmp_path / "source", out=tmp_path / "stores", workers=1, allow_partial=True)

    assert gap in refused.value.what
    assert len(found["train"].manifest.classes) == max(labels) + 1


@pytest.mark.parametrize("of_paths", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("of_bytes", BYTES.values(), ids=BYTES)
def test_every_type_of_bytes_and_paths_is_read(of_bytes: pa.DataType, of_paths: pa.DataType, tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": images(3, of_bytes, of_paths), "label": [0, 1, 2]}), tmp_path / "train-0.parquet")

    found = recognize(tmp_path).splits[0].images

    assert [image.read() for image in found] == [picture(number) for number in range(3)]


def test_columns_that_do_not_fit_are_named_with_their_types(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [b"x"], "label": ["cat"], "labels": [1]}), tmp_path / "train-0.parquet")

    with pytest.raises(UserError, match="has the columns image: binary, label: string, labels: int64"):
        recognize(tmp_path)


def test_pictures_in_two_columns_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "train-0.parquet", [0, 1], img=images(2))

    with pytest.raises(UserError, match=r"image: struct.*img: struct"):
        recognize(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("part-0.parquet", "does not say which split it is"),
        ("test/train-0.parquet", "names two splits, test and train"),
    ],
)
def test_a_file_of_no_split_or_of_two_is_refused(name: str, said: str, tmp_path: Path) -> None:
    write(tmp_path / name, [0, 1])

    with pytest.raises(UserError, match=said):
        recognize(tmp_path)


@pytest.mark.parametrize(
    "name", ["imagenet-1k-train-00000-of-00001.parquet", "TRAIN.PARQUET", "default/train/0.parquet"]
)
def test_the_split_of_a_file_is_in_its_name_or_its_folder(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, [0, 1])

    assert [split.name for split in recognize(tmp_path).splits] == ["train"]


def test_a_split_that_lies_in_two_folders_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "data/train-00000-of-00001.parquet", [0, 1])
    write(tmp_path / "default/train/0000.parquet", [0, 1])

    with pytest.raises(UserError, match=r"split train lies in .*data and in .*default/train"):
        recognize(tmp_path)


def test_missing_files_of_a_set_are_named(tmp_path: Path) -> None:
    write(tmp_path / "train-00001-of-00003-0123456789abcdef.parquet", [0, 1])

    assert recognize(tmp_path).gaps == ("train-00000-of-00003.parquet and 1 more files of 3 is missing",)


def test_a_set_in_two_numberings_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "train-00000-of-00001.parquet", [0, 1])
    write(tmp_path / "train-00000-of-00002.parquet", [0, 1])

    with pytest.raises(UserError, match="one set of files twice"):
        recognize(tmp_path)


def test_a_folder_of_another_name_is_said_to_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "train/0.parquet", [0, 1])
    write(tmp_path / "extra/0.parquet", [0, 1])

    recognize(tmp_path)

    assert f"{tmp_path / 'extra'} and its 1 .parquet files are left out" in capsys.readouterr().err


def test_files_that_name_a_label_differently_are_both_named(tmp_path: Path) -> None:
    write(tmp_path / "train-0.parquet", [0, 1], names=["cat", "dog"])
    write(tmp_path / "validation-0.parquet", [0, 1], names=["cat", "fox"])

    with pytest.raises(UserError, match=r"1 is dog in train-0\.parquet and fox in validation-0\.parquet"):
        recognize(tmp_path)


def test_empty_row_groups_are_no_matter_and_an_empty_file_is_refused(tmp_path: Path) -> None:
    table = pa.table({"image": images(2), "label": pa.array([0, 1])})
    with pq.ParquetWriter(tmp_path / "train-0.parquet", table.schema) as writer:
        for rows in (table.slice(0, 0), table, table.slice(0, 0)):
            writer.write_table(rows)
    assert [image.label for image in recognize(tmp_path).splits[0].images] == [0, 1]

    pq.write_table(table.slice(0, 0), tmp_path / "train-0.parquet")
    with pytest.raises(UserError, match="No row of the files has a label"):
        recognize(tmp_path)


def test_rows_without_bytes_are_listed_as_unreadable(tmp_path: Path) -> None:
    rows = [{"bytes": picture(), "path": "a.jpg"}, {"bytes": None, "path": "b.jpg"}, None]
    (tmp_path / "source").mkdir()
    pq.write_table(pa.table({"image": rows, "label": [0, 0, 0]}), tmp_path / "source/train-0.parquet")

    store = prepare(tmp_path / "source", out=tmp_path / "stores", workers=1, max_bad=2)["train"]

    assert [defect["reason"] for defect in store.manifest.defects] == ["no bytes in its row"] * 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS has not fetched"),
        (b"", "cannot be read as Parquet"),
        (b"PAR1" + bytes(100), "cannot be read as Parquet"),
    ],
)
def test_what_is_no_parquet_is_said(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "train-0.parquet").write_bytes(content)

    with pytest.raises(UserError, match=said):
        recognize(tmp_path)


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


def write_stream(file: Path, labels: Sequence[int | None]) -> None:
    table = pa.table({"image": images(len(labels)), "label": pa.array(labels, pa.int64())})
    file.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(file), "wb") as stream, pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)


def test_the_cache_is_read_without_the_results_of_map(tmp_path: Path) -> None:
    write_stream(tmp_path / "imagenet-1k-train-00000-of-00001.arrow", [0, 1])
    write_stream(tmp_path / "cache-0123456789abcdef.arrow", [0, 1])

    assert [(split.name, len(split.images)) for split in recognize(tmp_path).splits] == [("train", 2)]


def test_an_arrow_row_without_a_label_is_refused_by_file_and_row(tmp_path: Path) -> None:
    write_stream(tmp_path / "set-train.arrow", [0, None])

    with pytest.raises(UserError, match=r"row 1 of set-train\.arrow"):
        recognize(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no Arrow file", b"ARROW1\0\0"], ids=["empty", "text", "cut short"])
def test_what_is_no_arrow_file_is_said(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "set-train.arrow").write_bytes(content)

    with pytest.raises(UserError, match="cannot be read as Arrow"):
        recognize(tmp_path)


def test_an_arrow_file_with_false_offsets_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "set-train.arrow"
    write_stream(file, [0, 1])
    data = bytearray(file.read_bytes())
    place = data.index(b"\0\0\0\0" + len(picture(0)).to_bytes(4, "little")) + 4
    data[place : place + 4] = b"\xff\xff\xff\x7f"
    file.write_bytes(data)

    with pytest.raises(UserError, match="cannot be read as Arrow"):
        recognize(tmp_path)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_file_that_is_gone_is_no_damage_of_its_rows(suffix: str, tmp_path: Path) -> None:
    files = [tmp_path / f"set-train-{number:05d}-of-00003.{suffix}" for number in range(3)]
    for file in files:  # three, as two may still be open
        (write if suffix == "parquet" else write_stream)(file, [0, 1])
    image = recognize(tmp_path).splits[0].images[0]
    files[0].unlink()

    with pytest.raises(Unreached, match="cannot be read: No such file"):
        image.read()
