"""CIFAR-10 as its Python batches, and Tiny-ImageNet-200 as it unpacks.

cifar-10-batches-py/ has data_batch_1 ... 5, test_batch and batches.meta: pickles, unpickled only if their MD5 is the
official one. Tiny-ImageNet has wnids.txt, train/<wnid>/images/, val/images/ with val_annotations.txt or else class
folders, and unlabeled test/images/. Labels follow the sorted WNIDs, not the order of wnids.txt.
"""

import io
import pickle
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from alexrepro.data.sources.class_folders import classes_in
from alexrepro.data.sources.images import Images, class_split, numbered_split
from alexrepro.data.sources.labels import table_labels, words_by_wnid, words_of
from alexrepro.data.sources.source import Source, Split, bad_data, refuse_other_classes
from alexrepro.data.sources.walk import WNID, Listing, listing
from alexrepro.errors import Exit, UserError
from alexrepro.files import read_text

CIFAR_FOLDER, CIFAR_META = "cifar-10-batches-py", "batches.meta"
CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE_PX = 32
WNIDS, WORDS, ANNOTATIONS = "wnids.txt", "words.txt", "val_annotations.txt"


@dataclass(frozen=True)
class BatchRow:
    """One image of a batch file, read as a BMP file, which keeps every pixel."""

    file: Path
    md5: str
    row: int

    def read(self) -> bytes:
        """The image as BMP."""
        planes: NDArray[np.uint8] = _load(self.file, self.md5)["data"][self.row]
        stream = io.BytesIO()
        Image.fromarray(planes.reshape(3, SIDE_PX, SIDE_PX).transpose(1, 2, 0)).save(stream, "BMP")
        return stream.getvalue()

    def size(self) -> int:
        """Bytes of the whole batch, which change when any image does."""
        return self.file.stat().st_size


def fetch(folder: Path) -> None:
    """Have torchvision download the batches into a folder and check their MD5, once.

    Raises UserError if that does not work, as on a machine without a network.
    """
    from torchvision.datasets import CIFAR10

    try:
        CIFAR10(folder, download=True)
    except (OSError, RuntimeError) as error:  # no network; a wrong MD5
        raise UserError(
            f"CIFAR-10 cannot be downloaded: {error}.",
            fix=f"Download {CIFAR10.url} elsewhere, unpack it, and type: alexrepro prepare /path/{CIFAR_FOLDER}.",
            exit_code=Exit.MISSING_INPUT,
        ) from None


def fits_cifar(path: Path) -> bool:
    """Whether the batch files are in the folder or in the folder that they unpack to."""
    return (path / CIFAR_META).is_file() or (path / CIFAR_FOLDER / CIFAR_META).is_file()


def read_cifar(path: Path) -> Source:
    """Training and test images. Raises UserError if a batch is missing or differs from the published one."""
    from torchvision.datasets import CIFAR10

    folder = path if (path / CIFAR_META).is_file() else path / CIFAR_FOLDER
    names = tuple(_load(folder / CIFAR_META, CIFAR10.meta["md5"])["label_names"])
    splits = tuple(
        Split(name, Images(
            (f"{file}/", [(f"{row:05d}.bmp", BatchRow(folder / file, md5, row)) for row in range(len(labels))], labels)
            for file, md5 in files for labels in [_load(folder / file, md5)["labels"]]
        ))
        for name, files in (("train", CIFAR10.train_list), ("test", CIFAR10.test_list))
    )  # fmt: skip
    return Source("cifar10", names, names, splits)


def named(source: Source) -> Source:
    """A source in any layout; CIFAR-10, recognized by its ten classes, gets its name and its own side."""
    is_cifar = sorted(source.classes) == list(CIFAR_CLASSES)
    return replace(source, dataset="cifar10", side_px=SIDE_PX) if is_cifar else source


@lru_cache(maxsize=2)
def _load(file: Path, md5: str) -> dict[str, Any]:
    from torchvision.datasets.utils import check_integrity

    if not check_integrity(file, md5):
        raise bad_data(f"{file} is missing, or its MD5 is not the official one.", "Download CIFAR-10 again.")
    found: dict[str, Any] = pickle.loads(file.read_bytes(), encoding="latin1")
    return found


def fits_tiny(path: Path) -> bool:
    """Whether the list of classes and the training folder are there."""
    return (path / WNIDS).is_file() and (path / "train").is_dir()


def read_tiny(path: Path) -> Source:
    """The three splits. Raises UserError if a folder or an annotation names another class."""
    wnids = tuple(sorted(set(read_text(path / WNIDS).split())))
    gaps, table = list[str](), path / "val" / ANNOTATIONS
    with listing(path) as found:
        found.read.update((path / WNIDS, path / WORDS))
        splits = [_sorted_images(path / "train", wnids, found)]
        if table.is_file():
            text, images = read_text(table), found.folder(path / "val")
            label_of = {wnid: label for label, wnid in enumerate(wnids)}
            labels = table_labels(text, table, [Path(name).name for name, _ in images], label_of)
            splits.append(numbered_split("val", images, labels))
            count = len(WNID.findall(text))
            gaps += [f"{len(images):,} of {count:,} val images"] * (len(images) < count)
        elif (path / "val").is_dir():
            splits.append(_sorted_images(path / "val", wnids, found))
        if (path / "test").is_dir():
            splits.append(numbered_split("test", found.folder(path / "test"), None))
    words = words_by_wnid(read_text(path / WORDS)) if (path / WORDS).is_file() else {}
    names, skipped = words_of(wnids, words), found.all_skipped()
    return Source("tiny-imagenet-200", wnids, names, tuple(splits), gaps=tuple(gaps), skipped=skipped)


def _sorted_images(folder: Path, wnids: tuple[str, ...], found: Listing) -> Split:
    """The images of each class, in its folder or deeper."""
    images = classes_in(folder, found)
    refuse_other_classes(f"{folder} has other class folders than {WNIDS} lists", images, wnids)
    return class_split(folder.name, images, wnids)
