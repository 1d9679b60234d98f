"""CIFAR-10 as its Python batches, and Tiny-ImageNet-200 as it unpacks.

cifar-10-batches-py/ has data_batch_1 ... 5, test_batch and batches.meta. These are pickles; each is unpickled only if
it has the MD5 that its authors published.
Tiny-ImageNet has wnids.txt, train/<wnid>/images/, val/images/ with val_annotations.txt, and unlabeled test/images/.
Its validation images are also read from class folders. Labels follow the sorted WNIDs, not the order of wnids.txt.
"""

import hashlib
import pickle
import re
import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexrepro.data.sources.checks import words_of
from alexrepro.data.sources.class_folders import class_folders
from alexrepro.data.sources.labels import labels_in, stem, words_by_wnid
from alexrepro.data.sources.source import UNLABELED, File, ImageFile, Skipped, Source, Split, bad_data
from alexrepro.data.sources.walk import WNID, below, entries, escaped, walk, why_skipped
from alexrepro.errors import Exit, UserError
from alexrepro.files import read_text
from alexrepro.progress import first_few

CIFAR_FOLDER, CIFAR_META = "cifar-10-batches-py", "batches.meta"
CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE_PX = 32
WNIDS, WORDS, ANNOTATIONS = "wnids.txt", "words.txt", "val_annotations.txt"
SORT = f"Move the image to the folder of its class, or all of them back to val/images; {ANNOTATIONS} gives the classes."
ANNOTATION = re.compile(rf"\s*(\S+)[\s,;]+({WNID.pattern})\b")


@dataclass(frozen=True)
class BatchRow:
    """One image of a batch file, read as a BMP file, which keeps every pixel."""

    file: Path
    md5: str
    row: int

    def read(self) -> bytes:
        """The image as BMP."""
        planes: NDArray[np.uint8] = _load(self.file, self.md5)["data"][self.row]
        return _bmp(planes.reshape(3, SIDE_PX, SIDE_PX).transpose(1, 2, 0))

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
        Split(name, [image for file, md5 in files for image in _images(folder / file, md5)])
        for name, files in (("train", CIFAR10.train_list), ("test", CIFAR10.test_list))
    )
    return Source("cifar10", names, names, splits)


def named(source: Source) -> Source:
    """A source in any layout; CIFAR-10, recognized by its ten classes, gets its name and its own side."""
    is_cifar = sorted(source.classes) == list(CIFAR_CLASSES)
    return replace(source, dataset="cifar10", side_px=SIDE_PX) if is_cifar else source


def _images(file: Path, md5: str) -> list[ImageFile]:
    labels = _load(file, md5)["labels"]
    return [
        ImageFile(f"{file.name}/{row:05d}.bmp", label, BatchRow(file, md5, row)) for row, label in enumerate(labels)
    ]


@lru_cache(maxsize=2)
def _load(file: Path, md5: str) -> dict[str, Any]:
    try:
        content = file.read_bytes()
        reason = "" if hashlib.md5(content, usedforsecurity=False).hexdigest() == md5 else "its MD5 is not the official"
    except FileNotFoundError:
        reason = "it is missing"
    if reason:
        raise bad_data(f"{file} cannot be read: {reason}.", "Download cifar-10-python.tar.gz again.")
    found: dict[str, Any] = pickle.loads(content, encoding="latin1")
    return found


def _bmp(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels (32, 32, 3) as a BMP of 24 bits: rows from below, blue before green before red."""
    body = pixels[::-1, :, ::-1].tobytes()  # rows of 96 bytes need no padding to a multiple of four
    header = struct.pack("<2sIHHI", b"BM", 54 + len(body), 0, 0, 54)
    return header + struct.pack("<IiiHHIIiiII", 40, SIDE_PX, SIDE_PX, 1, 24, 0, len(body), 0, 0, 0, 0) + body


def fits_tiny(path: Path) -> bool:
    """Whether the list of classes and the training folder are there."""
    return (path / WNIDS).is_file() and (path / "train").is_dir()


def read_tiny(path: Path) -> Source:
    """The three splits. Raises UserError if a folder or an annotation names another class."""
    wnids = tuple(sorted(set(read_text(path / WNIDS).split())))
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    skipped: list[Skipped] = []
    splits = [_sorted_images(path / "train", label_of, skipped)]
    if (path / "val" / ANNOTATIONS).is_file() or (path / "val" / "images").is_dir():
        splits.append(_validation(path / "val", label_of, skipped))
    elif (path / "val").is_dir():
        splits.append(_sorted_images(path / "val", label_of, skipped))
    if (path / "test").is_dir():
        tests = [ImageFile(below(path, file), UNLABELED, File(file)) for file in _images_below(path / "test", skipped)]
        splits.append(Split("test", tests, labeled=False))
    known = {WNIDS, WORDS, *(split.name for split in splits)}
    skipped += [
        Skipped(below(path, path / entry.name), why_skipped(entry) or "next to the three splits")
        for entry in entries(path) if entry.name not in known
    ]  # fmt: skip
    words = words_by_wnid(read_text(path / WORDS)) if (path / WORDS).is_file() else {}
    return Source("tiny-imagenet-200", wnids, words_of(wnids, words), tuple(splits), skipped=tuple(skipped))


def _sorted_images(folder: Path, label_of: dict[str, int], skipped: list[Skipped]) -> Split:
    """The images of each class, in its folder or deeper; adds everything else to `skipped`."""
    found = class_folders(folder, root=folder.parent)
    if different := found.images.keys() ^ label_of.keys():
        shown = first_few([escaped(name) for name in sorted(different)])
        raise bad_data(f"{folder} does not have the class folders of {WNIDS}; they differ by {shown}.")
    skipped += found.skipped
    return Split(folder.name, [
        ImageFile(below(folder.parent, file), label, File(file))
        for wnid, label in label_of.items() for file in found.images[wnid]
    ])  # fmt: skip


def _validation(folder: Path, label_of: dict[str, int], skipped: list[Skipped]) -> Split:
    table = folder / ANNOTATIONS
    if not table.is_file():
        raise bad_data(f"{folder} has images, but no {ANNOTATIONS} that gives their classes.")
    rows = {stem(row[1]): row[2] for line in read_text(table).split("\n") if (row := ANNOTATION.match(line))}
    files = _images_below(folder, skipped)
    labels = labels_in(rows, [file.name for file in files], label_of, table)
    for file, label in zip(files, labels, strict=True):
        above = file.relative_to(folder).parts[0]
        if label_of.get(above, label) != label:
            raise bad_data(f"{file} lies in the class folder {above}, but {ANNOTATIONS} gives it another class.", SORT)
    if len(files) < len(rows):
        raise bad_data(f"{folder} has {len(files):,} of the {len(rows):,} images in {ANNOTATIONS}.")
    return Split("val", [ImageFile(below(folder.parent, file), label, File(file))
                         for file, label in zip(files, labels, strict=True)])  # fmt: skip


def _images_below(folder: Path, skipped: list[Skipped]) -> list[Path]:
    """The images at any depth of a folder; adds everything but the annotations to `skipped`."""
    files = list(walk(folder))
    skipped += [Skipped(below(folder.parent, file), why) for file, why in files if why and file.name != ANNOTATIONS]
    return [file for file, why in files if why is None]
