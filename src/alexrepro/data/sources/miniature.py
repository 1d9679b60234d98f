"""A built-in miniature of ILSVRC-2010 (§2): drawn images in the official folders, with devkit and ground truths.

For trying every command without the real images. It has their traits on purpose: ids that do not follow the WNIDs,
images of every size, some of them gray, one CMYK image, one PNG named JPEG, and one file that cannot be read.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from alexrepro.data.sources.synthetic import draw
from alexrepro.errors import Exit, UserError
from alexrepro.keys import key
from alexrepro.progress import progress

TRAIN_PER_CLASS = 100
VAL_PER_CLASS = 10
TEST_PER_CLASS = 25
SEED = 2010
JPEG_QUALITY = 90
GRAY_SHARE = 0.03
GREATEST_GAP = 90  # between the numbers in two names of training images, which are not consecutive in the original
MARKER = "MINIATURE.txt"
README = "devkit-1.0/readme.txt"
MAT_TITLE_BYTES = 116  # opening of a MAT-file; scipy writes the time there, which would change the file

Kind = Literal["plain", "cmyk", "png", "truncated"]
ODD_KINDS: dict[str, Kind] = {"n91069355": "cmyk", "n91520418": "png", "n90137742": "truncated"}  # first image of each


@dataclass(frozen=True)
class Synset:
    """One row of SYNSETS; its place there, from 1, is its ILSVRC2010_ID."""

    wnid: str
    parent: str  # name of the synset above, empty at the root
    words: str
    gloss: str

    @property
    def name(self) -> str:
        """The first of the words, which for a class is also the form to draw."""
        return self.words.split(",")[0]


@dataclass(frozen=True)
class Picture:
    """One image to draw; `path` is relative to the folder of the miniature."""

    path: Path
    form: str
    kind: Kind


# As in the original: the classes come first, the root follows them, and no id agrees with the place of its WNID in
# sorted order. WordNet's noun offsets end near 15 million, so no real WNID starts with n9.
SYNSETS = (
    Synset("n91184023", "round outline", "heart, love heart", "two lobes above a point"),
    Synset("n91520418", "cell pattern", "polka dots, dotted pattern", "rows of small discs"),
    Synset("n90137742", "cornered outline", "triangle, trigon", "three equal sides"),
    Synset("n91837206", "band pattern", "zigzag, chevron pattern", "bands that turn up and down"),
    Synset("n90418829", "round outline", "disc, disk", "all within one circle"),
    Synset("n90261950", "cell pattern", "grid, lattice", "thin lines that cross at right angles"),
    Synset("n91943387", "pointed outline", "star, five-pointed star", "five points around a middle"),
    Synset("n90056614", "band pattern", "vertical stripes, pinstripes", "bands that run up and down"),
    Synset("n91302671", "round outline", "ring, annulus, hoop", "all between two circles"),
    Synset("n90984416", "free pattern", "spots, cow pattern", "patches without form"),
    Synset("n90349507", "cornered outline", "square, box", "four equal sides, filled"),
    Synset("n91648830", "cell pattern", "bricks, running bond", "courses of bricks, each shifted by half a brick"),
    Synset("n90872093", "band pattern", "horizontal stripes, level stripes", "bands that run from side to side"),
    Synset("n90603281", "round outline", "crescent, half-moon", "a circle less another circle"),
    Synset("n91755962", "pointed outline", "cross, plus sign", "four equal arms"),
    Synset("n90731125", "free pattern", "target, bullseye", "rings around one point"),
    Synset("n90520748", "cornered outline", "frame, square outline", "four equal sides, empty within"),
    Synset("n91411594", "cell pattern", "checkerboard, checks", "squares of two colors by turns"),
    Synset("n91069355", "pointed outline", "arrow, pointer", "a shaft with a head"),
    Synset("n90195873", "band pattern", "diagonal stripes, slanted stripes", "bands that run from corner to corner"),
    Synset("n95000017", "", "form, drawn form", "anything that the miniature draws"),
    Synset("n95210466", "form", "outline, figure", "a plain figure, told by its edge"),
    Synset("n95178302", "form", "pattern, texture", "a blob of any edge, told by what fills it"),
    Synset("n95633914", "outline", "round outline", "an outline with a curved edge"),
    Synset("n95407785", "outline", "cornered outline", "an outline of three or four sides"),
    Synset("n95821148", "outline", "pointed outline", "an outline with arms or points"),
    Synset("n95316650", "pattern", "band pattern, striped pattern", "a pattern of parallel bands"),
    Synset("n95755209", "pattern", "cell pattern", "a pattern that repeats in two directions"),
    Synset("n95542871", "pattern", "free pattern", "a pattern that repeats in no straight direction"),
)
CLASSES = SYNSETS[:20]


def write_miniature(
    folder: Path,
    *,
    train_per_class: int = TRAIN_PER_CLASS,
    val_per_class: int = VAL_PER_CLASS,
    test_per_class: int = TEST_PER_CLASS,
) -> None:
    """Fill the folder with the miniature, the same bytes each time (§2).

    A folder that is complete is left as it is, and one whose writing was interrupted is completed.
    Raises UserError if the folder holds anything else, or a miniature of other counts.
    """
    val_ids, test_ids = _class_ids("val", val_per_class), _class_ids("test", test_per_class)
    readme = _readme(train_per_class, val_per_class, test_per_class)
    _check_is_ours(folder, readme)
    if (folder / MARKER).exists():
        return
    _write(folder / README, readme.encode())  # first: it tells an interrupted miniature from any other folder
    _write(folder / "devkit-1.0/data/meta.mat", _meta_mat(train_per_class))
    _write(folder / "devkit-1.0/data/ILSVRC2010_validation_ground_truth.txt", _lines(val_ids))
    _write(folder / "ILSVRC2010_test_ground_truth.txt", _lines(test_ids))
    pictures = (*_train(train_per_class), *_numbered("val", val_ids), *_numbered("test", test_ids))
    with progress("Drawing the miniature", total=len(pictures), unit="images") as advance:
        for picture in pictures:
            if not (folder / picture.path).exists():
                _write(folder / picture.path, _encoded(picture))
            advance(1, "")
    _write(
        folder / MARKER,
        b"A miniature of ILSVRC-2010 in its official folders: drawn images of 20 made-up classes, not photographs.\n"
        b"alexrepro drew it to show that everything runs; errors measured on it say nothing about ImageNet.\n",
    )


def _check_is_ours(folder: Path, readme: str) -> None:
    """Refuse a folder of other images, whose files would be mixed with ours or taken for them."""
    is_empty = not folder.exists() or not any(folder.iterdir())
    is_ours = (folder / README).exists() and (folder / README).read_text(encoding="utf-8", errors="replace") == readme
    if not (is_empty or is_ours):
        raise UserError(
            f"Folder {folder} is not empty and holds no miniature of these counts; drawing there would mix two sets.",
            fix="Name a folder that does not exist yet, or delete this one.",
            exit_code=Exit.CANNOT_CREATE,
        )


def _random(*words: int | str) -> Generator:
    return Generator(Philox(key=key(SEED, "miniature", *words)))


def _class_ids(split: str, per_class: int) -> tuple[int, ...]:
    """ILSVRC2010_ID of each image of the split, in the order of file names."""
    ids = np.repeat(np.arange(1, len(CLASSES) + 1), per_class)
    return tuple(_random(split, "ids").permutation(ids).tolist())


def _train(per_class: int) -> tuple[Picture, ...]:
    pictures = []
    for row in CLASSES:
        numbers = _random("train", row.wnid).integers(1, GREATEST_GAP, per_class, endpoint=True).cumsum()
        for position, number in enumerate(numbers.tolist()):
            kind = ODD_KINDS.get(row.wnid, "plain") if position == 0 else "plain"
            pictures.append(Picture(Path("train", row.wnid, f"{row.wnid}_{number}.JPEG"), row.name, kind))
    return tuple(pictures)


def _numbered(split: str, ids: tuple[int, ...]) -> tuple[Picture, ...]:
    return tuple(
        Picture(Path(split, f"ILSVRC2010_{split}_{number:08d}.JPEG"), CLASSES[class_id - 1].name, "plain")
        for number, class_id in enumerate(ids, start=1)
    )


def _encoded(picture: Picture) -> bytes:
    """The file of one picture, drawn from the key of its name."""
    generator = _random(picture.path.stem)
    image = Image.fromarray(draw(picture.form, generator))
    if picture.kind == "plain" and generator.random() < GRAY_SHARE:
        image = image.convert("L")
    if picture.kind == "cmyk":
        image = image.convert("CMYK")
    stream = io.BytesIO()
    image.save(stream, "PNG" if picture.kind == "png" else "JPEG", quality=JPEG_QUALITY)
    content = stream.getvalue()
    return content[: len(content) // 2] if picture.kind == "truncated" else content


def _ancestors(synset: Synset) -> tuple[Synset, ...]:
    """The synset, then those above it, up to the root."""
    above = [row for row in SYNSETS if row.name == synset.parent]
    return (synset, *(_ancestors(above[0]) if above else ()))


def _height(synset: Synset) -> int:
    """Steps down to the farthest class below; 0 for a class."""
    return max(_ancestors(row).index(synset) for row in CLASSES if synset in _ancestors(row))


def _cost(guess: Synset, truth: Synset) -> int:
    """Height of the lowest synset above both (ILSVRC-2010 devkit, readme.txt)."""
    return next(_height(row) for row in _ancestors(guess) if row in _ancestors(truth))


def _meta_mat(train_per_class: int) -> bytes:
    """`synsets` and `cost_matrix` in the shapes and types of the original file."""
    rows = []
    for synset_id, row in enumerate(SYNSETS, start=1):
        children = [number for number, child in enumerate(SYNSETS, start=1) if child.parent == row.name]
        images = 0 if children else train_per_class
        numbers = (np.uint8(len(children)), np.array([children], np.uint8), np.uint8(_height(row)), np.uint16(images))
        rows.append((np.uint8(synset_id), row.wnid, row.words, row.gloss, *numbers))
    fields = ("ILSVRC2010_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height")
    synsets = np.array(rows, dtype=[(field, object) for field in (*fields, "num_train_images")])
    costs: NDArray[np.uint8] = np.array([[_cost(a, b) for b in CLASSES] for a in CLASSES], dtype=np.uint8)
    stream = io.BytesIO()
    variables = {"synsets": synsets[:, None], "cost_matrix": costs}
    savemat(stream, variables, do_compression=True)  # type: ignore[arg-type]  # scipy-stubs leaves streams out
    title = b"MATLAB 5.0 MAT-file, miniature of ILSVRC-2010 by alexrepro"
    return title.ljust(MAT_TITLE_BYTES) + stream.getvalue()[MAT_TITLE_BYTES:]


def _lines(ids: tuple[int, ...]) -> bytes:
    return "".join(f"{class_id}\n" for class_id in ids).encode()


def _readme(train_per_class: int, val_per_class: int, test_per_class: int) -> str:
    return (
        "Development kit of the miniature of ILSVRC-2010, drawn by alexrepro.\n\n"
        f"{len(CLASSES)} classes, with {train_per_class} training images each, {val_per_class} validation images and "
        f"{test_per_class} test images.\n\n"
        "data/meta.mat: `synsets`, one row for each class and then for each synset above them, in order of\n"
        "ILSVRC2010_ID; and `cost_matrix`, the height of the lowest synset above both of two classes.\n"
        "data/ILSVRC2010_validation_ground_truth.txt: the ILSVRC2010_ID of each validation image, one on each line,\n"
        "in the order of file names. ILSVRC2010_test_ground_truth.txt, beside this folder, does the same for testing.\n"
    )


def _write(path: Path, content: bytes) -> None:
    """The whole file or none of it, so that a file that exists is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
