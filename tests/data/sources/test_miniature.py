import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator, Philox
from PIL import Image
from scipy.io import loadmat

from alexrepro.data.sources.miniature import CLASSES, MARKER, Picture, _encoded, write_miniature
from alexrepro.data.sources.synthetic import OUTLINES, PATTERNS, draw
from alexrepro.errors import UserError
from alexrepro.keys import key

TRAIN, VAL, TEST = 4, 2, 1


def write(folder: Path) -> Path:
    write_miniature(folder, train_per_class=TRAIN, val_per_class=VAL, test_per_class=TEST)
    return folder


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def images(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.JPEG"))


def truth(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().splitlines()]


def headers(paths: list[Path]) -> list[tuple[str | None, str, tuple[int, int]]]:
    """Format, mode, and width and height of each image."""
    found = []
    for path in paths:
        with Image.open(path) as image:
            found.append((image.format, image.mode, image.size))
    return found


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


@pytest.fixture(scope="module")
def meta(miniature: Path) -> dict[str, Any]:
    return loadmat(miniature / "devkit-1.0/data/meta.mat", squeeze_me=True)


def test_every_writing_gives_the_same_bytes(miniature: Path, tmp_path: Path) -> None:
    assert digests(write(tmp_path / "again")) == digests(miniature)


def test_the_folders_and_names_are_the_official_ones(miniature: Path) -> None:
    assert {path.name for path in miniature.iterdir()} == {
        "train", "val", "test", "devkit-1.0", "ILSVRC2010_test_ground_truth.txt", MARKER,
    }  # fmt: skip
    assert {path.relative_to(miniature / "devkit-1.0").as_posix() for path in miniature.glob("devkit-1.0/**/*.*")} == {
        "readme.txt", "data/meta.mat", "data/ILSVRC2010_validation_ground_truth.txt",
    }  # fmt: skip
    assert [path.name for path in images(miniature / "val")][:2] == [
        "ILSVRC2010_val_00000001.JPEG", "ILSVRC2010_val_00000002.JPEG",
    ]  # fmt: skip
    assert images(miniature / "test")[0].name == "ILSVRC2010_test_00000001.JPEG"


def test_every_class_has_its_number_of_images(miniature: Path) -> None:
    names = [path.relative_to(miniature / "train").as_posix().split("/") for path in images(miniature / "train")]
    assert all(name.startswith(f"{wnid}_") for wnid, name in names)
    assert [sum(wnid == row.wnid for wnid, _ in names) for row in CLASSES] == [TRAIN] * 20
    assert len(images(miniature / "val")) == 20 * VAL
    assert len(images(miniature / "test")) == 20 * TEST


def test_training_numbers_are_not_consecutive(miniature: Path) -> None:
    numbers = [int(path.stem.split("_")[1]) for path in images(miniature / "train" / CLASSES[0].wnid)]
    assert len(set(numbers)) == TRAIN
    assert max(numbers) - min(numbers) > TRAIN


@pytest.mark.parametrize(
    ("split", "ground_truth", "per_class"),
    [
        ("val", "devkit-1.0/data/ILSVRC2010_validation_ground_truth.txt", VAL),
        ("test", "ILSVRC2010_test_ground_truth.txt", TEST),
    ],
)
def test_ground_truth_names_the_class_that_was_drawn(
    miniature: Path, meta: dict[str, Any], split: str, ground_truth: str, per_class: int
) -> None:
    words = {row["ILSVRC2010_ID"]: row["words"].split(",")[0] for row in meta["synsets"]}
    ids = truth(miniature / ground_truth)
    paths = images(miniature / split)
    redrawn = [_encoded(Picture(Path(path.name), words[i], "plain")) for i, path in zip(ids, paths, strict=True)]
    assert [path.read_bytes() for path in paths] == redrawn
    assert sorted(ids) == sorted([*range(1, 21)] * per_class)


def test_meta_mat_has_leaves_then_inner_synsets(meta: dict[str, Any]) -> None:
    rows = meta["synsets"]
    assert [row["ILSVRC2010_ID"] for row in rows] == [*range(1, len(rows) + 1)]
    assert [row["WNID"] for row in rows[:20]] == [row.wnid for row in CLASSES]
    assert [row["num_children"] for row in rows[:20]] == [0] * 20
    assert [row["num_train_images"] for row in rows[:20]] == [TRAIN] * 20
    assert all(len(np.atleast_1d(row["children"])) == row["num_children"] for row in rows)
    assert max(row["wordnet_height"] for row in rows) == rows[20]["wordnet_height"] == 3  # the root


@pytest.mark.shared
def test_meta_mat_has_the_types_of_the_real_one(miniature: Path, shared_data: Path) -> None:
    real, ours = (
        loadmat(path)["synsets"]
        for path in (shared_data / "ilsvrc2010-devkit/data/meta.mat", miniature / "devkit-1.0/data/meta.mat")
    )
    assert ours.dtype == real.dtype
    assert ours.ndim == real.ndim
    for field in ours.dtype.names:
        assert ours[field][0, 0].shape == real[field][0, 0].shape
        assert ours[field][0, 0].dtype.kind == real[field][0, 0].dtype.kind


def test_costs_are_heights_of_the_lowest_common_synset(meta: dict[str, Any]) -> None:
    costs = meta["cost_matrix"]
    place = {row.name: index for index, row in enumerate(CLASSES)}
    assert costs.dtype == np.uint8
    assert np.array_equal(costs, costs.T)
    assert np.array_equal(costs == 0, np.eye(20, dtype=bool))
    assert costs[place["disc"], [place[name] for name in ("ring", "square", "grid")]].tolist() == [1, 2, 3]


def test_no_id_agrees_with_the_place_of_its_wnid() -> None:
    wnids = [row.wnid for row in CLASSES]
    assert all(sorted(wnids)[place] != wnid for place, wnid in enumerate(wnids))


def test_one_cmyk_one_png_and_one_unreadable_image_in_train(miniature: Path) -> None:
    train = images(miniature / "train")
    formats, modes, _ = zip(*headers(train), strict=True)
    assert modes.count("CMYK") == 1
    assert formats.count("PNG") == 1
    assert [is_readable(path) for path in train].count(False) == 1
    assert all(is_readable(path) for split in ("val", "test") for path in images(miniature / split))


def test_a_few_images_are_gray(miniature: Path) -> None:
    modes = [mode for _, mode, _ in headers(images(miniature))]
    assert 0 < modes.count("L") < 0.1 * len(modes)  # a share of 0.03 expected


def test_sizes_vary_within_the_stated_range(miniature: Path) -> None:
    sizes = np.array([size for _, _, size in headers(images(miniature))])
    short, long = sizes.min(axis=1), sizes.max(axis=1)
    assert short.min() >= 150
    assert short.max() <= 420
    assert (long / short).max() <= 2
    assert (sizes[:, 0] > sizes[:, 1]).any()
    assert (sizes[:, 0] < sizes[:, 1]).any()


def test_mean_color_says_almost_nothing_about_the_class() -> None:
    forms = (*OUTLINES, *PATTERNS)
    means = np.array(
        [[draw(form, Generator(Philox(key=key(1, form, n)))).mean(axis=(0, 1)) for n in range(30)] for form in forms]
    )  # (20 classes, 30 images, 3)
    centers = means[:, :20].mean(axis=1)
    distances = np.linalg.norm(means[:, 20:, None] - centers, axis=-1)  # (20, 10, 20)
    error = (distances.argmin(axis=-1) != np.arange(20)[:, None]).mean()
    assert error > 0.8  # chance is 0.95


def test_every_class_has_a_form_to_draw() -> None:
    assert {row.name for row in CLASSES} == {*OUTLINES, *PATTERNS}


def test_a_complete_folder_is_left_as_it_is(tmp_path: Path) -> None:
    write(tmp_path)
    removed = images(tmp_path)[0]
    removed.unlink()
    write(tmp_path)
    assert not removed.exists()


def test_an_interrupted_folder_is_completed(miniature: Path, tmp_path: Path) -> None:
    write(tmp_path)
    for path in (tmp_path / MARKER, tmp_path / "ILSVRC2010_test_ground_truth.txt", *images(tmp_path / "val")):
        path.unlink()
    assert digests(write(tmp_path)) == digests(miniature)


def test_a_folder_of_other_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(UserError, match="not empty"):
        write(tmp_path)


def test_a_miniature_of_other_counts_is_refused(miniature: Path) -> None:
    with pytest.raises(UserError, match="not empty"):
        write_miniature(miniature, train_per_class=TRAIN + 1)
