"""Every member of a tar is read, said to be skipped, or refused."""

import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alexrepro.data.sources import recognize
from alexrepro.errors import UserError

from ..hostile import END_OF_TAR, member, picture

TRAIN, VAL = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
WNIDS = ("n00000001", "n00000002")


def class_tar(wnid: str, more: bytes = b"") -> bytes:
    return member(f"{wnid}_1.JPEG", picture()) + more + END_OF_TAR


def train_tar(more: bytes = b"") -> bytes:
    return b"".join(member(f"{wnid}.tar", class_tar(wnid)) for wnid in WNIDS) + more + END_OF_TAR


def write(folder: Path, **content: bytes) -> Path:
    for name, data in {"train": train_tar(), **content}.items():
        (folder / f"ILSVRC2012_img_{name}.tar").write_bytes(data)
    return folder


def photos(folder: Path) -> dict[str, list[str]]:
    return {split.name: [photo.path for photo in split.photos] for split in recognize(folder).splits}


ODD = {
    "a symbolic link": member("n00000003.tar", kind=tarfile.SYMTYPE, link="n00000001.tar"),
    "hidden": member("._n00000001.tar", b"resource fork"),
    "PaxHeaders.7/n00000001.tar (hidden)": member("PaxHeaders.7/n00000001.tar", b"30 mtime=1.5\n"),
    "readme.txt (not a photo by its suffix)": member("readme.txt", b"text"),
}


@pytest.mark.parametrize("said", ODD)
def test_a_member_that_is_skipped_is_said(said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, train=train_tar(ODD[said]))

    found = photos(tmp_path)

    assert found == {"train": [f"train/{wnid}/{wnid}_1.JPEG" for wnid in WNIDS]}
    assert said in next(line for line in capsys.readouterr().err.splitlines() if "1 members were skipped" in line)


def test_a_hard_link_is_the_photo_that_it_names(tmp_path: Path) -> None:
    link = member("n00000001_2.JPEG", kind=tarfile.LNKTYPE, link="n00000001_1.JPEG")
    write(tmp_path, train=member("n00000001.tar", class_tar(WNIDS[0], link)) + END_OF_TAR)

    (split,) = recognize(tmp_path).splits

    assert [photo.name for photo in split.photos] == ["n00000001_1.JPEG", "n00000001_2.JPEG"]
    assert split.photos[1].read() == picture()


def folders(prefix: str) -> bytes:
    names = (f"{prefix}{wnid}/{wnid}_1.JPEG" for wnid in WNIDS)
    return member(prefix or "./", kind=tarfile.DIRTYPE) + b"".join(member(n, picture()) for n in names) + END_OF_TAR


@pytest.mark.parametrize("prefix", ["", "train/", "./ILSVRC/Data/CLS-LOC/train/"])
def test_a_training_tar_of_class_folders_is_read(prefix: str, tmp_path: Path) -> None:
    write(tmp_path, train=folders(prefix))

    assert photos(tmp_path) == {"train": [f"train/{wnid}/{wnid}_1.JPEG" for wnid in WNIDS]}


REFUSED: dict[str, tuple[dict[str, bytes], str]] = {
    "a class tar twice": (
        {"train": train_tar(member("n00000002.tar", class_tar(WNIDS[1])))}, r"holds n00000002\.tar twice"
    ),
    "a photo twice": (
        {"train": member("n00000001.tar", class_tar(WNIDS[0], member("x/n00000001_1.JPEG", b"other"))) + END_OF_TAR},
        r"holds n00000001_1\.JPEG twice",
    ),
    "a validation photo twice": (
        {"val": 2 * member("ILSVRC2012_val_00000001.JPEG", picture()) + END_OF_TAR}, "00000001.JPEG twice"
    ),
    "a training photo of no class": ({"train": train_tar(member("cat.jpg", picture()))}, "cat.jpg, whose class"),
    "an empty class tar": (
        {"train": train_tar(member("n00000003.tar", b""))}, r"n00000003\.tar in .*train\.tar is cut short"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_a_photo_of_its_split_is_refused(content: dict[str, bytes], said: str, tmp_path: Path) -> None:
    write(tmp_path, **content)

    with pytest.raises(UserError, match=said):
        recognize(tmp_path)


def test_a_class_without_photos_is_named(tmp_path: Path) -> None:
    write(tmp_path, train=train_tar(member("n00000003.tar", END_OF_TAR)))

    assert any(gap.startswith("n00000003 of 3 classes has no training photo") for gap in recognize(tmp_path).gaps)


def test_each_archive_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbered = b"".join(member(f"ILSVRC2012_val_{number:08d}.JPEG", picture()) for number in range(1, 5))
    write(tmp_path, val=numbered + END_OF_TAR)
    opened: Counter[str] = Counter()
    opens: Callable[..., Any] = Path.open

    def counted(path: Path, *arguments: Any, **options: Any) -> Any:
        opened[path.name] += 1
        return opens(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", counted)
    recognize(tmp_path)

    assert opened == {TRAIN: 1, VAL: 1}


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

    assert photos(tmp_path / "flat") == photos(tmp_path / "whole") == {"train": training}
    assert photos(tmp_path / "splits")["val"] == [path.replace("train", "val") for path in training]


def test_splits_whose_class_tars_differ_are_refused(tmp_path: Path) -> None:
    class_tars(tmp_path / "train")
    class_tars(tmp_path / "val")
    (tmp_path / "val/n00000002.tar").unlink()

    with pytest.raises(UserError, match="val has other classes than train: n00000002"):
        recognize(tmp_path)
