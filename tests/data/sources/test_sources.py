"""Which layout a folder is read as, and what is common to all: names, labels, losses and the counts of the releases."""

import csv
import os
from pathlib import Path

import pytest

from alexrepro.data.sources import recognize
from alexrepro.data.sources.images import Images
from alexrepro.data.sources.labels import LONGEST_NAME, dataset_of
from alexrepro.data.sources.miniature import CLASSES, write_miniature
from alexrepro.data.sources.official_files import class_table, gaps_of_2012
from alexrepro.data.sources.source import File, Split
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.errors import Exit, UserError

from ..hostile import picture
from ..layouts import tar_of, write
from .test_tables import write as write_table


@pytest.fixture
def miniature(tmp_path: Path) -> Path:
    write_miniature(tmp_path, train_per_class=1, val_per_class=1, test_per_class=1)
    return tmp_path


def test_where_two_layouts_fit_an_option_chooses(tmp_path: Path) -> None:
    write(tmp_path / "a/1.jpg", picture())
    write_table(tmp_path / "train-0.parquet", [0])

    with pytest.raises(UserError, match="could be read as parquet or as folders"):
        recognize(tmp_path)

    assert recognize(tmp_path, layout="folders").classes == ("a",)


def test_labels_of_ilsvrc2010_are_its_ids_less_one(miniature: Path) -> None:
    found = recognize(miniature)

    assert (found.dataset, found.classes) == ("ilsvrc2010-miniature", CLASSES)
    assert found.ilsvrc_ids == tuple(range(1, 21))
    truth = (miniature / "devkit-1.0/data/ILSVRC2010_validation_ground_truth.txt").read_text().split()
    assert [image.label + 1 for image in found.splits[1].images] == [int(line) for line in truth]
    assert [split.labeled for split in found.splits] == [True, True, True]


def test_without_its_ground_truth_the_test_split_is_unlabeled(miniature: Path) -> None:
    (miniature / "ILSVRC2010_test_ground_truth.txt").unlink()

    test = recognize(miniature).splits[2]

    assert (test.labeled, {image.label for image in test.images}) == (False, {-1})


def test_patch_images_replace_by_name(miniature: Path) -> None:
    write(miniature / "patch_images/val/ILSVRC2010_val_00000002.JPEG", b"patched")

    images = recognize(miniature).splits[1].images

    assert images[1].read() == b"patched"
    assert images[0].read() == (miniature / "val/ILSVRC2010_val_00000001.JPEG").read_bytes()


def test_the_release_of_2012_is_known_by_its_1000_classes_and_the_images_of_each_split() -> None:
    image = "a.JPEG", File(Path(), "a.JPEG")
    release = {"train": 1_281_167, "val": 50_000, "test": 100_000}
    whole, short = (
        [Split(name, Images([("", [image] * (n - less), [0])])) for name, n in release.items()] for less in (0, 1)
    )

    assert list(gaps_of_2012(["a class"] * 1000, whole)) == []
    assert list(gaps_of_2012(["a class"] * 1000, whole[:1])) == ["0 of 50,000 val images"]
    assert list(gaps_of_2012(["a class"] * 999, short)) == [
        "999 of 1,000 classes",
        "1,281,166 of 1,281,167 train images",
        "49,999 of 50,000 val images",
        "99,999 of 100,000 test images",
    ]


@pytest.mark.shared
def test_the_real_devkit_has_its_thousand_classes_in_id_order(shared_data: Path) -> None:
    table = class_table(shared_data / "ilsvrc2010-devkit", "2010")

    assert table is not None
    assert (len(table.wnids), len(set(table.wnids)), sum(table.train_counts)) == (1000, 1000, 1_261_406)
    assert (table.wnids[0], table.wnids[-1]) == ("n07711080", "n04554684")  # french fries, washer: not sorted
    assert table.words[0].startswith("french fries")


def test_what_lies_next_to_parquet_files_is_listed(tmp_path: Path) -> None:
    write_table(tmp_path / "set/data/train-0.parquet", [0, 1])
    for name in ("data/more/deep/train-1.parquet", "extra.jpg", "val/a/x.jpg"):
        write(tmp_path / "set" / name, picture())

    prepare(tmp_path / "set", out=tmp_path / "out", workers=1, options=Options(layout="parquet", side_px=32))

    with (tmp_path / "out/set-skipped.csv").open() as table:
        assert {row["path"] for row in csv.DictReader(table)} == {"data/more", "extra.jpg", "val"}


def test_what_lies_next_to_shards_is_listed(tmp_path: Path) -> None:
    samples = [(f"{n}.{suffix}", data) for n in range(2) for suffix, data in (("jpg", picture()), ("cls", b"%d" % n))]
    write(tmp_path / "train-0000.tar", tar_of([*samples, ("notes", b"")]))
    for name in ("train-0001.tar.part", "images/a/x.jpg"):
        write(tmp_path / name, picture())

    skipped = recognize(tmp_path, layout="webdataset").skipped

    assert {item.path for item in skipped} == {"images", "train-0001.tar.part", "train-0000.tar/notes"}


def test_a_long_name_is_cut_and_stays_different(tmp_path: Path) -> None:
    source = tmp_path / ("x" * 255)
    write(source / "a/1.jpg", picture())

    train = prepare(source, out=tmp_path / "stores", workers=1)["train"]

    assert len(train.manifest.dataset) == LONGEST_NAME
    assert len({dataset_of(Path("x" * LONGEST_NAME + end), (), ()) for end in ("", "1", "2")}) == 3


def test_a_store_escapes_names_that_are_not_utf8(tmp_path: Path) -> None:
    foreign = tmp_path / os.fsdecode(b"d\xe9j\xe0")
    for name, content in ((b"\xe4/1\xe4.jpg", picture()), (b"\xf6/1\xf6.jpg", picture()), (b"\xf6/2\xf6.jpg", b"none")):
        write(foreign / os.fsdecode(name), content)

    with pytest.raises(UserError, match="1 files c") as refused:
        prepare(foreign, out=tmp_path / "stores", workers=1)
    train = prepare(foreign, out=tmp_path / "stores", workers=1, options=Options(max_bad=1))["train"]

    texts = [train.manifest.source, *train.manifest.classes, train.name(0), train.manifest.defects[0]["path"]]
    assert refused.value.exit_code == Exit.BAD_DATA
    assert all(text.isascii() and "\\" in text for text in texts)
    assert train.path.joinpath("defects.csv").read_text(encoding="utf-8").count("\n") == 2
