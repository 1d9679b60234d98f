"""Ten crops against one, and validation against test: gaps between two errors of one network."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from alexrepro.paper.results import TEST_2010, VAL_2010
from alexrepro.recipes.as_printed_and_run import AS_RUN_2010, TINY
from alexrepro.reports.experiment import answer, find, missing
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.runs.evaluation import Evaluation

Make = Callable[..., Evaluation]


def rows(name: str, *evaluations: Evaluation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer(find(name), Evidence(evaluations=evaluations)).as_dict()["rows"]
    return found


def test_the_printed_gain_of_ten_crops_is_the_footnote_minus_the_table() -> None:
    printed = rows("ten-crops")[0]

    assert (printed["source"], printed["top1_gap"], printed["top5_gap"]) == ("reported", 0.015, 0.013)


def test_a_measured_gain_is_center_minus_ten_on_the_same_images(evaluation: Make) -> None:
    ten = evaluation(AS_RUN_2010, split=TEST_2010, images=150_000)
    center = replace(ten, crops="center", top1_correct=ten.top1_correct - 2_250, top5_correct=ten.top5_correct - 1_950)

    found = next(row for row in rows("ten-crops", ten, center) if row["source"] == "measured")

    assert (found["top1_gap"], found["top5_gap"]) == (pytest.approx(0.015), pytest.approx(0.013))
    assert found["top1_low"] < 0.015 < found["top1_high"]
    assert found["verdict"] == "reproduced"


def test_the_gain_on_other_data_has_no_verdict_and_the_claim_stays_not_run(evaluation: Make) -> None:
    ten = evaluation(TINY, split="ilsvrc2010-miniature-test", images=500)

    measured = [row for row in rows("ten-crops", ten, replace(ten, crops="center")) if row["source"] == "measured"]

    assert [(row["label"], row["verdict"]) for row in measured] == [("as-run-2010", "not run"), ("tiny", None)]
    assert measured[1]["note"] == "no printed number"


def test_one_kind_of_crops_alone_is_no_gain(evaluation: Make) -> None:
    ten = evaluation(AS_RUN_2010, split=TEST_2010)

    assert [row["verdict"] for row in rows("ten-crops", ten) if row["source"] == "measured"] == ["not run"]


@pytest.mark.parametrize(
    ("apart", "verdict"), [(0, "within noise"), (150, "within noise"), (-900, "not reproduced")]
)  # 50,000 images cannot settle a tenth of a point, and 1.8 points are more than any noise
def test_validation_and_test_are_judged_by_the_intervals(evaluation: Make, apart: int, verdict: str) -> None:
    test = evaluation(AS_RUN_2010, split=TEST_2010, images=150_000)
    validation = evaluation(AS_RUN_2010, split=VAL_2010)
    validation = replace(validation, top1_correct=validation.top1_correct + apart)

    found = rows("validation-test", test, validation)[0]

    assert found["top1_gap"] == pytest.approx(-apart / 50_000)
    assert found["verdict"] == verdict


def test_the_noted_gap_is_larger_than_the_paper_says() -> None:
    noted = rows("validation-test")[-1]

    assert (noted["source"], noted["top1_gap"], noted["top5_gap"]) == ("noted in 2012", 0.0018, -0.0002)


def test_the_validation_split_is_named_because_evaluate_takes_the_test_split() -> None:
    commands = missing(find("validation-test"), Evidence())

    assert commands[-1].endswith("--ten-crop --store ilsvrc2010-val")
    assert len(commands) == 4
