"""WebDataset shards under the names that people give them, with missing labels and missing shards."""

from pathlib import Path

import pytest

from alexrepro.data.sources import recognize
from alexrepro.errors import UserError

from ..hostile import END_OF_TAR, member, picture


def shard(path: Path, *labels: bytes | None, folder: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b""
    for number, label in enumerate(labels):
        data += member(f"{folder}{number:04d}.jpg", picture(number))
        data += b"" if label is None else member(f"{folder}{number:04d}.cls", label)
    path.write_bytes(data + END_OF_TAR)


@pytest.mark.parametrize(
    "name", ["train-000000.tar", "train/000000.tar", "data/train/shard-0.tar", "set_train_0.tar", "train-0-of-1.tar"]
)
def test_the_split_of_a_shard_is_in_its_name_or_its_folder(name: str, tmp_path: Path) -> None:
    shard(tmp_path / name, b"0", b"1")

    found = recognize(tmp_path)

    assert [(split.name, [photo.label for photo in split.images]) for split in found.splits] == [("train", [0, 1])]


def test_a_test_split_without_labels_is_read(tmp_path: Path) -> None:
    shard(tmp_path / "train-0.tar", b"0", b"1")
    shard(tmp_path / "test-0.tar", None, None)

    test = recognize(tmp_path).splits[1]

    assert (test.labeled, [photo.label for photo in test.images]) == (False, [-1, -1])


@pytest.mark.parametrize(
    ("split", "labels"), [("train", (b"0", None)), ("train", (b"0", b"-1")), ("val", (b"0", None))]
)
def test_samples_without_labels_among_others_are_refused(
    split: str, labels: tuple[bytes | None, ...], tmp_path: Path
) -> None:
    shard(tmp_path / "train-0.tar", b"0")
    shard(tmp_path / f"{split}-0.tar", *labels)

    with pytest.raises(UserError, match=f"1 of 2 images of {split} have no label: sample 0001 of {split}-0.tar"):
        recognize(tmp_path)


def test_missing_shards_and_labels_that_begin_with_one_are_gaps(tmp_path: Path) -> None:
    for number in (0, 1, 4):
        shard(tmp_path / f"train-{number:04d}.tar", b"1", b"2")

    assert recognize(tmp_path).gaps == (
        "train-*.tar lacks 2 of 5 files: 2, 3",
        "class-0000 of 3 classes has no training image",
    )


def test_samples_of_one_stem_in_two_folders_are_two(tmp_path: Path) -> None:
    tmp_path.mkdir(exist_ok=True)
    data = b"".join(member(f"{f}/1.jpg", picture()) + member(f"{f}/1.cls", b"%d" % n) for n, f in enumerate("ab"))
    (tmp_path / "train-0.tar").write_bytes(member("._x.jpg", b"fork") + data + END_OF_TAR)

    assert [photo.label for photo in recognize(tmp_path).splits[0].images] == [0, 1]


def test_shards_of_two_data_sets_are_not_mixed(tmp_path: Path) -> None:
    shard(tmp_path / "one-train-0.tar", b"0")
    shard(tmp_path / "two-train-0.tar", b"0")

    with pytest.raises(UserError, match="several data sets: one, two"):
        recognize(tmp_path)
