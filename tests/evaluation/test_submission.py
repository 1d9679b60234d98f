"""The contest's file, against one that is made by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.submission import check_submission, submit, write_submission
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.predictions import About, Predictions
from alexrepro.runs.run import Run
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train

IDS = (449, 7, 1000, 2, 88, 31)  # of six classes in the order of their labels
ABOUT = About("run", 90, "ilsvrc2012-test", "ten", "5704e", "9e0ce55", tuple("abcdef"), tuple("abcdef"))


@pytest.fixture(scope="module")
def run(stores: dict[str, Store], recipe: Recipe, device: Device, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs")
    return train(TrainingJob(recipe, store=stores["train"], validation=None, runs=folder, seed=0, device=device))


def test_lines_are_the_devkits_numbers_in_the_order_of_the_file_names(tmp_path: Path) -> None:
    names = ("test_00000003.JPEG", "test_00000001.JPEG", "test_00000002.JPEG")
    guesses = np.array([[0, 1, 2, 3, 4], [5, 4, 3, 2, 1], [2, 0, 5, 1, 3]])
    predictions = Predictions(ABOUT, names, -np.ones(3, int), guesses, np.zeros((3, 5), "f4"), np.zeros(3), np.zeros(3))

    write_submission(predictions, IDS, tmp_path / "answers.txt")

    assert (tmp_path / "answers.txt").read_text() == "31 88 2 1000 7\n1000 449 31 7 2\n449 7 1000 2 88\n"


def test_a_store_of_photos_without_labels_can_be_submitted(
    run: Run, stores: dict[str, Store], device: Device, tmp_path: Path
) -> None:
    known = stores["test"]
    store = Store(known.path, replace(known.manifest, ilsvrc_ids=(20, 10), labeled=False))
    store.__dict__["labels"] = -np.ones(18, dtype=np.int64)

    lines = submit([run], store, tmp_path / "a.txt", crops="center", device=device, folder=tmp_path)

    written = (tmp_path / "a.txt").read_text().splitlines()
    assert lines == len(written) == 18
    assert set(written) <= {"20 10", "10 20"}


def test_a_store_without_the_devkits_numbers_is_refused_before_any_work(
    stores: dict[str, Store], device: Device, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="class numbers") as refused:
        submit([], stores["test"], tmp_path / "a.txt", crops="ten", device=device, folder=tmp_path)

    assert "devkit" in refused.value.fix
    assert refused.value.exit_code == Exit.MISSING_INPUT


def test_a_photo_that_was_left_out_is_refused_because_lines_would_shift(stores: dict[str, Store]) -> None:
    defect = {"path": "test_00000005.JPEG", "class": "", "reason": "truncated", "action": "left out"}
    manifest = replace(stores["test"].manifest, ilsvrc_ids=(20, 10), defects=(defect,))

    with pytest.raises(UserError, match=r"every later line .*test_00000005\.JPEG"):
        check_submission(manifest)
