"""A fake of ILSVRC-2012 in its official layout, at any size, for `rehearsal.py`: different JPEGs of 64x48 pixels."""

import io
import tarfile
from pathlib import Path

import numpy as np
import simplejpeg
from scipy.io import savemat

CLASSES, VAL_SHARE = 1000, 25  # a validation image for every 25 training images: 50,000 of 1.28 million
EMPTY = bytes(1024)  # the end of a tar


def pictures(count: int = 64) -> list[bytes]:
    """Some JPEGs of smooth noise, without their first two bytes."""
    draws, found = np.random.default_rng(0), []
    for _ in range(count):
        coarse = draws.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        found.append(simplejpeg.encode_jpeg(coarse.repeat(8, 0).repeat(8, 1), quality=60)[2:])
    return found


def image(number: int, drawn: list[bytes]) -> bytes:
    """An image with its number as a comment."""
    comment = b"image %d" % number
    return b"\xff\xd8\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + drawn[number % len(drawn)]


def header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def member(name: str, data: bytes) -> bytes:
    return header(name, len(data)) + data + bytes(-len(data) % 512)


def class_tar(wnid: str, numbers: range, drawn: list[bytes]) -> bytes:
    return b"".join(member(f"{wnid}_{n}.JPEG", image(n, drawn)) for n in numbers) + EMPTY


def wnids(classes: int) -> list[str]:
    return [f"n{90_000_000 + 7 * label}" for label in range(classes)]


def write_class_tars(file: Path, images: int, classes: int) -> list[int]:
    """A tar of class tars; how many images each class has."""
    drawn, counts = pictures(), []
    with file.open("wb") as outer:
        for label, wnid in enumerate(wnids(classes)):
            numbers = range(images * label // classes, images * (label + 1) // classes)
            outer.write(member(f"{wnid}.tar", class_tar(wnid, numbers, drawn)))
            counts.append(len(numbers))
        outer.write(EMPTY)
    return counts


def write_ilsvrc(folder: Path, images: int) -> None:
    """The official archives: training, validation and devkit."""
    folder.mkdir(parents=True)
    counts, drawn, val = write_class_tars(folder / "ILSVRC2012_img_train.tar", images, CLASSES), pictures(), []
    with (folder / "ILSVRC2012_img_val.tar").open("wb") as tar:
        for number in range(1, images // VAL_SHARE + 1):
            tar.write(member(f"ILSVRC2012_val_{number:08d}.JPEG", image(number, drawn)))
            val.append(1 + number % CLASSES)
        tar.write(EMPTY)
    fields = ("ILSVRC2012_ID", "WNID", "words", "num_children", "num_train_images")
    synsets = np.empty(CLASSES, dtype=[(name, object) for name in fields])
    synsets[:] = [(n, wnid, f"class {n}", 0, counts[n - 1]) for n, wnid in enumerate(wnids(CLASSES), 1)]
    meta = io.BytesIO()
    savemat(meta, {"synsets": synsets})
    truth = "".join(f"{number}\n" for number in val).encode()
    with tarfile.open(folder / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as devkit:
        for name, data in (("meta.mat", meta.getvalue()), ("ILSVRC2012_validation_ground_truth.txt", truth)):
            info = tarfile.TarInfo(f"ILSVRC2012_devkit_t12/data/{name}")
            info.size = len(data)
            devkit.addfile(info, io.BytesIO(data))
