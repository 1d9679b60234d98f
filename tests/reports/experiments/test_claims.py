"""A minus B: claims of the text, ablations, ten crops, validation and test; and the counts of §3.5."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from alexrepro.paper.results import TEST_2010, VAL_2010, VAL_2012
from alexrepro.recipes.catalog import AS_RUN_2010, AS_RUN_2012, TINY, find_recipe
from alexrepro.recipes.variations import VARIATIONS
from alexrepro.reports.experiments import Evidence, find, render
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.run import Run

Make = Callable[..., Evaluation]


def rows(name: str, *evaluations: Evaluation, runs: tuple[Run, ...] = (), label: str = "") -> list[dict[str, Any]]:
    found = render(find(name), Evidence(runs, evaluations)).table.as_dict()["rows"]
    return [row for row in found if not label or row["label"] == label]


def test_without_runs_every_claim_is_published_and_not_run() -> None:
    printed, measured = rows("claims", label="one-tower")

    assert (printed["source"], printed["split"], printed["top1_delta"]) == ("reported", TEST_2010, 0.017)
    assert (printed["reported_top1_delta"], printed["logged_top1_delta"]) == (None, 0.016973)
    assert (measured["source"], measured["verdict"], measured["reported_top1_delta"]) == ("measured", "not run", None)


def test_a_claim_is_measured_on_the_recipe_of_its_data_set(evaluation: Make) -> None:
    variation = VARIATIONS["one-tower"].of(AS_RUN_2010)
    evaluations = (
        evaluation(AS_RUN_2010, split=TEST_2010, images=150_000),
        evaluation(variation, split=TEST_2010, images=150_000, top1_correct=87_450, top5_correct=121_200),
    )

    _, measured = rows("claims", *evaluations, label="one-tower")

    assert (measured["top1_delta"], measured["reported_top1_delta"]) == (0.017, 0.017)
    assert (measured["verdict"], measured["recipe"]) == ("reproduced", "as-run-2010")
    answer = render(find("claims"), Evidence(evaluations=evaluations))
    assert not any("ablate one-tower" in command for command in answer.missing)
    assert answer.figure is not None
    left, right = answer.figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["one-tower\nas-run-2010, ilsvrc2010-test, ten"]
    points = {bars.get_label(): bars.lines[0].get_xdata()[0] for bars in left.containers}
    assert points == pytest.approx({"2012 log": 1.6973, "the paper": 1.7, "measured, 95 % interval": 1.7})
    assert right.get_xlabel() == "top-5 error minus that of the base, points"


def test_the_network_that_was_run_in_2012_answers_the_claim_too(evaluation: Make) -> None:
    net = evaluation(find_recipe("net-148"), split=VAL_2012, top1_correct=29_300, top5_correct=40_400)

    (measured,) = rows("claims", evaluation(AS_RUN_2012, split=VAL_2012), net, label="net-148")

    assert (measured["reported_top1_delta"], measured["logged_top1_delta"]) == (0.014, 0.01366)
    assert measured["verdict"] == "reproduced"


def test_an_ablation_of_the_miniature_is_comparable_with_nothing(
    evaluation: Make, make_run: Callable[..., Run]
) -> None:
    base = TINY.shortened(2)
    recipes = (base, VARIATIONS["no-norm"].of(base))
    evaluations = [evaluation(recipe, split="ilsvrc2010-miniature-test", images=500) for recipe in recipes]

    runs = tuple(map(make_run, recipes))
    paper, miniature = rows("ablations", *evaluations, runs=runs, label="no-norm")

    assert (paper["recipe"], paper["verdict"]) == ("as-run-2012", "not run")
    assert (miniature["recipe"], miniature["top1_delta"], miniature["reported_top1_delta"]) == ("tiny", 0.0, None)
    assert miniature["note"] == "other data; shortened to 2 of 13 epochs"
    figure = render(find("ablations"), Evidence(runs, tuple(evaluations))).figure
    assert figure is not None
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "no-norm (the paper)\nas-run-2012, ilsvrc2012-val, ten",
        "no-norm (2 of 13 epochs)\ntiny, ilsvrc2010-miniature-test, ten",
    ]


def test_the_ablations_ask_for_every_variation_once() -> None:
    commands = [command for command in render(find("ablations"), Evidence()).missing if "ablate" in command]

    named = [word for command in commands for word in command.split() if word in VARIATIONS]
    assert sorted(named) == sorted(VARIATIONS)
    assert commands[-1] == "alexrepro ablate one-tower --base as-run-2010 --store ilsvrc2010"


def test_the_gain_of_ten_crops_is_center_minus_ten_on_the_same_images(evaluation: Make) -> None:
    ten = evaluation(AS_RUN_2010, split=TEST_2010, images=150_000)
    center = replace(ten, crops="center", top1_correct=ten.top1_correct - 2_250, top5_correct=ten.top5_correct - 1_950)

    published, found, *_ = rows("ten-crops", ten, center)

    assert (published["source"], published["top1_delta"], published["top5_delta"]) == ("reported", 0.015, 0.013)
    assert (found["top1_delta"], found["top5_delta"]) == (pytest.approx(0.015), pytest.approx(0.013))
    assert found["top1_low"] < 0.015 < found["top1_high"]
    assert found["verdict"] == "reproduced"


def test_the_gain_on_other_data_or_of_one_kind_of_crops_leaves_the_claim_not_run(evaluation: Make) -> None:
    alone = evaluation(AS_RUN_2010, split=TEST_2010)
    ten = evaluation(TINY, split="ilsvrc2010-miniature-test", images=500)

    found = [row for row in rows("ten-crops", alone, ten, replace(ten, crops="center")) if row["source"] == "measured"]

    assert [(row["recipe"], row["verdict"]) for row in found] == [("as-run-2010", "not run"), ("tiny", None)]
    assert found[1]["note"] == "no published number"


@pytest.mark.parametrize(
    ("apart", "images", "verdict"),
    [
        (0, 150_000, "within noise"),  # 50,000 images cannot settle a tenth of a point
        (150, 150_000, "within noise"),
        (-900, 150_000, "not reproduced"),  # 1.8 points are more than any noise
        (0, 600, "not comparable"),
    ],
)
def test_validation_and_test_are_judged_by_the_intervals(
    evaluation: Make, apart: int, images: int, verdict: str
) -> None:
    test = evaluation(AS_RUN_2010, split=TEST_2010, images=images)
    validation = evaluation(AS_RUN_2010, split=VAL_2010)
    validation = replace(validation, top1_correct=validation.top1_correct + apart)

    *_, found, log = rows("validation-test", test, validation)

    assert (found["top1_delta"], found["verdict"]) == (pytest.approx(-apart / 50_000), verdict)
    assert (log["source"], log["top1_delta"], log["top5_delta"]) == ("2012 log", 0.0018, -0.0002)


def test_the_validation_split_is_named_because_evaluate_takes_the_test_split() -> None:
    commands = render(find("validation-test"), Evidence()).missing

    assert commands[-1].endswith("--ten-crop --store ilsvrc2010-val")
    assert len(commands) == 4


def test_printed_neurons_that_contradict_the_printed_network_are_slips_of_the_paper() -> None:
    conv1, *others, total = rows("parameters")

    assert (total["claim"], total["verdict"]) == (
        "abstract, size of the network: 60 million parameters, 650,000 neurons", "slip of the paper"
    )  # fmt: skip
    assert total["note"] == "60,965,224 parameters round to 60 million, 659,272 neurons to 660,000"
    assert (total["parameters"], total["neurons"]) == (60_965_224, 659_272)
    assert sum(row["parameters"] or 0 for row in (conv1, *others)) == total["parameters"]
    assert (conv1["neurons"], conv1["published"], conv1["verdict"]) == (290_400, "253,440", "slip of the paper")
    assert [row["verdict"] for row in others] == [None] * 10
