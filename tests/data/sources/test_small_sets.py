"""Tiny-ImageNet-200 and CIFAR-10 from real pictures, in every layout in which they come."""

import hashlib
import io
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from alexrepro.data.sources import recognize
from alexrepro.data.store.prepare import prepare
from alexrepro.data.store.store import Store
from alexrepro.errors import Exit, UserError

from .. import layouts
from ..layouts import PICTURES, WNIDS, Pictures, by_class, in_name_order
from . import parquets

pytestmark = pytest.mark.shared

BATCH = 2  # pictures in a batch file of CIFAR-10


@pytest.fixture(scope="module")
def images(shared_data: Path) -> list[bytes]:
    return [image.read_bytes() for image in sorted((shared_data / "photos").iterdir())[:PICTURES]]


@pytest.fixture(scope="module")
def small(images: list[bytes]) -> Pictures:
    """Pictures of 64×64, as Tiny-ImageNet-200 has them."""
    return layouts.deal(saved(opened(image).resize((64, 64)), "JPEG") for image in images)


@pytest.fixture(scope="module")
def expected(small: Pictures, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    root = tmp_path_factory.mktemp("folders")
    layouts.class_folders(root, small)
    return prepare(root, out=tmp_path_factory.mktemp("expected"), workers=1)


def opened(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def saved(image: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, quality=95)
    return stream.getvalue()


def tiny(root: Path, pictures: Pictures, place: str = "val/images") -> None:
    """Tiny-ImageNet-200; place: the folder of a validation image, with {} for its class if they were sorted."""
    layouts.write(root / "wnids.txt", "\n".join(WNIDS).encode())
    layouts.write(root / "words.txt", b"n01751748\tsea snake\n")
    for wnid, items in pictures["train"].items():
        layouts.write(root / "train" / wnid / f"{wnid}_boxes.txt", b"")
        for name, data in items:
            layouts.write(root / "train" / wnid / "images" / name, data)
    layouts.flat(root / "test/images", pictures["test"])
    for name, wnid, data in in_name_order(pictures["val"]):
        layouts.write(root / place.format(wnid) / name, data)
    rows = (f"{name}\t{wnid}\t0\t0\t63\t63\n" for name, wnid, _ in in_name_order(pictures["val"]))
    layouts.write(root / "val/val_annotations.txt", "".join(rows).encode())


@pytest.mark.parametrize(
    ("place", "unused"),
    [("val/images", "val/list.txt"), ("val/{}", "val/list.txt"), ("val/{}", "val/val_annotations.txt")],
)
def test_tiny_imagenet_200_gives_the_images_and_classes_of_class_folders(
    place: str, unused: str, small: Pictures, expected: dict[str, Store], tmp_path: Path
) -> None:
    tiny(tmp_path / "source", small, place)
    (tmp_path / "source" / unused).unlink(missing_ok=True)

    found = prepare(tmp_path / "source", out=tmp_path / "stores", workers=1)

    assert by_class(found["train"]) == by_class(expected["train"])
    assert by_class(found["val"]) == by_class(expected["val"])
    assert not found["test"].manifest.labeled
    assert found["train"].manifest.class_names[0] == "sea snake"


def test_missing_validation_images_of_tiny_imagenet_are_a_gap(small: Pictures, tmp_path: Path) -> None:
    tiny(tmp_path, small)
    next((tmp_path / "val/images").iterdir()).unlink()

    assert recognize(tmp_path).gaps == ("5 of 6 val images",)


CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.fixture(scope="module")
def cifar(shared_data: Path) -> dict[str, list[tuple[bytes, int]]]:
    """Real pictures of CIFAR-10 as PNG with their labels, one of each class in each split."""
    table = pd.read_parquet(shared_data / "cifar10/test-00000-of-00001.parquet")
    rows = [table[table["label"] == label].iloc[:2] for label in range(len(CIFAR_CLASSES))]
    both = [[(found["img"].iloc[place]["bytes"], label) for label, found in enumerate(rows)] for place in range(2)]
    return dict(zip(("train", "test"), both, strict=True))


def cifar_folders(root: Path, cifar: dict[str, list[tuple[bytes, int]]]) -> None:
    for split, rows in cifar.items():
        for number, (data, label) in enumerate(rows):
            layouts.write(root / split / CIFAR_CLASSES[label] / f"{number:04d}.png", data)


class Python2(pickle._Pickler):
    """Writes text and bytes as the one kind of string that Python 2 had, as in the batches of 2009."""

    def save_string(self, text: str | bytes) -> None:
        data = text.encode("latin1") if isinstance(text, str) else text
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(text)

    dispatch: ClassVar = {**pickle._Pickler.dispatch, str: save_string, bytes: save_string}


def as_python_2_pickled(value: object) -> bytes:
    stream = io.BytesIO()
    Python2(stream, protocol=2).dump(value)
    return stream.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")  # its name before 2024


def cifar_batches(root: Path, cifar: dict[str, list[tuple[bytes, int]]]) -> None:
    parts = {f"data_batch_{n + 1}": cifar["train"][n * BATCH : (n + 1) * BATCH] for n in range(5)}
    for name, rows in {**parts, "test_batch": cifar["test"]}.items():
        data = np.stack([np.asarray(opened(picture)).transpose(2, 0, 1).ravel() for picture, _ in rows])
        batch = {"batch_label": name, "data": data, "labels": [label for _, label in rows]}
        layouts.write(root / "cifar-10-batches-py" / name, as_python_2_pickled(batch))
    meta = {"label_names": list(CIFAR_CLASSES), "num_vis": 3072}
    layouts.write(root / "cifar-10-batches-py/batches.meta", as_python_2_pickled(meta))


def publish_md5(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the MD5 of these files, where there are any, be the official ones."""
    from torchvision.datasets import CIFAR10  # takes over a second of every process of the suite

    if folder.is_dir():
        md5 = {file.name: hashlib.md5(file.read_bytes()).hexdigest() for file in folder.iterdir()}
        monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5["batches.meta"]})
        for files in ("train_list", "test_list"):
            monkeypatch.setattr(CIFAR10, files, [[name, md5[name]] for name, _ in getattr(CIFAR10, files)])


def cifar_parquet(root: Path, cifar: dict[str, list[tuple[bytes, int]]]) -> None:
    for split, rows in cifar.items():
        examples = [parquets.Example(None, data, label) for data, label in rows]
        parquets.to_parquet(root / "plain_text", split, examples, names=CIFAR_CLASSES, column="img")


@pytest.mark.parametrize("write", [cifar_batches, cifar_parquet])
def test_cifar_10_gives_the_images_and_classes_of_class_folders(
    write: Callable[..., None],
    cifar: dict[str, list[tuple[bytes, int]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(tmp_path / "source", cifar)
    publish_md5(tmp_path / "source/cifar-10-batches-py", monkeypatch)
    cifar_folders(tmp_path / "folders", cifar)

    found = prepare(tmp_path / "source", out=tmp_path / "stores", workers=1)
    expected = prepare(tmp_path / "folders", out=tmp_path / "stores", workers=1)

    assert {split: layouts.by_label(store) for split, store in found.items()} == {
        split: layouts.by_label(store) for split, store in expected.items()
    }
    assert found["test"].manifest.classes == expected["test"].manifest.classes == CIFAR_CLASSES


class Runs:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (__import__("os").system, (f"touch {self.canary}",))


@pytest.mark.parametrize("name", ["data_batch_3", "batches.meta"])
def test_a_batch_of_another_md5_is_refused_before_it_is_unpickled(
    name: str, cifar: dict[str, list[tuple[bytes, int]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    cifar_batches(tmp_path, cifar)
    publish_md5(folder, monkeypatch)
    (folder / name).write_bytes(pickle.dumps({"data": Runs(tmp_path / "canary")}))

    with pytest.raises(UserError, match=f"{name} is missing, or its MD5 is not the official one") as refused:
        recognize(folder)

    assert refused.value.exit_code is Exit.BAD_DATA
    assert not (tmp_path / "canary").exists()


def test_cifar_10_is_fetched_by_torchvision_or_it_is_said_where_it_lies(
    cifar: dict[str, list[tuple[bytes, int]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import CIFAR10

    cifar_batches(tmp_path, cifar)
    publish_md5(tmp_path / CIFAR10.base_folder, monkeypatch)
    archive = Path(shutil.make_archive(str(tmp_path / "cifar"), "gztar", tmp_path, CIFAR10.base_folder))
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setattr(CIFAR10, "url", (tmp_path / "gone.tar.gz").as_uri())

    with pytest.raises(UserError, match="CIFAR-10 cannot be downloaded") as refused:
        prepare("cifar10", out=tmp_path / "stores", workers=1)
    archive.rename(tmp_path / "stores/cifar10-source" / CIFAR10.filename)  # as if it had been downloaded
    found = prepare("cifar10", out=tmp_path / "stores", workers=1)

    assert "gone.tar.gz elsewhere" in refused.value.fix
    assert {split: len(store) for split, store in found.items()} == {"train": 10, "test": 10}
