import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from alexrepro.data.sources import recognize
from alexrepro.data.sources.checks import gaps_of_2012
from alexrepro.data.sources.devkit import class_table
from alexrepro.data.sources.miniature import CLASSES, write_miniature
from alexrepro.data.sources.source import File, ImageFile, Split
from alexrepro.errors import UserError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())


def picture(level: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), level, dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def write_table(path: Path, labels: list[int], column: str = "image") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"bytes": picture(label), "path": f"{place}.png"} for place, label in enumerate(labels)]
    pq.write_table(pa.table({column: rows, "label": labels}), path, row_group_size=2)


@pytest.fixture
def miniature(tmp_path: Path) -> Path:
    write_miniature(tmp_path, train_per_class=1, val_per_class=1, test_per_class=1)
    return tmp_path


def test_classes_are_sorted_by_the_bytes_of_their_names(tmp_path: Path) -> None:
    touch(
        tmp_path / "b/1.jpg", tmp_path / "B/1.JPEG", tmp_path / "ä/1.png", tmp_path / "a/2.jpg", tmp_path / "a/10.jpg"
    )

    found = recognize(tmp_path)

    assert found.classes == ("B", "a", "b", "ä")
    assert [image.label for image in found.splits[0].images] == [0, 1, 1, 2, 3]
    assert [image.name for image in found.splits[0].images][1:3] == ["10.jpg", "2.jpg"]


def test_split_folders_become_splits(tmp_path: Path) -> None:
    touch(*(tmp_path / split / kind / "1.jpg" for split in ("train", "validation", "test") for kind in "ab"))

    found = recognize(tmp_path)

    assert [split.name for split in found.splits] == ["train", "val", "test"]
    assert found.dataset != "ilsvrc2012"


def test_other_classes_in_validation_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "train/a/1.jpg", tmp_path / "val/b/1.jpg")

    with pytest.raises(UserError):
        recognize(tmp_path)


def test_nothing_and_several_layouts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        recognize(tmp_path)
    touch(tmp_path / "a/1.jpg")
    write_table(tmp_path / "train-0.parquet", [0])
    with pytest.raises(UserError, match="or"):
        recognize(tmp_path)


def test_parquet_is_read_by_split_and_row(tmp_path: Path) -> None:
    write_table(tmp_path / "train-00000-of-00002.parquet", [0, 3, 1])
    write_table(tmp_path / "train-00001-of-00002.parquet", [2])
    write_table(tmp_path / "validation-00000-of-00001.parquet", [1], column="img")

    found = recognize(tmp_path)

    assert [(split.name, [image.label for image in split.images]) for split in found.splits] == [
        ("train", [0, 3, 1, 2]), ("val", [1]),
    ]  # fmt: skip
    assert found.classes == ("class-0000", "class-0001", "class-0002", "class-0003")
    assert [image.read() for image in found.splits[0].images] == [picture(level) for level in (0, 3, 1, 2)]


def test_labels_of_ilsvrc2010_are_its_ids_less_one(miniature: Path) -> None:
    found = recognize(miniature)

    assert found.dataset == "ilsvrc2010-miniature"
    assert found.classes == CLASSES
    assert found.ilsvrc_ids == tuple(range(1, 21))
    truth = (miniature / "devkit-1.0/data/ILSVRC2010_validation_ground_truth.txt").read_text().split()
    assert [image.label + 1 for image in found.splits[1].images] == [int(line) for line in truth]
    assert [split.labeled for split in found.splits] == [True, True, True]


def test_without_its_ground_truth_the_test_split_is_unlabeled(miniature: Path) -> None:
    (miniature / "ILSVRC2010_test_ground_truth.txt").unlink()

    test = recognize(miniature).splits[2]

    assert not test.labeled
    assert {image.label for image in test.images} == {-1}


def test_patch_images_replace_by_name(miniature: Path) -> None:
    patch = miniature / "patch_images/val/ILSVRC2010_val_00000002.JPEG"
    touch(patch)

    images = recognize(miniature).splits[1].images

    assert images[1].read() == patch.read_bytes()
    assert images[0].read() == (miniature / "val/ILSVRC2010_val_00000001.JPEG").read_bytes()


def test_the_release_of_2012_is_known_by_its_1000_classes_and_the_images_of_each_split() -> None:
    image = ImageFile("a.JPEG", 0, File(Path("a.JPEG")))
    release = {"train": 1_281_167, "val": 50_000, "test": 100_000}
    whole, short = ([Split(name, [image] * (n - less)) for name, n in release.items()] for less in (0, 1))

    assert list(gaps_of_2012(["a class"] * 1000, whole)) == []
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
    wnids, words = table.wnids, table.words

    assert (len(wnids), wnids[0], wnids[999]) == (1000, "n07711080", "n04554684")
    assert words[0].startswith("french fries")
