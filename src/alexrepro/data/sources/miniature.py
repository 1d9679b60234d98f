"""A built-in miniature of ILSVRC-2010 (§2): 20 drawn textures in the official folders, with devkit and ground truths.

For trying every command without ImageNet. Like the original it has ids that do not follow the WNIDs, images of every
size, some of them gray, one CMYK image, one PNG named JPEG, and one file that cannot be read.
"""
# ruff: noqa: ARG005 - every texture takes x, y and a generator

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from alexrepro.errors import Exit, UserError
from alexrepro.keys import key
from alexrepro.progress import progress

Plane = NDArray[np.floating[Any]]  # (H, W)

SEED = 2010
JPEG_QUALITY, GRAY_FRACTION = 90, 0.03
GREATEST_STEP = 90  # between the numbers in the names of two training images
SHORT_SIDE_PX = (150.0, 270.0, 420.0)  # least, most frequent, greatest
PERIOD_PX = (24.0, 40.0)  # where the short side is 256: the first layer's kernels are 11 px wide (§3.5)
GREATEST_TURN = 0.2  # slope, about 12 degrees
LEAST_LUMA_GAP = 75.0  # of 255, between the two colors of a texture
NOISE = 20.0  # half width, in levels of 255
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
MARKER, README = "MINIATURE.txt", "devkit-1.0/readme.txt"
MAT_TITLE_BYTES = 116  # start of a MAT-file, where scipy writes the time


def _wave(t: Plane) -> Plane:
    """A triangle wave of period 1 between -1 and 1; only + - * / √ are used, which are rounded alike everywhere."""
    return 1 - 4 * np.abs(t - np.rint(t))


def _cell(x: Plane, y: Plane) -> Plane:
    """The distance to the nearest point of a square lattice."""
    return np.sqrt((x - np.rint(x)) ** 2 + (y - np.rint(y)) ** 2)


def _bars(x: Plane, y: Plane) -> Plane:
    return 0.12 - np.minimum(np.abs(x - np.rint(x)), np.abs(y - np.rint(y)))


def _soft_noise(x: Plane, grain: float, generator: Generator) -> Plane:
    shape = [2 + int(side * grain) for side in x.shape]
    coarse = Image.fromarray(generator.uniform(-1, 1, shape).astype(np.float32))
    return np.asarray(coarse.resize(x.shape[::-1], Image.Resampling.BICUBIC))


# WNID and texture: positive values of x, y (in periods from the center) get the first color, negative the second.
# No id, counted from 1, is the position of its WNID in sorted order; WordNet has no real WNID that starts with n9.
TEXTURES: dict[str, tuple[str, Callable[[Plane, Plane, Generator], Plane]]] = {
    "n91184023": ("concentric diamonds", lambda x, y, g: _wave((np.abs(x) + np.abs(y)) * 0.7)),
    "n91520418": ("polka dots", lambda x, y, g: 0.3 - _cell(x, y)),
    "n90137742": ("honeycomb", lambda x, y, g: _wave(x) + _wave(x / 2 + 0.87 * y) + _wave(x / 2 - 0.87 * y)),
    "n91837206": ("zigzag", lambda x, y, g: _wave(y + 2 * np.abs(x / 2 - np.rint(x / 2)))),
    "n90418829": ("disc", lambda x, y, g: 2.2 - np.sqrt(x * x + y * y)),
    "n90261950": ("grid", lambda x, y, g: np.maximum(_wave(x), _wave(y)) - 0.5),
    "n91943387": ("plus signs", lambda x, y, g: np.minimum(0.4 - _cell(x, y), _bars(x, y))),
    "n90056614": ("vertical stripes", lambda x, y, g: _wave(x)),
    "n91302671": ("rings", lambda x, y, g: 0.1 - np.abs(_cell(x, y) - 0.32)),
    "n90984416": ("spots", lambda x, y, g: _soft_noise(x, 0.04, g)),
    "n90349507": ("square", lambda x, y, g: 2 - np.maximum(np.abs(x), np.abs(y))),
    "n91648830": ("bricks", lambda x, y, g: np.minimum(0.5 - _wave(y), 0.6 - _wave((x + np.floor(y)) / 2))),
    "n90872093": ("horizontal stripes", lambda x, y, g: _wave(y)),
    "n90603281": ("fine grain", lambda x, y, g: _soft_noise(x, 0.3, g)),
    "n91755962": ("cross", lambda x, y, g: 0.7 - np.minimum(np.abs(x), np.abs(y))),
    "n90731125": ("target", lambda x, y, g: _wave(np.sqrt(x * x + y * y))),
    "n90520748": ("frames", lambda x, y, g: _wave(np.maximum(np.abs(x), np.abs(y)))),
    "n91411594": ("checkerboard", lambda x, y, g: _wave(x) * _wave(y)),
    "n91069355": ("thin stripes", lambda x, y, g: _wave(x * 3)),
    "n90195873": ("diagonal stripes", lambda x, y, g: _wave((x + g.choice((-1, 1)) * y) * 0.7)),
}
ROOT = ("n95000017", "texture")
ODD = {"n91069355": "cmyk", "n91520418": "png", "n90137742": "truncated"}  # the first training image of each
CLASSES = tuple(TEXTURES)


def write_miniature(
    folder: Path, *, train_per_class: int = 100, val_per_class: int = 10, test_per_class: int = 25
) -> None:
    """Fill the folder with the miniature, the same bytes each time (§2).

    A complete folder is left as it is, and an interrupted one is completed. Raises UserError if the folder holds
    anything else, or a miniature of other counts.
    """
    counts = {"train": train_per_class, "val": val_per_class, "test": test_per_class}
    readme = (
        f"Development kit of the miniature of ILSVRC-2010, drawn by alexrepro. Images per class: {counts}.\n".encode()
    )
    is_ours = (folder / README).is_file() and (folder / README).read_bytes() == readme
    if not is_ours and folder.exists() and any(folder.iterdir()):
        raise UserError(
            f"Folder {folder} is not empty and holds no miniature of these counts; drawing there would mix two sets.",
            fix="Name a folder that does not exist yet, or delete this one.", exit_code=Exit.CANNOT_CREATE,
        )  # fmt: skip
    if (folder / MARKER).exists():
        return
    _write(folder / README, readme)  # first: an interrupted miniature is known by it
    _write(folder / "devkit-1.0/data/meta.mat", _meta_mat(train_per_class))
    images = dict[
        str, tuple[str, str]
    ]()  # WNID and kind by path; the numbers in the names have gaps, as in the original
    for wnid in CLASSES:
        numbers = _random("train", wnid).integers(1, GREATEST_STEP, train_per_class, endpoint=True).cumsum().tolist()
        names = [f"train/{wnid}/{wnid}_{number}.JPEG" for number in numbers]
        images |= {name: (wnid, ODD.get(wnid, "plain") if name == names[0] else "plain") for name in names}
    for split, truth in (
        ("val", "devkit-1.0/data/ILSVRC2010_validation_ground_truth.txt"),
        ("test", "ILSVRC2010_test_ground_truth.txt"),
    ):
        ids = _random(split, "ids").permutation(np.repeat(np.arange(1, len(CLASSES) + 1), counts[split])).tolist()
        _write(folder / truth, "".join(f"{class_id}\n" for class_id in ids).encode())
        paths = (f"{split}/ILSVRC2010_{split}_{number:08d}.JPEG" for number in range(1, len(ids) + 1))
        images |= {name: (CLASSES[class_id - 1], "plain") for name, class_id in zip(paths, ids, strict=True)}
    with progress("Drawing the miniature", total=len(images), unit="images") as advance:
        for name, (wnid, kind) in images.items():
            if not (folder / name).exists():
                _write(folder / name, encoded(Path(name).stem, wnid, kind))
            advance(1, "")
    _write(
        folder / MARKER,
        b"A miniature of ILSVRC-2010 in its official folders: 20 classes of drawn textures, not real images.\n"
        b"It shows that everything runs; errors measured on it say nothing about ImageNet.\n",
    )


def draw(wnid: str, generator: Generator) -> NDArray[np.uint8]:
    """An image of a class in random size, colors, period, turn and phase: (H, W, 3)."""
    short = round(generator.triangular(*SHORT_SIDE_PX))
    long = int(short * (1 + generator.random() ** 2))  # up to twice as long, but most only a little
    height, width = (short, long) if generator.random() < 0.7 else (long, short)
    period = short / 256 * generator.uniform(*PERIOD_PX)
    center_y, center_x = (side / 2 + generator.uniform(-1, 1) * period for side in (height, width))
    rows, columns = np.ogrid[:height, :width]
    y, x = (rows - center_y) / period, (columns - center_x) / period
    slope = generator.uniform(-GREATEST_TURN, GREATEST_TURN)
    scale = math.sqrt(1 + slope * slope)
    value = TEXTURES[wnid][1]((x + slope * y) / scale, (y - slope * x) / scale, generator)
    first = generator.uniform(0, 255, 3)
    others = generator.uniform(0, 255, (32, 3))
    second = others[np.argmax(np.abs((others - first) @ LUMA) >= LEAST_LUMA_GAP)]
    covered = np.clip(value * period / 4 + 0.5, 0, 1)[..., None]  # soft edges
    noise = generator.uniform(-NOISE, NOISE, (height, width, 1))
    image: NDArray[np.uint8] = np.clip(first * covered + second * (1 - covered) + noise, 0, 255).astype(np.uint8)
    return image


def encoded(stem: str, wnid: str, kind: str = "plain") -> bytes:
    """The file of one image, drawn from the key of its name."""
    generator = _random(stem)
    image = Image.fromarray(draw(wnid, generator))
    if kind == "plain" and generator.random() < GRAY_FRACTION:
        image = image.convert("L")
    if kind == "cmyk":
        image = image.convert("CMYK")
    stream = io.BytesIO()
    image.save(stream, "PNG" if kind == "png" else "JPEG", quality=JPEG_QUALITY)
    content = stream.getvalue()
    return content[: len(content) // 2] if kind == "truncated" else content


def _random(*words: int | str) -> Generator:
    return Generator(Philox(key=key(SEED, "miniature", *words)))


def _meta_mat(train_per_class: int) -> bytes:
    """`synsets` in the shape and types of the original file: the classes, then the synset above them."""
    rows = [
        (np.uint8(number), wnid, name, "a drawn texture", np.uint8(0), np.zeros((1, 0), np.uint8), np.uint8(0),
         np.uint16(train_per_class))
        for number, (wnid, (name, _)) in enumerate(TEXTURES.items(), start=1)
    ]  # fmt: skip
    children = np.arange(1, len(CLASSES) + 1, dtype=np.uint8)[None]
    rows.append((np.uint8(len(CLASSES) + 1), *ROOT, "any of the textures", np.uint8(len(CLASSES)), children,
                 np.uint8(1), np.uint16(0)))  # fmt: skip
    fields = ("ILSVRC2010_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height")
    synsets = np.array(rows, dtype=[(field, object) for field in (*fields, "num_train_images")])
    stream = io.BytesIO()
    savemat(stream, {"synsets": synsets[:, None]}, do_compression=True)  # type: ignore[arg-type]  # streams, too
    title = b"MATLAB 5.0 MAT-file, miniature of ILSVRC-2010 by alexrepro"
    return title.ljust(MAT_TITLE_BYTES) + stream.getvalue()[MAT_TITLE_BYTES:]


def _write(path: Path, content: bytes) -> None:
    """The whole file or none of it, so that a file that exists is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
