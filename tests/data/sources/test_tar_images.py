"""Every member of a tar is read, said to be skipped, or refused."""

import tarfile
from pathlib import Path

import pytest

from alexrepro.data.sources import recognize
from alexrepro.errors import UserError

from ..hostile import END_OF_TAR, member, picture

TRAIN = "ILSVRC2012_img_train.tar"
WNIDS = ("n00000001", "n00000002")


def class_tar(wnid: str, more: bytes = b"") -> bytes:
    return member(f"{wnid}_1.JPEG", picture()) + more + END_OF_TAR


def train_tar(more: bytes = b"") -> bytes:
    return b"".join(member(f"{wnid}.tar", class_tar(wnid)) for wnid in WNIDS) + more + END_OF_TAR


def write(folder: Path, **content: bytes) -> Path:
    for name, data in {"train": train_tar(), **content}.items():
        (folder / f"ILSVRC2012_img_{name}.tar").write_bytes(data)
    return folder


def images(folder: Path) -> dict[str, list[str]]:
    return {split.name: [image.path for image in split.images] for split in recognize(folder).splits}


ODD = {
    "a link": ("n00000003.tar", member("n00000003.tar", kind=tarfile.SYMTYPE, link="n00000001.tar")),
    "hidden": ("._n00000001.tar", member("._n00000001.tar", b"resource fork")),
    "hidden in a folder": ("PaxHeaders.7/n00000001.tar", member("PaxHeaders.7/n00000001.tar", b"30 mtime=1.5\n")),
    "not an image by its suffix": ("readme.txt", member("readme.txt", b"text")),
}


@pytest.mark.parametrize("reason", ODD)
def test_a_member_that_is_not_read_is_listed(reason: str, tmp_path: Path) -> None:
    path, added = ODD[reason]
    write(tmp_path, train=train_tar(added))

    found = recognize(tmp_path)

    assert [image.path for image in found.splits[0].images] == [f"train/{wnid}/{wnid}_1.JPEG" for wnid in WNIDS]
    assert [(item.path, item.reason) for item in found.skipped] == [(f"{TRAIN}/{path}", reason.partition(" in a")[0])]


def folders(prefix: str) -> bytes:
    names = (f"{prefix}{wnid}/{wnid}_1.JPEG" for wnid in WNIDS)
    return member(prefix or "./", kind=tarfile.DIRTYPE) + b"".join(member(n, picture()) for n in names) + END_OF_TAR


@pytest.mark.parametrize("prefix", ["", "train/", "./ILSVRC/Data/CLS-LOC/train/"])
def test_a_training_tar_of_class_folders_is_read(prefix: str, tmp_path: Path) -> None:
    write(tmp_path, train=folders(prefix))

    assert images(tmp_path) == {"train": [f"train/{wnid}/{wnid}_1.JPEG" for wnid in WNIDS]}


REFUSED: dict[str, tuple[dict[str, bytes], str]] = {
    "a class tar twice": (
        {"train": train_tar(member("n00000002.tar", class_tar(WNIDS[1])))}, r"holds n00000002\.tar twice"
    ),
    "a image twice": (
        {"train": member("n00000001.tar", class_tar(WNIDS[0], member("x/n00000001_1.JPEG", b"other"))) + END_OF_TAR},
        r"holds n00000001_1\.JPEG twice",
    ),
    "a validation image twice": (
        {"val": 2 * member("ILSVRC2012_val_00000001.JPEG", picture()) + END_OF_TAR}, "00000001.JPEG twice"
    ),
    "a training image of no class": ({"train": train_tar(member("cat.jpg", picture()))}, "cat.jpg, whose class"),
    "an empty class tar": (
        {"train": train_tar(member("n00000003.tar", b""))}, r"n00000003\.tar in .*train\.tar is cut short"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_a_image_of_its_split_is_refused(content: dict[str, bytes], said: str, tmp_path: Path) -> None:
    write(tmp_path, **content)

    with pytest.raises(UserError, match=said):
        recognize(tmp_path)


def test_a_class_without_images_is_named(tmp_path: Path) -> None:
    write(tmp_path, train=train_tar(member("n00000003.tar", END_OF_TAR)))

    assert any(gap.startswith("n00000003 of 3 classes has no training image") for gap in recognize(tmp_path).gaps)


def class_tars(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for wnid in WNIDS:
        (folder / f"{wnid}.tar").write_bytes(class_tar(wnid))


def test_class_tars_are_read_without_the_names_of_a_year(tmp_path: Path) -> None:
    class_tars(tmp_path / "flat")
    class_tars(tmp_path / "splits/train")
    class_tars(tmp_path / "splits/val")
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole/fall11_whole.tar").write_bytes(train_tar())

    training = [f"train/{wnid}/{wnid}_1.JPEG" for wnid in WNIDS]

    assert images(tmp_path / "flat") == images(tmp_path / "whole") == {"train": training}
    assert images(tmp_path / "splits")["val"] == [path.replace("train", "val") for path in training]


def test_splits_whose_class_tars_differ_are_refused(tmp_path: Path) -> None:
    class_tars(tmp_path / "train")
    class_tars(tmp_path / "val")
    (tmp_path / "val/n00000002.tar").unlink()

    with pytest.raises(UserError, match="val has other classes than train: n00000002"):
        recognize(tmp_path)
