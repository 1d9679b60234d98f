"""Kaggle's zip archive is read in place, and a damaged one is answered by its name."""

import csv
import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexrepro.data.sources import recognize
from alexrepro.data.store.prepare import prepare
from alexrepro.data.store.store import Store
from alexrepro.errors import Exit, UserError

TREE = "ILSVRC/Data/CLS-LOC"
WNIDS = ("n00000020", "n00000010")


def picture(number: int) -> bytes:
    stream = io.BytesIO()
    coarse = np.random.default_rng(number).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((50, 40), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def train() -> Iterable[tuple[str, bytes]]:
    for place, wnid in enumerate(WNIDS):
        for number in range(3):
            yield f"train/{wnid}/{wnid}_{number}.JPEG", picture(10 * place + number)


def kaggle_zip(file: Path, packing: int = zipfile.ZIP_DEFLATED) -> None:
    """Two classes, two images of each for validation, listed in another order than the files have."""
    truth = io.StringIO()
    rows = [(f"ILSVRC2012_val_{number:08d}", f"{WNIDS[number % 2]} 1 2 3 4 ") for number in (3, 1, 4, 2)]
    csv.writer(truth).writerows([("ImageId", "PredictionString"), *rows])
    with zipfile.ZipFile(file, "w", packing) as archive:
        archive.writestr("LOC_val_solution.csv", truth.getvalue())
        archive.writestr("LOC_synset_mapping.txt", "n00000010 ten, X\nn00000020 twenty\n")
        for number in (1, 2, 3, 4):
            archive.writestr(f"{TREE}/val/ILSVRC2012_val_{number:08d}.JPEG", picture(100 + number))
        archive.writestr(f"{TREE}/test/ILSVRC2012_test_00000001.JPEG", picture(200))
        for name, data in train():
            archive.writestr(f"{TREE}/{name}", data)
        archive.writestr("ILSVRC/Annotations/CLS-LOC/train/n00000010/n00000010_1.xml", "<annotation/>")


def seen(store: Store) -> list[tuple[str, str, bytes]]:
    rows = []
    for row, label in enumerate(store.labels):
        out = np.empty((256, 256, 3), dtype=np.uint8)
        store.pixels(row, out)
        rows.append((store.manifest.classes[label], store.name(row), out.tobytes()))
    return sorted(rows)


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_a_zip_gives_what_its_unpacked_tree_gives(tmp_path: Path, packing: int) -> None:
    archive = tmp_path / "source/imagenet-object-localization-challenge.zip"
    archive.parent.mkdir()
    kaggle_zip(archive, packing)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path / "tree")

    of_zip = prepare(archive, out=tmp_path / "of-zip", workers=1, allow_partial=True)
    of_tree = prepare(tmp_path / "tree", out=tmp_path / "of-tree", workers=1, allow_partial=True)
    of_folder = recognize(archive.parent)

    assert list(of_zip) == list(of_tree) == [split.name for split in of_folder.splits] == ["train", "val", "test"]
    for split in ("train", "val"):
        assert seen(of_zip[split]) == seen(of_tree[split])
    assert [of_zip["val"].manifest.classes[label] for label in of_zip["val"].labels] == [*WNIDS[::-1], *WNIDS[::-1]]
    assert not of_zip["test"].manifest.labeled
    assert of_zip["train"].manifest.class_names == of_tree["train"].manifest.class_names == ("ten, X", "twenty")


def test_a_damaged_member_is_left_out_and_named(tmp_path: Path) -> None:
    kaggle_zip(tmp_path / "it.zip", zipfile.ZIP_STORED)
    content = bytearray((tmp_path / "it.zip").read_bytes())
    content[content.index(picture(2)) + 300] ^= 1
    (tmp_path / "it.zip").write_bytes(content)

    store = prepare(tmp_path / "it.zip", out=tmp_path / "stores", workers=1, allow_partial=True, max_bad=1)["train"]

    (defect,) = store.manifest.defects
    assert defect["path"] == "train/n00000020/n00000020_2.JPEG"
    assert "not the bytes that were packed" in defect["reason"]
    assert len(store) == 5


def test_a_member_that_unpacks_to_more_than_it_says_is_left_out(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "it.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in train():
            archive.writestr(f"{TREE}/{name}", data)
        archive.writestr(f"{TREE}/train/{WNIDS[0]}/bomb.JPEG", bytes(10_000_000))
        archive.writestr(f"{TREE}/train/{WNIDS[0]}/larger.JPEG", bytes(70 * 2**20))
        archive.writestr("../outside.JPEG", picture(1))
        archive.getinfo(f"{TREE}/train/{WNIDS[0]}/bomb.JPEG").file_size = 1000  # written into the directory at the end

    store = prepare(tmp_path / "it.zip", out=tmp_path / "stores", workers=1, allow_partial=True, max_bad=2)["train"]

    assert [defect["path"].rpartition("/")[2] for defect in store.manifest.defects] == ["bomb.JPEG", "larger.JPEG"]
    assert len(store) == 6
    assert {path.name for path in tmp_path.iterdir()} == {"it.zip", "stores"}


def test_an_archive_that_cannot_be_read_in_place_says_what_to_do(tmp_path: Path) -> None:
    inner = "imagenet_object_localization_patched2019.tar.gz"
    with zipfile.ZipFile(tmp_path / "again.zip", "w") as archive:
        archive.writestr(inner, b"\x1f\x8b")
    kaggle_zip(tmp_path / "cut.zip")
    (tmp_path / "cut.zip").write_bytes((tmp_path / "cut.zip").read_bytes()[:-60])
    kaggle_zip(tmp_path / "locked.zip")
    locked = bytearray((tmp_path / "locked.zip").read_bytes())
    locked[locked.index(b"PK\1\2") + 8] |= 1  # the flag of encryption of the first member
    (tmp_path / "locked.zip").write_bytes(locked)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", b"no images")

    with pytest.raises(UserError, match="gzip stream") as again:
        recognize(tmp_path / "again.zip")
    assert f"tar -xzf {inner}" in again.value.fix
    for name, said in (("cut", "not a whole zip"), ("locked", "encrypted"), ("other", "holds no training images")):
        with pytest.raises(UserError, match=said) as refused:
            recognize(tmp_path / f"{name}.zip")
        assert refused.value.exit_code == Exit.BAD_DATA


def test_a_zip_with_fewer_images_than_the_release_is_not_complete(tmp_path: Path) -> None:
    kaggle_zip(tmp_path / "it.zip")

    with pytest.raises(
        UserError, match="2 of 1,000 classes; 6 of 1,281,167 train images; 4 of 50,000 val images"
    ) as found:
        prepare(tmp_path / "it.zip", out=tmp_path / "stores", workers=1)
    assert "--allow-partial" in found.value.fix


@pytest.mark.parametrize(
    ("packing", "again", "said"), [(zipfile.ZIP_BZIP2, 0, "method deflate"), (zipfile.ZIP_STORED, 1, "twice")]
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_whole_archive_is_to_be_unzipped_not_fetched_again(
    tmp_path: Path, packing: int, again: int, said: str
) -> None:
    with zipfile.ZipFile(tmp_path / "it.zip", "w", packing) as archive:
        for name, data in [*train(), *list(train())[:again]]:
            archive.writestr(f"{TREE}/{name}", data)

    with pytest.raises(UserError, match=f"cannot be read in place: .*{said}") as refused:
        recognize(tmp_path / "it.zip")

    assert refused.value.fix.endswith(f"unzip {tmp_path / 'it.zip'} -d {tmp_path / 'it'}")
