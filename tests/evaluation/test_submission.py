"""Submission files of the challenge: written in the order of the file names, and scored as the devkit does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.sources.official_files import truth
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation import submission
from alexrepro.evaluation.evaluate import open_runs
from alexrepro.evaluation.submission import read_submission, score_submission
from alexrepro.runs.predictions import About, Predictions
from alexrepro.runs.run import Run

IDS = (449, 7, 1000, 2, 88, 31)  # of six classes in the order of their labels
ABOUT = About("run", 90, "ilsvrc2012-test", "ten", "5704e", "9e0ce55", tuple("abcdef"), tuple("abcdef"))


def test_lines_are_the_devkits_numbers_in_the_order_of_the_file_names(tmp_path: Path) -> None:
    names = pa.chunked_array([["test_00000003.JPEG", "test_00000001.JPEG"], ["test_00000002.JPEG"]])
    top5 = np.array([[0, 1, 2, 3, 4], [5, 4, 3, 2, 1], [2, 0, 5, 1, 3]])
    predictions = Predictions(ABOUT, names, -np.ones(3, int), top5, np.zeros((3, 5), "f4"), np.zeros(3), np.zeros(3))

    submission.write_submission(predictions, IDS, tmp_path / "submission.txt")

    assert (tmp_path / "submission.txt").read_text() == "31 88 2 1000 7\n1000 449 31 7 2\n449 7 1000 2 88\n"


def test_a_store_without_labels_can_be_submitted(
    run: Run, stores: dict[str, Store], device: Device, tmp_path: Path
) -> None:
    known = stores["test"]
    store = Store(known.path, replace(known.manifest, ilsvrc_ids=(20, 10), labeled=False))
    store.__dict__["labels"] = -np.ones(18, dtype=np.int64)

    lines = submission.submit(
        open_runs([run], store, crops="center", device=device, folder=tmp_path), tmp_path / "a.txt"
    )

    written = (tmp_path / "a.txt").read_text().splitlines()
    assert lines == len(written) == 18
    assert set(written) <= {"20 10", "10 20"}


def test_a_store_without_the_devkits_numbers_or_with_a_missing_image_is_refused(stores: dict[str, Store]) -> None:
    manifest = stores["test"].manifest
    defect = {"path": "test_00000005.JPEG", "class": "", "reason": "truncated", "action": "left out"}

    with pytest.raises(UserError, match="class numbers") as refused:
        submission.check_submission(manifest)
    with pytest.raises(UserError, match=r"every later line .*test_00000005\.JPEG"):
        submission.check_submission(replace(manifest, ilsvrc_ids=(20, 10), defects=(defect,)))

    assert "devkit" in refused.value.fix
    assert refused.value.exit_code == Exit.MISSING_INPUT


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A devkit of 20 classes with the classes of 20 images of val and 40 of test."""
    folder = tmp_path_factory.mktemp("images")
    write_miniature(folder, train_per_class=1, val_per_class=1, test_per_class=2)
    return folder


def written(folder: Path, lines: list[str]) -> Path:
    file = folder / "submission.txt"
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


@pytest.mark.shared
def test_errors_on_the_real_validation_set_equal_a_plain_loop(shared_data: Path, tmp_path: Path) -> None:
    devkit = shared_data / "ilsvrc2010-devkit"
    labels = truth(devkit, "ILSVRC2010_validation_ground_truth.txt", classes=1000)
    assert labels is not None
    draws, rows = np.random.default_rng(0), []
    for label in labels:  # up to five classes, the right one among them now and then, some named twice
        some = draws.integers(1, 1001, size=draws.integers(0, 6)).tolist()
        rows.append([label, *some[1:]] if some and draws.random() < 0.2 else some)

    found = score_submission(written(tmp_path, [" ".join(map(str, row)) for row in rows]), devkit)

    pairs = list(zip(rows, labels, strict=True))
    expected = [sum(label not in row[:first] for row, label in pairs) / len(labels) for first in range(1, 6)]
    assert (found.split, found.images) == ("val", 50_000)
    assert found.errors == pytest.approx(expected, abs=1e-12)  # rounding only
    assert found.errors[0] > found.errors[4] > 0.5


def test_lines_may_be_short_and_separated_as_programs_do(tmp_path: Path) -> None:
    (tmp_path / "submission.txt").write_bytes(b"01\t2 \r\n\n 3")

    found = read_submission(tmp_path / "submission.txt", classes=3)

    assert found.tolist() == [[1, 2, 0, 0, 0], [0] * 5, [3, 0, 0, 0, 0]]


@pytest.mark.parametrize(("name", "split", "images"), [("validation", "val", 20), ("test", "test", 40)])
def test_the_number_of_lines_tells_the_split(
    miniature: Path, tmp_path: Path, name: str, split: str, images: int
) -> None:
    labels = truth(miniature, f"ILSVRC2010_{name}_ground_truth.txt", classes=20)
    assert labels is not None

    found = score_submission(written(tmp_path, [str(label) for label in labels]), miniature)

    assert (found.split, found.images, found.errors) == (split, images, (0.0,) * 5)


BAD_LINE = r"line 7, is not up to five numbers from 1 to 20: '[ -~]{1,35}'\.\n"
BAD_LINES = ("1 2 3 4 5 6", "1 21", "0", "n02084071", "\x1b[31m", "1" * 5000, "٣")
NO_SPLIT = r"ends after line 19, .*20 images of val, 40 images of test"


@pytest.mark.parametrize(
    ("lines", "why"),
    [*((["1 2 3", "", *["5"] * 4, line, *["5"] * 13], BAD_LINE) for line in BAD_LINES), (["1"] * 19, NO_SPLIT)],
)
def test_what_is_no_submission_is_refused_with_its_line(
    miniature: Path, tmp_path: Path, lines: list[str], why: str
) -> None:
    with pytest.raises(UserError, match=why) as refused:
        score_submission(written(tmp_path, lines), miniature)

    assert refused.value.exit_code is Exit.BAD_DATA


def test_a_missing_input_is_named(miniature: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no meta\.mat"):
        score_submission(written(tmp_path, ["1"]), tmp_path)
    (tmp_path / "meta.mat").write_bytes((miniature / "devkit-1.0/data/meta.mat").read_bytes())
    with pytest.raises(UserError, match="0 images of val, 0 images of"):
        score_submission(written(tmp_path, ["1"]), tmp_path)
