"""Every layout gives the same images under the same classes as plain class folders do.

The layouts are written by others' libraries (tarfile, scipy, csv, zipfile) from the same few pictures.
"""

import csv
import io
import random
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.io import savemat

from alexrepro.data.prepare import prepare
from alexrepro.data.sources import recognise
from alexrepro.data.store import Store
from alexrepro.errors import Exit, Refusal

# In ILSVRC-2012 the ids follow another order than the sorted WNIDs; so here.
WNIDS = ("n00000030", "n00000010", "n00000020")  # ids 1, 2, 3
TRAIN, VAL, TEST = 3, 2, 1  # per class

Pictures = dict[str, dict[str, list[tuple[str, bytes]]]]  # split -> wnid -> (file name, bytes)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    draws = np.random.default_rng(2)
    found: Pictures = {"train": {}, "val": {}, "test": {}}
    numbers = {"val": list(range(1, 1 + VAL * len(WNIDS))), "test": list(range(1, 1 + TEST * len(WNIDS)))}
    for order in numbers.values():
        random.Random(4).shuffle(order)
    for wnid in WNIDS:
        found["train"][wnid] = [(f"{wnid}_{number * 7}.JPEG", picture(draws)) for number in range(1, TRAIN + 1)]
        for split, count in (("val", VAL), ("test", TEST)):
            found[split][wnid] = [
                (f"ILSVRC2012_{split}_{numbers[split].pop():08d}.JPEG", picture(draws)) for _ in range(count)
            ]
    return found


def picture(draws: np.random.Generator) -> bytes:
    stream = io.BytesIO()
    coarse = draws.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((60, 50), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def tar_of(items: list[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in items:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def in_name_order(split: dict[str, list[tuple[str, bytes]]]) -> list[tuple[str, str, bytes]]:
    return sorted((name, wnid, data) for wnid, items in split.items() for name, data in items)


def devkit(pictures: Pictures, year: str = "2012") -> dict[str, bytes]:
    rows = [
        (number, wnid, f"class {wnid}", "a class", 0, 0, 0, TRAIN) for number, wnid in enumerate(WNIDS, 1)
    ] + [(4, "n00000000", "root", "all of them", 3, 1, 1, 0)]  # fmt: skip
    names = ("WNID", "words", "gloss", "num_children", "children", "wordnet_height", "num_train_images")
    synsets = np.array(rows, dtype=[(f"ILSVRC{year}_ID", object), *((name, object) for name in names)])
    stream = io.BytesIO()
    savemat(stream, {"synsets": synsets})
    truth = {
        split: "".join(f"{WNIDS.index(wnid) + 1}\n" for _, wnid, _ in in_name_order(pictures[split])).encode()
        for split in ("val", "test")
    }
    return {
        "data/meta.mat": stream.getvalue(),
        f"data/ILSVRC{year}_validation_ground_truth.txt": truth["val"],
        f"data/ILSVRC{year}_test_ground_truth.txt": truth["test"],
    }


def class_folders(root: Path, pictures: Pictures) -> None:
    for split in ("train", "val"):
        for wnid, items in pictures[split].items():
            for name, data in items:
                write(root / split / wnid / name, data)


def val_tar(pictures: Pictures) -> bytes:
    items = [(name, data) for name, _, data in in_name_order(pictures["val"])]
    random.Random(1).shuffle(items)  # the ground truth follows the names, not the archive
    return tar_of(items)


def train_tar(pictures: Pictures) -> bytes:
    return tar_of([(f"{wnid}.tar", tar_of(items)) for wnid, items in pictures["train"].items()])


def official_tars(root: Path, pictures: Pictures) -> None:
    write(root / "ILSVRC2012_img_train.tar", train_tar(pictures))
    write(root / "ILSVRC2012_img_val.tar", val_tar(pictures))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in devkit(pictures).items():
            member = tarfile.TarInfo(f"ILSVRC2012_devkit_t12/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    write(root / "ILSVRC2012_devkit_t12.tar.gz", packed.getvalue())


def split_tars(root: Path, pictures: Pictures) -> None:
    official_tars(root, pictures)
    whole = root / "ILSVRC2012_img_train.tar"
    data, part = whole.read_bytes(), len(whole.read_bytes()) // 3 + 1
    for number in range(3):
        write(root / f"ILSVRC2012_img_train.tar.{number + 1:03d}", data[number * part : (number + 1) * part])
    whole.unlink()


def half_extracted(root: Path, pictures: Pictures) -> None:
    official_tars(root, pictures)
    (root / "ILSVRC2012_img_train.tar").unlink()
    for wnid, items in pictures["train"].items():
        write(root / "train" / f"{wnid}.tar", tar_of(items))


def flat_val(root: Path, pictures: Pictures) -> None:
    class_folders(root, {**pictures, "val": {}})
    for name, _, data in in_name_order(pictures["val"]):
        write(root / "val" / name, data)
    for name, data in devkit(pictures).items():
        write(root / "ILSVRC2012_devkit_t12" / name, data)


def kaggle(root: Path, pictures: Pictures) -> None:
    tree = root / "ILSVRC/Data/CLS-LOC"
    class_folders(tree, {**pictures, "val": {}})
    for split in ("val", "test"):
        for name, _, data in in_name_order(pictures[split]):
            write(tree / split / name, data)
    rows = [(name.removesuffix(".JPEG"), f"{wnid} 1 2 3 4 ") for name, wnid, _ in in_name_order(pictures["val"])]
    random.Random(2).shuffle(rows)
    with (root / "LOC_val_solution.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("ImageId", "PredictionString"), *rows])


def caffe(root: Path, pictures: Pictures) -> None:
    flat_val(root, pictures)
    shutil.rmtree(root / "ILSVRC2012_devkit_t12")
    lines = [f"{name} {sorted(WNIDS).index(wnid)}\n" for name, wnid, _ in in_name_order(pictures["val"])]
    write(root / "val.txt", "".join(reversed(lines)).encode())


LAYOUTS: dict[str, Callable[[Path, Pictures], None]] = {
    "official tars": official_tars,
    "split tars": split_tars,
    "half extracted": half_extracted,
    "flat val with devkit": flat_val,
    "Kaggle tree": kaggle,
    "Caffe's val.txt": caffe,
}


def by_class(store: Store) -> dict[str, list[tuple[str, bytes]]]:
    """Names and pixels below each class, whatever the order of either."""
    found: dict[str, list[tuple[str, bytes]]] = {name: [] for name in store.manifest.classes}
    for row, label in enumerate(store.labels):
        out = np.empty((256, 256, 3), dtype=np.uint8)
        store.pixels(row, out)
        found[store.manifest.classes[label]].append((store.name(row), out.tobytes()))
    return {name: sorted(rows) for name, rows in found.items()}


@pytest.fixture(scope="module")
def expected(pictures: Pictures, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    root = tmp_path_factory.mktemp("folders")
    class_folders(root, pictures)
    return prepare(root, out=tmp_path_factory.mktemp("expected"), processes=1)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_of_2012_gives_the_images_and_classes_of_class_folders(
    layout: str, pictures: Pictures, expected: dict[str, Store], tmp_path: Path
) -> None:
    LAYOUTS[layout](tmp_path / "source", pictures)

    found = prepare(tmp_path / "source", out=tmp_path / "stores", processes=1)

    assert {store.manifest.dataset for store in found.values()} == {"ilsvrc2012"}
    assert by_class(found["train"]) == by_class(expected["train"])
    assert by_class(found["val"]) == by_class(expected["val"])
    assert np.array_equal(found["train"].mean_image(), expected["train"].mean_image())


@pytest.mark.parametrize("layout", ["official tars", "flat val with devkit"])
def test_the_ids_of_2012_are_kept_beside_the_sorted_classes(layout: str, pictures: Pictures, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path, pictures)

    found = recognise(tmp_path)

    assert found.classes == ("n00000010", "n00000020", "n00000030")
    assert found.ilsvrc_ids == (2, 3, 1)
    assert found.class_names == ("class n00000010", "class n00000020", "class n00000030")


def test_the_tars_of_2010_are_labelled_by_id(pictures: Pictures, expected: dict[str, Store], tmp_path: Path) -> None:
    write(tmp_path / "ILSVRC2010_images_train.tar", train_tar(pictures))
    for split in ("val", "test"):
        items = [(f"{split}/{name.replace('2012', '2010')}", data) for name, _, data in in_name_order(pictures[split])]
        write(tmp_path / f"ILSVRC2010_images_{split}.tar", tar_of(items))
    for name, data in devkit(pictures, "2010").items():
        write(tmp_path / "devkit-1.0" / name, data)

    found = prepare(tmp_path, out=tmp_path / "stores", processes=1)

    assert found["train"].manifest.classes == WNIDS  # the order of the ids
    assert by_class(found["train"]) == by_class(expected["train"])
    assert {name: [data for _, data in rows] for name, rows in by_class(found["val"]).items()} == {
        name: [data for _, data in rows] for name, rows in by_class(expected["val"]).items()
    }
    assert found["test"].manifest.labelled
    assert len(found["test"]) == TEST * len(WNIDS)


def test_without_a_truth_the_validation_photos_are_unlabelled(pictures: Pictures, tmp_path: Path) -> None:
    kaggle(tmp_path, pictures)
    (tmp_path / "LOC_val_solution.csv").unlink()

    val = {split.name: split for split in recognise(tmp_path).splits}["val"]

    assert not val.labelled


def test_shuffled_truth_of_the_other_year_is_refused(pictures: Pictures, tmp_path: Path) -> None:
    official_tars(tmp_path, pictures)
    (tmp_path / "ILSVRC2012_devkit_t12.tar.gz").unlink()
    for name, data in devkit(pictures, "2010").items():
        write(tmp_path / "devkit-1.0" / name, data)

    with pytest.raises(Refusal, match="2010"):
        recognise(tmp_path)


@pytest.mark.parametrize("lost", [1, 600, 5000])
def test_a_tar_that_is_cut_short_is_refused(lost: int, pictures: Pictures, tmp_path: Path) -> None:
    official_tars(tmp_path, pictures)
    whole = tmp_path / "ILSVRC2012_img_val.tar"
    members_end = whole.read_bytes().rstrip(b"\0")
    whole.write_bytes(members_end[:-lost])

    with pytest.raises(Refusal) as refused:
        recognise(tmp_path)

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

    stores = prepare(root, out=tmp_path / "stores", processes=1)

    assert len(stores["val"]) == VAL * len(WNIDS)
    after = {path for path in tmp_path.rglob("*") if (tmp_path / "stores") not in (path, *path.parents)}
    assert after == before


def test_webdataset_shards_are_read_sample_by_sample(
    pictures: Pictures, expected: dict[str, Store], tmp_path: Path
) -> None:
    for word, split in (("train", "train"), ("validation", "val")):
        samples = in_name_order(pictures[split])
        random.Random(3).shuffle(samples)
        for number, part in enumerate((samples[::2], samples[1::2])):
            files = []
            for name, wnid, data in part:
                stem = name.removesuffix(".JPEG")
                files += [(f"{stem}.jpg", data), (f"{stem}.cls", str(sorted(WNIDS).index(wnid)).encode())]
            write(tmp_path / f"photos-{word}-{number:04d}.tar", tar_of(files))

    found = prepare(tmp_path, out=tmp_path / "stores", processes=1)

    for split in ("train", "val"):
        pixels = [[data for _, data in rows] for rows in by_class(found[split]).values()]
        assert pixels == [[data for _, data in rows] for rows in by_class(expected[split]).values()]
    assert found["train"].manifest.dataset == "photos"


def test_a_sample_without_a_label_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "photos-train-0000.tar", tar_of([("a.jpg", b"x"), ("b.jpg", b"x"), ("b.cls", b"1")]))

    with pytest.raises(Refusal, match="sample a"):
        recognise(tmp_path)


def test_tiny_imagenet_200_is_read_with_its_annotations(
    pictures: Pictures, expected: dict[str, Store], tmp_path: Path
) -> None:
    for wnid, items in pictures["train"].items():
        write(tmp_path / "train" / wnid / f"{wnid}_boxes.txt", b"")
        for name, data in items:
            write(tmp_path / "train" / wnid / "images" / name, data)
    lines = []
    for name, wnid, data in in_name_order(pictures["val"]):
        write(tmp_path / "val/images" / name, data)
        lines.append(f"{name}\t{wnid}\t0\t0\t63\t63\n")
    for name, _, data in in_name_order(pictures["test"]):
        write(tmp_path / "test/images" / name, data)
    write(tmp_path / "val/val_annotations.txt", "".join(lines).encode())
    write(tmp_path / "wnids.txt", "\n".join(WNIDS).encode())
    write(tmp_path / "words.txt", b"n00000010\ta thing\n")

    found = prepare(tmp_path, out=tmp_path / "stores", processes=1)

    assert by_class(found["train"]) == by_class(expected["train"])
    assert by_class(found["val"]) == by_class(expected["val"])
    assert not found["test"].manifest.labelled
    assert found["train"].manifest.class_names[0] == "a thing"


@pytest.mark.parametrize("name", ["train-00000-of-01024.tfrecord", "train.rec", "val.beton", "data.mdb"])
def test_a_format_that_is_not_read_is_named(name: str, tmp_path: Path) -> None:
    write(tmp_path / "images" / name, b"...")

    with pytest.raises(Refusal, match=name):
        recognise(tmp_path)


def test_ids_in_the_place_of_caffes_labels_are_refused(pictures: Pictures, tmp_path: Path) -> None:
    caffe(tmp_path, pictures)
    ids = [f"{name} {WNIDS.index(wnid) + 1}\n" for name, wnid, _ in in_name_order(pictures["val"])]
    write(tmp_path / "val.txt", "".join(ids).encode())

    with pytest.raises(Refusal, match="label from 0 to 2"):
        recognise(tmp_path)


def test_missing_training_photos_stop_the_preparation_unless_allowed(pictures: Pictures, tmp_path: Path) -> None:
    fewer = {**pictures, "train": {**pictures["train"], WNIDS[1]: pictures["train"][WNIDS[1]][:-1]}}
    official_tars(tmp_path / "source", fewer)

    with pytest.raises(Refusal, match="n00000010 has 2 of 3 training photos"):
        prepare(tmp_path / "source", out=tmp_path / "stores", processes=1)
    found = prepare(tmp_path / "source", out=tmp_path / "stores", processes=1, allow_partial=True)

    assert len(found["train"]) == TRAIN * len(WNIDS) - 1


def test_a_disk_that_is_too_full_is_refused_before_the_start(
    pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    official_tars(tmp_path / "source", pictures)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 10**6 - 10, 10))

    with pytest.raises(Refusal, match="GB free") as refused:
        prepare(tmp_path / "source", out=tmp_path / "stores", processes=1)

    assert refused.value.exit_code is Exit.IO_ERROR


def parquet(path: Path, rows: list[tuple[str, str, bytes]], label_of: dict[str, int]) -> None:
    """As imagenet-1k: the file names carry the WNID behind the official name."""
    images = [{"bytes": data, "path": f"{name.removesuffix('.JPEG')}_{wnid}.JPEG"} for name, wnid, data in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": images, "label": [label_of[wnid] for _, wnid, _ in rows]}), path)


def test_imagenet_parquet_is_keyed_by_the_wnids_of_its_names(
    pictures: Pictures, expected: dict[str, Store], tmp_path: Path
) -> None:
    label_of = {wnid: label for label, wnid in enumerate(sorted(WNIDS))}
    parquet(tmp_path / "data/train-00000-of-00001.parquet", in_name_order(pictures["train"]), label_of)
    parquet(tmp_path / "data/validation-00000-of-00001.parquet", in_name_order(pictures["val"]), label_of)

    found = prepare(tmp_path, out=tmp_path / "stores", processes=1)

    assert found["train"].manifest.classes == tuple(sorted(WNIDS))
    for split in ("train", "val"):
        pixels = {name: [data for _, data in rows] for name, rows in by_class(found[split]).items()}
        assert pixels == {name: [data for _, data in rows] for name, rows in by_class(expected[split]).items()}


def test_parquet_whose_splits_number_the_classes_differently_is_refused(pictures: Pictures, tmp_path: Path) -> None:
    orders = ({wnid: label for label, wnid in enumerate(order)} for order in (sorted(WNIDS), WNIDS))
    for split, word, label_of in zip(("train", "val"), ("train", "validation"), orders, strict=True):
        parquet(tmp_path / f"{word}-00000-of-00001.parquet", in_name_order(pictures[split]), label_of)

    with pytest.raises(Refusal, match="labels do not agree"):
        recognise(tmp_path)


def test_where_two_layouts_fit_an_option_chooses(pictures: Pictures, tmp_path: Path) -> None:
    class_folders(tmp_path, pictures)
    parquet(tmp_path / "train-0.parquet", in_name_order(pictures["train"]), dict.fromkeys(WNIDS, 0))

    with pytest.raises(Refusal, match="parquet or as folders"):
        recognise(tmp_path)

    assert len(recognise(tmp_path, layout="folders").classes) == len(WNIDS)
