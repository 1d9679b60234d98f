"""What of a source is not read is listed beside the stores; images, classes and splits are not left out in silence."""

import csv
import os
import zipfile
from pathlib import Path

import pytest

from alexrepro.data.sources import recognize
from alexrepro.data.sources.checks import gaps_of_2012
from alexrepro.data.sources.source import Source, Split
from alexrepro.data.store.prepare import prepare
from alexrepro.data.store.store import Store
from alexrepro.errors import Exit, UserError

from ..hostile import assert_done, picture, prepared
from ..layouts import tar_of

WNIDS = ("n00000010", "n00000020")
VAL = tuple(f"ILSVRC2012_val_0000000{number}.JPEG" for number in (1, 2, 3, 4))
CAFFE = "".join(f"{name} {number % 2}\n" for number, name in enumerate(VAL))


def put(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Training images of two classes and flat validation images with Caffe's labels."""
    put(tmp_path / "ds", *(f"train/{wnid}/{wnid}_{number}.JPEG" for wnid in WNIDS for number in (1, 2)))
    put(tmp_path / "ds", *(f"val/{name}" for name in VAL))
    (tmp_path / "ds/val.txt").write_text(CAFFE)
    (tmp_path / "ds/ILSVRC2012_readme.txt").write_text("which year it is")
    return tmp_path / "ds"


def val(source: Source) -> list[tuple[str, int]]:
    return [(image.name, image.label) for split in source.splits if split.name == "val" for image in split.images]


def lost(source: Source) -> list[str]:
    return [item.path for item in source.skipped if item.is_loss]


def prepare_part(root: Path) -> dict[str, Store]:
    return prepare(root, out=root.parent / "stores", workers=1, side_px=32, allow_partial=True)


def test_validation_images_one_folder_deeper_are_read(root: Path) -> None:
    expected = val(recognize(root))
    (root / "val/ILSVRC2012_img_val").mkdir()
    for name in VAL:
        (root / "val" / name).rename(root / "val/ILSVRC2012_img_val" / name)

    assert val(recognize(root)) == expected == [(name, number % 2) for number, name in enumerate(VAL)]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".jpeg", ""])
def test_validation_images_saved_under_another_suffix_are_read(suffix: str, root: Path) -> None:
    for name in VAL:
        (root / "val" / name).rename(root / "val" / name.replace(".JPEG", suffix))

    assert [label for _, label in val(recognize(root))] == [0, 1, 0, 1]


def test_validation_images_beside_the_training_folder_are_read(root: Path) -> None:
    for name in VAL:
        (root / "val" / name).rename(root / name)
    (root / "val").rmdir()

    assert [label for _, label in val(recognize(root))] == [0, 1, 0, 1]


@pytest.mark.parametrize("folder", ["validation", "valid", "Val"])
def test_the_validation_folder_may_have_its_other_names(folder: str, root: Path) -> None:
    (root / "val").rename(root / folder)

    assert len(val(recognize(root))) == len(VAL)


def test_validation_images_of_any_name_are_read_from_class_folders(root: Path) -> None:
    for number, name in enumerate(VAL):
        put(root, f"val/{WNIDS[number % 2]}/image{number}.jpg")
        (root / "val" / name).unlink()

    assert sorted(val(recognize(root))) == [(f"image{number}.jpg", number % 2) for number in range(4)]


def test_names_that_end_in_a_wnid_are_labels(root: Path) -> None:
    (root / "val.txt").unlink()
    for number, name in enumerate(VAL):
        (root / "val" / name).rename(root / "val" / name.replace(".JPEG", f"_{WNIDS[number % 2]}.JPEG"))

    assert [label for _, label in val(recognize(root))] == [0, 1, 0, 1]


@pytest.mark.parametrize("name", ["ILSVRC2012_img_val.tar.gz", "ILSVRC2012_img_val.tgz", "ILSVRC2012_img_val.zip"])
def test_a_compressed_archive_of_a_split_is_refused_though_a_part_is_allowed(name: str, root: Path) -> None:
    for image in VAL:
        (root / "val" / image).unlink()
    (root / "val").rmdir()
    (root / name).write_bytes(b"PK\x03\x04" if name.endswith(".zip") else b"\x1f\x8b")

    with pytest.raises(UserError, match=f"{name} is compressed with") as refused:
        prepare_part(root)

    assert (refused.value.fix[:9], refused.value.exit_code) == ("Unpack it", Exit.BAD_DATA)


@pytest.mark.parametrize("name", ["val", "validation", "test"])
def test_the_folder_of_a_split_without_its_images_is_refused(name: str, root: Path) -> None:
    for image in root.glob("val/*"):
        image.unlink()
    (root / "val").rmdir()
    put(root, f"{name}/image.jpg")

    with pytest.raises(UserError, match=f"{name} holds no images under their official names"):
        prepare_part(root)


def test_a_image_of_another_name_among_the_numbered_ones_is_a_loss(root: Path) -> None:
    put(root, "val/preview.jpg", "val/ILSVRC2012_test_00000001.JPEG")

    assert lost(recognize(root)) == ["val/ILSVRC2012_test_00000001.JPEG", "val/preview.jpg"]


def test_the_same_number_twice_is_refused(root: Path) -> None:
    put(root, f"val/{WNIDS[0]}/{VAL[0]}")

    with pytest.raises(UserError, match="number 00000001 2 times"):
        recognize(root)


def test_images_that_are_only_partly_sorted_into_class_folders_are_refused(root: Path) -> None:
    (root / "val.txt").unlink()
    (root / "val" / WNIDS[0]).mkdir()
    (root / "val" / VAL[0]).rename(root / "val" / WNIDS[0] / VAL[0])

    with pytest.raises(UserError, match="1 of its 4 images in class folders"):
        recognize(root)


def test_half_extracted_training_images_are_read_from_folders_and_tars(root: Path) -> None:
    tar = tar_of([("n00000030_1.JPEG", picture()), ("._n00000030_1.JPEG", b"\0\5\26\7"), ("notes.txt", b"x")])
    (root / "train/n00000030.tar").write_bytes(tar)
    (root / "train" / f"{WNIDS[0]}.tar").write_bytes(b"not read")
    (root / "val.txt").unlink()

    found = recognize(root)

    assert [image.path for image in found.splits[0].images if image.label == 2] == ["train/n00000030/n00000030_1.JPEG"]
    assert {item.path for item in found.skipped} >= {
        "train/n00000010.tar", "train/n00000030.tar/._n00000030_1.JPEG", "train/n00000030.tar/notes.txt",
    }  # fmt: skip


def test_folders_among_the_classes_of_ilsvrc_that_are_none_are_a_loss(root: Path) -> None:
    (root / "val.txt").unlink()
    put(root, "train/more/1.jpg", "train/2.jpg")
    (root / "train/n00000030.tar.gz").write_bytes(b"packed")
    (root / "train/n00000040").mkdir()

    assert sorted(lost(recognize(root))) == ["train/2.jpg", "train/more", "train/n00000030.tar.gz", "train/n00000040"]


def test_a_patch_of_no_image_is_a_loss(root: Path) -> None:
    put(root, f"patch_images/val/{VAL[0]}", "patch_images/val/ILSVRC2012_val_00000077.JPEG")

    assert lost(recognize(root)) == ["patch_images/val/ILSVRC2012_val_00000077.JPEG"]


def test_2012_without_a_validation_image_is_not_complete() -> None:
    train = [Split("train", range(1_281_167))]  # type: ignore[arg-type]

    assert list(gaps_of_2012([str(number) for number in range(1000)], train)) == ["0 of 50,000 val images"]


@pytest.mark.parametrize("split", ["val", "test"])
def test_2010_without_a_split_is_not_complete(split: str, tmp_path: Path) -> None:
    from alexrepro.data.sources.miniature import write_miniature

    write_miniature(tmp_path, train_per_class=1, val_per_class=1, test_per_class=1)
    for image in (tmp_path / split).iterdir():
        image.unlink()
    (tmp_path / split).rmdir()

    assert recognize(tmp_path).gaps == (f"0 of 20 {split} images",)


def test_unlabeled_validation_images_are_said_with_what_would_label_them(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "val.txt").unlink()

    recognize(root)

    said = capsys.readouterr().err
    assert "The 4 images of val have no labels. Put ILSVRC2012_devkit_t12.tar.gz or LOC_val_solution.csv into" in said


def test_a_table_in_a_folder_above_is_pointed_at(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "val.txt").unlink()
    (root.parent / "LOC_val_solution.csv").write_text("")

    recognize(root)

    assert f"it lies in {root.parent}, so prepare that folder" in capsys.readouterr().err


def test_members_of_a_zip_that_are_not_read_are_listed_by_folder(tmp_path: Path) -> None:
    tree = "ILSVRC/Data/CLS-LOC"
    with zipfile.ZipFile(tmp_path / "it.zip", "w") as archive:
        for name in (f"train/{WNIDS[0]}/1.JPEG", f"val/{WNIDS[0]}/{VAL[0]}", "val/other.JPEG", "val/list.txt"):
            archive.writestr(f"{tree}/{name}", picture())
        archive.writestr("docs/logo.png", picture())

    found = recognize(tmp_path / "it.zip")

    assert sorted((item.path, item.is_loss) for item in found.skipped) == [
        (f"{tree}/val", False), (f"{tree}/val", True), ("docs", False),
    ]  # fmt: skip
    assert [name for name, _ in val(found)] == [VAL[0]]


def test_images_and_classes_that_would_be_left_out_stop_unless_a_part_is_allowed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "ds", "train/a/1.jpg", "train/c/1.jpg", "train/stray.jpg")
    (tmp_path / "ds/train/b").mkdir()

    with pytest.raises(UserError, match=r"train/b \(a class folder without an image\)") as refused:
        prepare(tmp_path / "ds", out=tmp_path / "stores", workers=1, side_px=32)
    assert (refused.value.exit_code, "--allow-partial" in refused.value.fix) == (Exit.BAD_DATA, True)
    store = prepare_part(tmp_path / "ds")["train"]

    assert store.manifest.classes == ("a", "b", "c")
    assert store.labels.tolist() == [0, 2]
    assert "Left out: train/stray.jpg" in capsys.readouterr().err


def test_every_skipped_file_is_listed_beside_the_stores(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(root, "figures/1.png")
    (root / ".DS_Store").write_bytes(b"")
    (root / f"train/{WNIDS[0]}/boxes.xml").write_text("")

    prepare_part(root)

    with (root.parent / "stores/ilsvrc2012-skipped.csv").open(newline="") as file:
        rows = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert rows == {
        ".DS_Store": "hidden", "ILSVRC2012_readme.txt": "not a picture",
        f"train/{WNIDS[0]}/boxes.xml": "not a picture", "figures": "a folder with images, of no split",
    }  # fmt: skip
    assert "Skipped files and folders: 4 (2 not a picture" in capsys.readouterr().err


def test_a_source_whose_names_are_no_utf8_is_prepared(tmp_path: Path) -> None:
    source = tmp_path / "work" / "source"
    put(source, os.fsdecode(b"\xfcber/\xff.jpg"), os.fsdecode(b"\xfcber/\xff.txt"), "b/1.jpg")

    assert_done(prepared(source))

    (table,) = (source.parent / "stores").glob("*-skipped.csv")
    assert r"\xfcber/\xff.txt,not a picture" in table.read_text()
