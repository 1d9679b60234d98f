"""Two runs on the same images, against tables that are counted by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alexrepro.errors import UserError
from alexrepro.reports.statistics.comparison import compare
from alexrepro.runs.evaluation import EvaluationFiles
from alexrepro.runs.predictions import About, Predictions, write_predictions

ABOUT = About(
    "run", 1, "set-test", "ten", "5704e", "9e0ce55", tuple("abcdef"), ("ant", "bee", "cow", "dog", "eel", "fox")
)
LABELS = np.array([0, 0, 0, 1, 1, 2])
FIRST = np.array([[0, 1, 2, 3, 4], [1, 0, 2, 3, 4], [1, 2, 3, 4, 5], [1, 0, 2, 3, 4], [0, 2, 3, 4, 5], [0, 1, 3, 4, 5]])
RANKS = np.array([0, 1, 5, 0, 5, 5])
PREDICTIONS = Predictions(
    ABOUT, tuple("uvwxyz"), LABELS, FIRST, np.full((6, 5), 0.2, dtype=np.float32), np.full(6, -1.6), RANKS
)


def saved(folder: Path, predictions: Predictions) -> Path:
    write_predictions(
        predictions, EvaluationFiles(folder).predictions(predictions.about.split, predictions.about.crops)
    )
    return folder


def test_images_are_sorted_by_who_is_wrong(tmp_path: Path) -> None:
    better = replace(PREDICTIONS, ranks=np.array([1, 0, 0, 0, 0, 4]))

    top1, top5 = compare(saved(tmp_path / "a", PREDICTIONS), saved(tmp_path / "b", better))

    assert (top1.both_wrong, top1.only_first_wrong, top1.only_second_wrong) == (1, 3, 1)
    assert (top5.both_wrong, top5.only_first_wrong, top5.only_second_wrong) == (0, 3, 0)
    assert top1.errors == pytest.approx((4 / 6, 2 / 6))
    assert top1.difference == pytest.approx(-2 / 6)
    assert top1.interval[0] < -2 / 6 < top1.interval[1]
    assert top5.as_dict()["exact_p"] == pytest.approx(2 / 8)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (replace(PREDICTIONS, about=replace(ABOUT, store="other")), "the store differs"),
        (replace(PREDICTIONS, names=tuple("uvwxyZ")), "the file names differs"),
        (replace(PREDICTIONS, about=replace(ABOUT, crops="center")), "no predictions of the same split and crops"),
        (replace(PREDICTIONS, about=replace(ABOUT, split="set-val")), "no predictions of the same split and crops"),
    ],
)
def test_other_images_or_crops_are_not_compared(tmp_path: Path, other: Predictions, what: str) -> None:
    folders = saved(tmp_path / "a", PREDICTIONS), saved(tmp_path / "b", other)

    with pytest.raises(UserError, match=what):
        compare(*folders)
