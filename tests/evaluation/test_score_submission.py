"""Scores of a contest's file, against a plain loop that follows the devkit's words."""

from pathlib import Path

import numpy as np
import pytest

from alexrepro.data.sources.devkit import truth
from alexrepro.data.sources.miniature import write_miniature
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.score_submission import count_guesses, read_guesses, score


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A devkit of 20 classes with the classes of 20 images of val and 40 of test."""
    folder = tmp_path_factory.mktemp("photos")
    write_miniature(folder, train_per_class=1, val_per_class=1, test_per_class=2)
    return folder


def written(folder: Path, lines: list[str]) -> Path:
    file = folder / "answers.txt"
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def drawn(labels: list[int], classes: int, seed: int) -> list[list[int]]:
    """None to five guesses an image, the right one among them now and then, some named twice."""
    draws = np.random.default_rng(seed)
    found = []
    for label in labels:
        some = draws.integers(1, classes + 1, size=draws.integers(0, 6)).tolist()
        found.append([label, *some[1:]] if some and draws.random() < 0.2 else some)
    return found


def by_loop(guesses: list[list[int]], labels: list[int]) -> list[float]:
    return [
        sum(label not in some[:allowed] for some, label in zip(guesses, labels, strict=True)) / len(labels)
        for allowed in range(1, 6)
    ]


@pytest.mark.shared
def test_the_real_classes_are_scored_as_by_a_plain_loop(shared_data: Path, tmp_path: Path) -> None:
    devkit = shared_data / "ilsvrc2010-devkit"
    labels = truth(devkit, "ILSVRC2010_validation_ground_truth.txt", classes=1000)
    assert labels is not None
    guesses = drawn(labels, 1000, seed=0)

    found = score(written(tmp_path, [" ".join(map(str, some)) for some in guesses]), devkit)

    assert (found.split, found.images) == ("val", 50_000)
    assert found.flat == pytest.approx(by_loop(guesses, labels), abs=1e-12)  # rounding only
    assert found.flat[0] > found.flat[4] > 0.5


@pytest.mark.parametrize("content", [b"1 2\n\n3\n", b"1 2\r\n\r\n3\r\n", b"1\t2 \n \n 3", b"01 2\n\n3"])
def test_lines_end_and_blanks_stand_as_programs_write_them(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "answers.txt").write_bytes(content)

    assert read_guesses(tmp_path / "answers.txt", classes=3).tolist() == [[1, 2, 0, 0, 0], [0] * 5, [3, 0, 0, 0, 0]]


def test_scores_are_those_made_by_hand() -> None:
    guesses = np.array([[1, 2, 0, 0, 0], [3, 3, 2, 1, 0], [0, 0, 0, 0, 0]])

    flat = count_guesses(guesses, np.array([2, 1, 3]))

    assert flat == pytest.approx((1, 2 / 3, 2 / 3, 1 / 3, 1 / 3))


@pytest.mark.parametrize(("split", "images"), [("val", 20), ("test", 40)])
def test_the_number_of_lines_tells_the_split(miniature: Path, tmp_path: Path, split: str, images: int) -> None:
    name = f"ILSVRC2010_{'validation' if split == 'val' else split}_ground_truth.txt"
    labels = truth(miniature, name, classes=20)
    assert labels is not None

    found = score(written(tmp_path, [str(label) for label in labels]), miniature)

    assert (found.split, found.images, found.flat) == (split, images, (0.0,) * 5)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("1 2 3 4 5 6", r"line 7, has 6 guesses"),
        ("1 21", r"line 7, has '21', which is no number of a class"),
        ("0", r"line 7, has '0'"),
        ("-1", r"line 7, has '-1'"),
        ("1.0", r"line 7, has '1\.0'"),
        ("1,2", r"line 7, has '1,2'"),
        ("n02084071", r"line 7, has 'n02084071'"),
        ("\x1b[31m", r"line 7, has '\\x1b\[31m'"),
        ("1" * 5000, r"line 7, has '1{20}'"),
        ("٣", r"line 7, has '\\ufffd\\ufffd'"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(miniature: Path, tmp_path: Path, line: str, what: str) -> None:
    file = written(tmp_path, ["1 2 3", "", *["5"] * 4, line, *["5"] * 13])

    with pytest.raises(UserError, match=what) as refused:
        score(file, miniature)

    assert refused.value.exit_code is Exit.BAD_DATA


@pytest.mark.parametrize("images", [0, 19, 21])
def test_a_wrong_number_of_lines_is_refused(miniature: Path, tmp_path: Path, images: int) -> None:
    with pytest.raises(UserError, match=rf"ends after line {images}, .*20 images of val, 40 images of test") as refused:
        score(written(tmp_path, ["1"] * images), miniature)

    assert refused.value.exit_code is Exit.BAD_DATA


def test_two_splits_of_one_size_are_not_guessed_between(tmp_path: Path) -> None:
    write_miniature(tmp_path, train_per_class=1, val_per_class=1, test_per_class=1)

    with pytest.raises(UserError, match="20 images of val, 20 images of test"):
        score(written(tmp_path, ["1"] * 20), tmp_path)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "answers.txt").open("wb") as file:
        file.truncate(20_000_001)  # a hole, which takes no room

    with pytest.raises(UserError, match="more than 20,000,000 bytes"):
        read_guesses(tmp_path / "answers.txt", classes=1000)


@pytest.mark.parametrize("lacks", ["devkit", "truths", "file"])
def test_what_is_missing_is_named(miniature: Path, tmp_path: Path, lacks: str) -> None:
    devkit = tmp_path / "devkit"
    devkit.mkdir()
    if lacks != "devkit":
        (devkit / "meta.mat").write_bytes((miniature / "devkit-1.0/data/meta.mat").read_bytes())
    file = tmp_path / "none.txt" if lacks == "file" else written(tmp_path, ["1"])

    with pytest.raises(
        UserError, match={"devkit": "no meta.mat", "truths": "no ILSVRC", "file": "no file"}[lacks]
    ) as no:
        score(file, devkit)

    assert no.value.exit_code is Exit.MISSING_INPUT
