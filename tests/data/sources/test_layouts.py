"""What is refused, kept and left alone in the layouts of ILSVRC; drawn pictures are enough for that."""

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from alexrepro.data.sources import recognize
from alexrepro.data.store.prepare import prepare
from alexrepro.errors import Exit, UserError

from ..layouts import (
    PICTURES,
    TRAIN,
    VAL,
    WNIDS,
    WORDS,
    Pictures,
    caffe,
    class_folders,
    deal,
    devkit,
    flat_val,
    hub_name,
    in_name_order,
    kaggle,
    official_tars,
    tar_of,
    write,
)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    draws = np.random.default_rng(2)
    return deal(picture(draws) for _ in range(PICTURES))


def picture(draws: np.random.Generator) -> bytes:
    stream = io.BytesIO()
    coarse = draws.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((60, 50), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
    return stream.getvalue()


@pytest.mark.parametrize("layout", [official_tars, flat_val])
def test_the_ids_of_2012_are_kept_beside_the_sorted_classes(
    layout: Callable[[Path, Pictures], None], pictures: Pictures, tmp_path: Path
) -> None:
    layout(tmp_path, pictures)

    found = recognize(tmp_path)

    assert found.classes == tuple(sorted(WNIDS))
    assert found.ilsvrc_ids == (3, 1, 2)
    assert found.class_names == tuple(WORDS[wnid] for wnid in sorted(WNIDS))


def test_without_a_truth_the_validation_images_are_unlabeled(pictures: Pictures, tmp_path: Path) -> None:
    kaggle(tmp_path, pictures)
    (tmp_path / "LOC_val_solution.csv").unlink()

    val = {split.name: split for split in recognize(tmp_path).splits}["val"]

    assert not val.labeled


def test_shuffled_truth_of_the_other_year_is_refused(pictures: Pictures, tmp_path: Path) -> None:
    official_tars(tmp_path, pictures)
    (tmp_path / "ILSVRC2012_devkit_t12.tar.gz").unlink()
    for name, data in devkit(pictures, "2010").items():
        write(tmp_path / "devkit-1.0" / name, data)

    with pytest.raises(UserError, match="2010"):
        recognize(tmp_path)


@pytest.mark.parametrize("lost", [1, 600, 5000])
def test_a_tar_that_is_cut_short_is_refused(lost: int, pictures: Pictures, tmp_path: Path) -> None:
    official_tars(tmp_path, pictures)
    whole = tmp_path / "ILSVRC2012_img_val.tar"
    members_end = whole.read_bytes().rstrip(b"\0")
    whole.write_bytes(members_end[:-lost])

    with pytest.raises(UserError) as refused:
        recognize(tmp_path)

    assert refused.value.exit_code is Exit.BAD_DATA


def test_nothing_of_a_hostile_tar_is_written_anywhere(pictures: Pictures, tmp_path: Path) -> None:
    root = tmp_path / "source"
    official_tars(root, pictures)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, _, data in in_name_order(pictures["val"]):
            member = tarfile.TarInfo(f"../../{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"ILSVRC2012_val_0000009{kind.decode()}.JPEG")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    write(root / "ILSVRC2012_img_val.tar", stream.getvalue())
    before = set(tmp_path.rglob("*"))

    stores = prepare(root, out=tmp_path / "stores", workers=1)

    assert len(stores["val"]) == VAL * len(WNIDS)
    after = {path for path in tmp_path.rglob("*") if (tmp_path / "stores") not in (path, *path.parents)}
    assert after == before


def test_a_sample_without_a_label_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "photos-train-0000.tar", tar_of([("a.jpg", b"x"), ("b.jpg", b"x"), ("b.cls", b"1")]))

    with pytest.raises(UserError, match="sample a"):
        recognize(tmp_path)


@pytest.mark.parametrize("name", ["train-00000-of-01024.tfrecord", "train.rec", "val.beton", "data.mdb"])
def test_a_format_that_is_not_read_is_named(name: str, tmp_path: Path) -> None:
    write(tmp_path / "images" / name, b"...")

    with pytest.raises(UserError, match=name):
        recognize(tmp_path)


def test_ids_in_the_place_of_caffes_labels_are_refused(pictures: Pictures, tmp_path: Path) -> None:
    caffe(tmp_path, pictures)
    ids = [f"{name} {WNIDS.index(wnid) + 1}\n" for name, wnid, _ in in_name_order(pictures["val"])]
    write(tmp_path / "val.txt", "".join(ids).encode())

    with pytest.raises(UserError, match="label from 0 to 2"):
        recognize(tmp_path)


def test_missing_training_images_stop_the_preparation_unless_allowed(pictures: Pictures, tmp_path: Path) -> None:
    fewer = {**pictures, "train": {**pictures["train"], WNIDS[1]: pictures["train"][WNIDS[1]][:-1]}}
    official_tars(tmp_path / "source", fewer)

    with pytest.raises(UserError, match="n02102040 has 2 of 3 training images"):
        prepare(tmp_path / "source", out=tmp_path / "stores", workers=1)
    found = prepare(tmp_path / "source", out=tmp_path / "stores", workers=1, allow_partial=True)

    assert len(found["train"]) == TRAIN * len(WNIDS) - 1


def test_a_disk_that_is_too_full_is_refused_before_the_start(
    pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    official_tars(tmp_path / "source", pictures)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6 - 10, 10))

    with pytest.raises(UserError, match="MB free") as refused:
        prepare(tmp_path / "source", out=tmp_path / "stores", workers=1)

    assert refused.value.exit_code is Exit.IO_ERROR


def parquet(path: Path, rows: list[tuple[str, str, bytes]], label_of: dict[str, int]) -> None:
    """As imagenet-1k: the file names carry the WNID behind the official name."""
    images = [{"bytes": data, "path": hub_name(name, wnid)} for name, wnid, data in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": images, "label": [label_of[wnid] for _, wnid, _ in rows]}), path)


def test_parquet_whose_splits_number_the_classes_differently_is_refused(pictures: Pictures, tmp_path: Path) -> None:
    orders = ({wnid: label for label, wnid in enumerate(order)} for order in (sorted(WNIDS), WNIDS))
    for split, word, label_of in zip(("train", "val"), ("train", "validation"), orders, strict=True):
        parquet(tmp_path / f"{word}-00000-of-00001.parquet", in_name_order(pictures[split]), label_of)

    with pytest.raises(UserError, match="labels do not agree"):
        recognize(tmp_path)


def test_where_two_layouts_fit_an_option_chooses(pictures: Pictures, tmp_path: Path) -> None:
    class_folders(tmp_path, pictures)
    parquet(tmp_path / "train-0.parquet", in_name_order(pictures["train"]), dict.fromkeys(WNIDS, 0))

    with pytest.raises(UserError, match="parquet or as folders"):
        recognize(tmp_path)

    assert len(recognize(tmp_path, layout="folders").classes) == len(WNIDS)
