"""The layouts in which ImageNet lies about, written by the libraries of others from the same pictures.

Each writer takes the pictures by split and class and writes one layout below a folder.
"""

import csv
import io
import json
import random
import re
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

import datasets
import numpy as np
import webdataset
from scipy.io import savemat

from alexrepro.data.store.store import Store

# Australian terrier, English springer and sea snake have the ids 4, 5 and 490 of ILSVRC-2012; here 1, 2 and 3.
# As among all thousand, no class has the same place by its id as by its WNID.
WNIDS = ("n02096294", "n02102040", "n01751748")
WORDS = {
    "n02096294": "Australian terrier",
    "n02102040": "English springer, English springer spaniel",
    "n01751748": "sea snake",
}
TRAIN, VAL, TEST = 3, 2, 1  # per class
PICTURES = (TRAIN + VAL + TEST) * len(WNIDS)

Pictures = dict[str, dict[str, list[tuple[str, bytes]]]]  # split -> wnid -> (file name, bytes)

datasets.disable_progress_bars()


def deal(images: Iterable[bytes], year: str = "2012") -> Pictures:
    """So many pictures under official names; the numbers of validation and test photos tell nothing of their class."""
    left = iter(images)
    found: Pictures = {"train": {}, "val": {}, "test": {}}
    numbers = {"val": list(range(1, 1 + VAL * len(WNIDS))), "test": list(range(1, 1 + TEST * len(WNIDS)))}
    for order in numbers.values():
        random.Random(4).shuffle(order)
    for wnid in WNIDS:
        found["train"][wnid] = [(f"{wnid}_{number * 7}.JPEG", next(left)) for number in range(1, TRAIN + 1)]
        for split, count in (("val", VAL), ("test", TEST)):
            found[split][wnid] = [
                (f"ILSVRC{year}_{split}_{numbers[split].pop():08d}.JPEG", next(left)) for _ in range(count)
            ]
    return found


def by_class(store: Store) -> dict[str, list[tuple[str, bytes]]]:
    """Names and pixels below each class, whatever the order of either; names without suffixes and added WNIDs."""
    found: dict[str, list[tuple[str, bytes]]] = {name: [] for name in store.manifest.classes}
    for row, label in enumerate(store.labels):
        name = re.sub(r"(_n\d{8})?\.\w+$", "", store.name(row))
        found[store.manifest.classes[label]].append((name, store.pixels(row).tobytes()))
    return {name: sorted(rows) for name, rows in found.items()}


def by_label(store: Store) -> list[list[bytes]]:
    """The pixels below each label, where classes or files have no names in common."""
    return [sorted(pixels for _, pixels in rows) for rows in by_class(store).values()]


def write(path: Path, data: bytes = b"x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def touch(folder: Path, *names: str, content: bytes = b"x") -> Path:
    for name in names:
        write(folder / name, content)
    return folder


def tar_of(items: Iterable[tuple[str, bytes]], *, kind: int = tarfile.PAX_FORMAT, mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode, format=kind) as tar:  # type: ignore[call-overload]
        for name, data in items:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def in_name_order(split: dict[str, list[tuple[str, bytes]]]) -> list[tuple[str, str, bytes]]:
    return sorted((name, wnid, data) for wnid, items in split.items() for name, data in items)


def devkit(pictures: Pictures, year: str = "2012") -> dict[str, bytes]:
    rows = [
        (number, wnid, WORDS[wnid], "a class", 0, [], 0, TRAIN) for number, wnid in enumerate(WNIDS, 1)
    ] + [(4, "n00001740", "entity", "all of them", 3, [1, 2, 3], 1, 0)]  # fmt: skip
    names = ("WNID", "words", "gloss", "num_children", "children", "wordnet_height", "num_train_images")
    synsets = np.empty(len(rows), dtype=[(f"ILSVRC{year}_ID", object), *((name, object) for name in names)])
    synsets[:] = rows
    stream = io.BytesIO()
    costs = {"cost_matrix": np.zeros((len(WNIDS), len(WNIDS)), dtype=np.uint8)} if year == "2010" else {}
    savemat(stream, {"synsets": synsets, **costs})
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


def train_tar(pictures: Pictures) -> bytes:
    inner = {wnid: tar_of(items, kind=tarfile.USTAR_FORMAT) for wnid, items in pictures["train"].items()}
    return tar_of((f"{wnid}.tar", data) for wnid, data in inner.items())


def val_tar(pictures: Pictures) -> bytes:
    items = [(name, data) for name, _, data in in_name_order(pictures["val"])]
    random.Random(1).shuffle(items)  # the ground truth follows the names, not the archive
    return tar_of(items, kind=tarfile.GNU_FORMAT)


def official_tars(root: Path, pictures: Pictures) -> None:
    write(root / "ILSVRC2012_img_train.tar", train_tar(pictures))
    write(root / "ILSVRC2012_img_val.tar", val_tar(pictures))
    packed = ((f"ILSVRC2012_devkit_t12/{name}", data) for name, data in devkit(pictures).items())
    write(root / "ILSVRC2012_devkit_t12.tar.gz", tar_of(packed, mode="w:gz"))


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


def tars_of_2010(root: Path, pictures: Pictures) -> None:
    write(root / "ILSVRC2010_images_train.tar", train_tar(pictures))
    for split in ("val", "test"):
        items = ((f"{split}/{name}", data) for name, _, data in in_name_order(pictures[split]))
        write(root / f"ILSVRC2010_images_{split}.tar", tar_of(items))
    for name, data in devkit(pictures, "2010").items():
        write(root / "devkit-1.0" / name, data)


def flat(folder: Path, split: dict[str, list[tuple[str, bytes]]]) -> None:
    for name, _, data in in_name_order(split):
        write(folder / name, data)


def flat_val(root: Path, pictures: Pictures) -> None:
    class_folders(root, {**pictures, "val": {}})
    flat(root / "val", pictures["val"])
    for name, data in devkit(pictures).items():
        write(root / "ILSVRC2012_devkit_t12" / name, data)


def sorted_val(root: Path, pictures: Pictures) -> None:
    """The validation photos moved into class folders, as the well-known script does, and the devkit kept."""
    class_folders(root, pictures)
    for name, data in devkit(pictures).items():
        write(root / "ILSVRC2012_devkit_t12" / name, data)


def kaggle(root: Path, pictures: Pictures) -> None:
    tree = root / "ILSVRC/Data/CLS-LOC"
    class_folders(tree, {**pictures, "val": {}})
    for split in ("val", "test"):
        flat(tree / split, pictures[split])
    rows = [(name.removesuffix(".JPEG"), f"{wnid} 1 2 3 4 ") for name, wnid, _ in in_name_order(pictures["val"])]
    random.Random(2).shuffle(rows)
    with (root / "LOC_val_solution.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("ImageId", "PredictionString"), *rows])


def kaggle_zip(root: Path, pictures: Pictures) -> None:
    kaggle(root / "tree", pictures)
    name = "imagenet-object-localization-challenge"
    shutil.make_archive(str(root / name), "zip", root / "tree")
    shutil.rmtree(root / "tree")


def caffe(root: Path, pictures: Pictures) -> None:
    class_folders(root, {**pictures, "val": {}})
    flat(root / "val", pictures["val"])
    lines = [f"{name} {sorted(WNIDS).index(wnid)}\n" for name, wnid, _ in in_name_order(pictures["val"])]
    write(root / "val.txt", "".join(reversed(lines)).encode())


def shards(root: Path, pictures: Pictures) -> None:
    """As timm/imagenet-1k-wds: shuffled samples with `.cls`, `.jpg` and `.json`, counted in _info.json."""
    root.mkdir(parents=True, exist_ok=True)
    info = {}
    for word, split in (("train", "train"), ("validation", "val")):
        samples = in_name_order(pictures[split])
        random.Random(3).shuffle(samples)
        with webdataset.ShardWriter(str(root / f"photos-{word}-%04d.tar"), maxcount=4, verbose=0) as writer:
            for name, wnid, data in samples:
                label = sorted(WNIDS).index(wnid)
                stem = name.removesuffix(".JPEG")
                writer.write({"__key__": stem, "jpg": data, "cls": label, "json": {"label": label, "filename": name}})
        files = sorted(file.name for file in root.glob(f"photos-{word}-*.tar"))
        lengths = [min(4, len(samples) - first) for first in range(0, len(samples), 4)]
        info[word] = {"name": word, "num_samples": len(samples), "filenames": files, "shard_lengths": lengths}
    write(root / "_info.json", json.dumps({"name": "photos", "splits": info}).encode())


def hub_name(name: str, wnid: str) -> str:
    """As in imagenet-1k at Hugging Face: the WNID behind the official name."""
    return f"{name.removesuffix('.JPEG')}_{wnid}.JPEG"


def hub_tars(root: Path, pictures: Pictures) -> None:
    """The older form of imagenet-1k, once its archives are unpacked from gzip."""
    training = [(hub_name(name, wnid), data) for name, wnid, data in in_name_order(pictures["train"])]
    for number in range(2):
        write(root / f"data/train_images_{number}.tar", tar_of(training[number::2]))
    validation = ((hub_name(name, wnid), data) for name, wnid, data in in_name_order(pictures["val"]))
    write(root / "data/val_images.tar", tar_of(validation))
    write(root / "data/test_images.tar", tar_of((name, data) for name, _, data in in_name_order(pictures["test"])))
