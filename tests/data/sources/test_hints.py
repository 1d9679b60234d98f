"""What a folder holds that no layout fits, and the command that then prepares it."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from alexrepro.data.sources import advice, recognize
from alexrepro.errors import Exit, UserError

from ..hostile import END_OF_TAR, member
from ..layouts import touch

WNIDS = ("n00000001", "n00000002")


def tree(folder: Path) -> None:
    touch(folder, *(f"{wnid}/{wnid}_1.JPEG" for wnid in WNIDS))


def refused(path: Path, **options: str) -> UserError:
    with pytest.raises(UserError) as found:
        recognize(path, **options)
    return found.value


def typed(fix: str) -> None:
    """Runs the command of a fix, up to the preparation."""
    command = fix.partition(": ")[2].partition(" && alexrepro prepare ")[0]
    subprocess.run(["bash", "-ec", command], check=True)


def test_class_folders_two_folders_down_are_linked(tmp_path: Path) -> None:
    for split in ("train", "val"):
        tree(tmp_path / "in" / split / split)

    refusal = refused(tmp_path / "in")
    typed(refusal.fix)

    assert f"in {tmp_path}/in/train/train, {tmp_path}/in/val/val" in refusal.what
    assert [len(split.images) for split in recognize(tmp_path / "in-linked").splits] == [2, 2]


def test_a_split_in_several_folders_is_linked_into_one(tmp_path: Path) -> None:
    touch(tmp_path / "in", "train.X1/a/1.jpg", "train.X2/b c/2.jpg", "val.X/a/3.jpg", "val.X/b c/4.jpg")

    refusal = refused(tmp_path / "in")
    typed(refusal.fix)

    assert "train.X1, train.X2, val.X" in refusal.what
    found = recognize(tmp_path / "in-linked")
    assert (found.classes, [len(split.images) for split in found.splits]) == (("a", "b c"), [2, 2])


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("begin", {"train": "{0}_1.JPEG"}),
        ("end", {"train": "{0}_1_{0}.JPEG", "val": "ILSVRC2012_val_0000000{1}_{0}.JPEG"}),
    ],
)
def test_flat_images_are_sorted_by_the_wnids_in_their_names(word: str, names: dict[str, str], tmp_path: Path) -> None:
    for split, name in names.items():
        touch(tmp_path / split, *(name.format(wnid, number) for number, wnid in enumerate(WNIDS)))

    refusal = refused(tmp_path)
    typed(refusal.fix)

    assert f"{tmp_path}/train holds 2 images and no class folders; their names {word} with WNIDs" in refusal.what
    found = recognize(tmp_path)
    assert (found.classes, [split.name for split in found.splits]) == (WNIDS, list(names))


TYPED: dict[str, tuple[Callable[[Path], object], str, str]] = {
    **{
        f"{name} below": (make, f"{at} looks like one: ", f"Type: alexrepro prepare {{top}}/{at}")
        for name, at, make in (
            ("class folders", "imagenet", lambda top: tree(top / "imagenet/train")),
            ("one folder deeper", "a/b", lambda top: tree(top / "a/b")),
            ("a hub snapshot", "snapshots/49e2", lambda top: touch(top / "snapshots/49e2/data", "train.parquet")),
            ("a cache", "x/1.0.0/49e2", lambda top: touch(top / "x/1.0.0/49e2", "x-train.arrow")),
            ("batches", "d/cifar", lambda top: touch(top / "d/cifar", "batches.meta")),
        )
    },
    "several": (lambda top: [tree(top / name) for name in ("a/train", "b/train")], "2 folders in it are: ", ""),
    "nothing": (lambda _: None, "is empty", "disk is mounted"),
    "hidden files": (lambda top: touch(top, ".DS_Store"), "is empty", ""),
    "tables": (lambda top: touch(top, "a/x.csv", "b.txt"), "it holds 1 folder (a) and 1 file (1 .txt)", "PATH/train/"),
    "numbered tars": (lambda top: touch(top, "0.tar", "1.tar"), "whose split is not known", "mkdir {top}/train && "),
    "images of no class": (lambda top: touch(top, "IMG_1.jpg"), "such as IMG_1.jpg, name no class", "Sort them"),
    "a store": (lambda top: touch(top, "manifest.json", "shard-0.arrow"), "is a store that", "train --store {top}"),
    "arrays": (lambda top: touch(top, "train.npz"), "of the kind NumPy array, which is not read", ""),
    "CIFAR-100": (lambda top: touch(top, "train", "test", "meta"), "looks like CIFAR-100", ""),
    "an archive in parts": (lambda top: touch(top, "x.7z.001", "x.7z.002"), "holds x.7z in parts", "cat 'x.7z'?*"),
    "a link to itself": (lambda top: (top / "loop").symlink_to("loop"), "Nothing in", ""),
    "a link around": (lambda top: (touch(top, "a/x.csv"), (top / "a/up").symlink_to(top)), "Nothing in", ""),
    "images beside a devkit": (
        lambda top: touch(top, "train/1.JPEG", "val/ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_devkit_t12/readme.txt"),
        "train holds 1 images and no class folders", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "what", "fix"), TYPED.values(), ids=TYPED)
def test_a_folder_that_no_layout_fits_is_answered_with_what_it_holds_and_what_to_type(
    make: Callable[[Path], object], what: str, fix: str, tmp_path: Path
) -> None:
    make(tmp_path)

    refusal = refused(tmp_path)

    assert what in refusal.what
    assert fix.format(top=tmp_path) in refusal.fix


SOUND = {"c.tar.gz": b"\x1f\x8b", "c.tgz": b"\x1f\x8b", "c.tar.xz": b"\xfd7zXZ\0", "c.zip": b"PK\x03\x04",
         "c.7z": b"7z\xbc\xaf\x27\x1c", "c.rar": b"Rar!\x1a\x07\x01", "c.tar.zst": b"\x28\xb5\x2f\xfd",
         "c.tar": member("a", b"x") + END_OF_TAR}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_an_archive_is_to_be_unpacked_unless_it_is_damaged(name: str, tmp_path: Path) -> None:
    touch(tmp_path, name, content=SOUND[name])
    refusal = refused(tmp_path)
    assert (refusal.exit_code, refusal.fix.endswith(f"&& alexrepro prepare {tmp_path}")) == (Exit.MISSING_INPUT, True)

    touch(tmp_path, name, content=b"damaged")
    assert "is damaged" in refused(tmp_path).what


@pytest.mark.parametrize(
    ("path", "what", "fix"),
    [
        ("s3://bucket/a", "s3://bucket/a is a URL", "Copy the data to a folder"),
        ("x" * 300, "is not there", "Check the name"),
        ("imagnet", "imagnet is not there", "alexrepro prepare ImageNet"),
        ("ImageNet/trayn", "ImageNet/trayn is not there", "alexrepro prepare ImageNet/train"),
        ("CIFAR-10", "CIFAR-10 is not there", "alexrepro prepare cifar10"),
        ("gone", "gone is a link to nowhere", "link anew"),
    ],
)
def test_a_path_that_is_not_there_is_answered(
    path: str, what: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "ImageNet/train/a/1.jpg")
    (tmp_path / "gone").symlink_to("nowhere")

    monkeypatch.chdir(tmp_path)
    refusal = refused(Path(path))

    assert what in refusal.what
    assert fix in refusal.fix


@pytest.mark.parametrize(
    ("name", "fix"),
    [("ILSVRC2012_img_train.tar", "Name its folder"), ("train-0.parquet", "Name its folder"),
     ("image.jpg", "Name the folder of the class folders")],
)  # fmt: skip
def test_a_file_is_answered_with_its_folder(name: str, fix: str, tmp_path: Path) -> None:
    touch(tmp_path, name)

    assert refused(tmp_path / name).fix == f"{fix}: alexrepro prepare {tmp_path}"


def test_another_layout_than_the_named_one_is_said(tmp_path: Path) -> None:
    tree(tmp_path)

    assert "is not in the layout cifar10, but looks like folders" in refused(tmp_path, layout="cifar10").what


def test_a_large_tree_is_walked_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "MOST_FOLDERS", 10)
    for number in range(40):
        touch(tmp_path, f"{number}/{number}/x.csv")

    assert len(advice.listed(tmp_path)) == 10
    assert "40 folders (0, 1, 10, 11 and 36 more)" in refused(tmp_path).what


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_may_not_be_listed_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "in/a/1.jpg")
    (tmp_path / "in").chmod(0)
    try:
        with pytest.raises(PermissionError):  # which the program answers with exit code 77
            recognize(tmp_path / "in")
    finally:
        (tmp_path / "in").chmod(0o700)
        shutil.rmtree(tmp_path / "in")
