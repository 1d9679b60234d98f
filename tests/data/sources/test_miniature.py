"""The miniature is ILSVRC-2010 in small: its folders and devkit, its odd files, and the same bytes each time."""

import hashlib
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from alexrepro.data.sources.miniature import CLASSES, MARKER, encoded, write_miniature
from alexrepro.errors import UserError

TRAIN, VAL, TEST = 4, 2, 1
VAL_TRUTH = "devkit-1.0/data/ILSVRC2010_validation_ground_truth.txt"
TEST_TRUTH = "ILSVRC2010_test_ground_truth.txt"


def write(folder: Path) -> Path:
    write_miniature(folder, train_per_class=TRAIN, val_per_class=VAL, test_per_class=TEST)
    return folder


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def images(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.JPEG"))


def is_readable(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.load()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("miniature"))


def test_an_interrupted_miniature_is_completed_to_the_same_bytes(miniature: Path, tmp_path: Path) -> None:
    folder = Path(copytree(miniature, tmp_path / "folder"))
    for path in (folder / MARKER, folder / TEST_TRUTH, *images(folder)[::2]):
        path.unlink()

    assert digests(write(folder)) == digests(miniature)


@pytest.mark.parametrize(("split", "truth", "per_class"), [("val", VAL_TRUTH, VAL), ("test", TEST_TRUTH, TEST)])
def test_the_ground_truth_names_the_class_that_was_drawn(
    miniature: Path, split: str, truth: str, per_class: int
) -> None:
    ids = [int(line) for line in (miniature / truth).read_text().splitlines()]
    paths = images(miniature / split)

    redrawn = [encoded(path.stem, CLASSES[number - 1]) for number, path in zip(ids, paths, strict=True)]

    assert [path.read_bytes() for path in paths] == redrawn
    assert sorted(ids) == sorted([*range(1, 21)] * per_class)


@pytest.mark.shared
def test_meta_mat_has_the_types_of_the_real_one(miniature: Path, shared_data: Path) -> None:
    real, ours = (
        loadmat(path)["synsets"]
        for path in (shared_data / "ilsvrc2010-devkit/data/meta.mat", miniature / "devkit-1.0/data/meta.mat")
    )
    assert (ours.dtype, ours.ndim) == (real.dtype, real.ndim)
    for field in ours.dtype.names:
        assert ours[field][0, 0].shape == real[field][0, 0].shape
        assert ours[field][0, 0].dtype.kind == real[field][0, 0].dtype.kind


def test_no_id_is_the_position_of_its_sorted_wnid() -> None:
    assert all(in_order != wnid for in_order, wnid in zip(sorted(CLASSES), CLASSES, strict=True))


def test_images_have_many_sizes_and_a_few_odd_formats(miniature: Path) -> None:
    found = []
    for path in images(miniature):
        with Image.open(path) as image:
            found.append((image.format, image.mode, image.size))
    formats, modes, sizes = zip(*found, strict=True)
    unreadable = [path.relative_to(miniature).parts[0] for path in images(miniature) if not is_readable(path)]

    assert (modes.count("CMYK"), formats.count("PNG"), unreadable) == (1, 1, ["train"])
    assert 0 < modes.count("L") < 0.1 * len(modes)  # 0.03 expected
    assert min(map(min, sizes)) >= 150
    assert {width > height for width, height in sizes} == {True, False}


def test_mean_color_hardly_depends_on_the_class() -> None:
    from alexrepro.data.sources.miniature import draw

    means = np.array(
        [[draw(wnid, np.random.default_rng(n)).mean(axis=(0, 1)) for n in range(100 * i, 100 * i + 16)]
         for i, wnid in enumerate(CLASSES)]
    )  # fmt: skip  # (20 classes, 16 images, 3)
    centers = means[:, :10].mean(axis=1)
    distances = np.linalg.norm(means[:, 10:, None] - centers, axis=-1)  # (20, 6, 20)

    assert (distances.argmin(axis=-1) != np.arange(20)[:, None]).mean() > 0.8  # chance is 0.95


def test_a_complete_folder_is_left_as_it_is(miniature: Path, tmp_path: Path) -> None:
    folder = Path(copytree(miniature, tmp_path / "folder"))
    removed = images(folder)[0]
    removed.unlink()

    write(folder)

    assert not removed.exists()


def test_other_images_and_other_counts_are_refused(miniature: Path, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()

    with pytest.raises(UserError, match="not empty"):
        write(tmp_path)
    with pytest.raises(UserError, match="not empty"):
        write_miniature(miniature, train_per_class=TRAIN + 1)
