"""One rule for verdicts; and a part of a data set is not the data set: no published number appears next to it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from alexrepro.paper import results
from alexrepro.recipes.catalog import AS_RUN_2012
from alexrepro.recipes.variations import VARIATIONS
from alexrepro.reports.experiments import Evidence, find, render
from alexrepro.reports.statistics.intervals import Estimate
from alexrepro.reports.statistics.verdict import departure, judged, strongest
from alexrepro.reports.tables.measured import delta_rows
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.run import Run

Make = Callable[..., Evaluation]
FIFTY = AS_RUN_2012.for_classes(50)
LACKS = "250 of 50,000 images, 50 of 1,000 classes"


@pytest.mark.parametrize(
    ("published", "measured", "is_difference", "verdict"),
    [
        (0.375, (0.374, 0.372, 0.376), False, "reproduced"),
        (0.375, (0.350, 0.290, 0.410), False, "within noise"),  # inside, but almost anything would be
        (0.014, (0.030, 0.002, 0.058), True, "within noise"),
        (0.375, (0.372, 0.370, 0.374), False, "within noise"),  # outside the interval by less than runs differ
        (0.375, (0.365, 0.363, 0.367), False, "not reproduced"),
        (0.014, (0.014, 0.008, 0.020), True, "reproduced"),
        (0.004, (0.003, -0.003, 0.009), True, "within noise"),  # the interval also holds zero
        (0.004, (0.003, -0.003, 0.009), False, "reproduced"),
        (0.017, (-0.01, -0.016, -0.004), True, "not reproduced"),  # the other sign
    ],
)
def test_the_interval_and_the_distance_decide(
    published: float, measured: tuple[float, float, float], is_difference: bool, verdict: str
) -> None:
    good = Estimate(0.012, 0.008, 0.016)

    assert judged((published, 0.012), (Estimate(*measured), good), is_difference=is_difference) == verdict


def test_the_worse_of_two_numbers_counts_and_one_that_was_not_published_does_not() -> None:
    wrong, good = Estimate(0.4, 0.39, 0.41), Estimate(0.17, 0.16, 0.18)

    assert judged((0.5, 0.17), (wrong, good)) == "not reproduced"
    assert judged((None, 0.17), (wrong, good)) == "reproduced"
    assert strongest(["not run", "not comparable", "within noise"]) == "within noise"


def rows(name: str, **evidence: Any) -> list[dict[str, Any]]:
    found = render(find(name), Evidence(**evidence)).table.as_dict()["rows"]
    return [row for row in found if row["source"] == "measured" and row["verdict"] != "not run"]


@pytest.fixture
def partial(evaluation: Make) -> Evaluation:
    """250 images of 50 classes, with the errors that the paper printed for the full split."""
    return evaluation(FIFTY, split=results.VAL_2012, images=250, classes=50, top1_correct=148, top5_correct=205)


def test_250_images_of_50_classes_are_not_table_2(partial: Evaluation) -> None:
    (row,) = rows("table-2", evaluations=(partial,))

    assert (row["verdict"], row["note"]) == ("not comparable", LACKS)
    assert (row["reported_top1_error"], row["reported_top5_error"]) == (None, None)
    assert render(find("table-2"), Evidence(evaluations=(partial,))).missing[0] == "alexrepro prepare /path/ILSVRC2012"


@pytest.mark.parametrize(
    ("recipe", "changes", "lacks"),
    [
        (AS_RUN_2012, {"images": 49_999}, "49,999 of 50,000 images"),
        (AS_RUN_2012.for_classes(999), {"classes": 999}, "999 of 1,000 classes"),
        (AS_RUN_2012, {"classes": 1000}, ""),
        (AS_RUN_2012, {"classes": None}, "an unknown number of 1,000 classes"),  # in a file that lacks them
        (FIFTY.shortened(1), {"images": 250, "classes": 50, "epochs": 1}, f"{LACKS}; shortened to 1 of 90 epochs"),
        (VARIATIONS["tanh"].of(AS_RUN_2012), {}, "as-run-2012 with tanh"),
        (replace(AS_RUN_2012, name="mine+tanh"), {}, "not in the catalog: mine+tanh"),
        (FIFTY, {"split": "tiny-imagenet-val", "images": 5_000, "classes": 50}, ""),  # other data
    ],
)
def test_only_all_images_of_all_classes_are_comparable(
    evaluation: Make, recipe: Any, changes: dict[str, Any], lacks: str
) -> None:
    assert departure(evaluation(recipe, **{"split": results.VAL_2012, **changes})) == lacks


def test_a_difference_on_a_part_of_the_images_has_no_published_number_next_to_it(
    evaluation: Make, partial: Evaluation
) -> None:
    other = evaluation(VARIATIONS["no-norm"].of(FIFTY), split=results.VAL_2012, images=250, classes=50)

    row = delta_rows(VARIATIONS["no-norm"], [partial], [other])[0].cells()

    assert (row["verdict"], row["note"]) == ("not comparable", LACKS)
    assert (row["reported_top1_delta"], row["logged_top1_delta"]) == (None, None)


def test_a_part_is_not_comparable_under_its_own_name_either_and_stands_in_the_table_of_its_challenge(
    partial: Evaluation,
) -> None:
    named = replace(partial, split="ilsvrc2012-partial-val", dataset="ilsvrc2012-partial")
    nearly = replace(
        named, images=50_000, classes=1000, digest=AS_RUN_2012.digest, top1_correct=29_650, top5_correct=40_900
    )

    table_2, table_1 = (rows(name, evaluations=(named,)) for name in ("table-2", "table-1"))

    assert [(row["verdict"], row["note"]) for row in table_2] == [("not comparable", LACKS)]
    assert [(row["label"], row["note"]) for row in table_1] == [("as-run-2012", f"{LACKS}; other data")]
    assert rows("table-2", evaluations=(nearly,))[0]["verdict"] == "reproduced"  # a few training images are missing


@pytest.mark.parametrize("batches", [10_010, 9_950])  # all images; all but a few unreadable ones
def test_training_on_nearly_all_images_is_comparable(
    evaluation: Make, make_run: Callable[..., Run], batches: int
) -> None:
    run = make_run(AS_RUN_2012, dataset="ilsvrc2012", steps_per_epoch=batches)

    assert departure(evaluation(AS_RUN_2012, split=results.VAL_2012, run=str(run.folder))) == ""


def test_training_on_another_data_set_is_not_comparable(evaluation: Make, make_run: Callable[..., Run]) -> None:
    run = make_run(AS_RUN_2012, dataset="fall2011", steps_per_epoch=100_000)

    assert departure(evaluation(AS_RUN_2012, split=results.VAL_2012, run=str(run.folder))) == "trained on fall2011"


def test_a_seed_that_was_trained_on_a_part_is_not_averaged_with_the_others_and_does_not_hide_them(
    evaluation: Make, make_run: Callable[..., Run]
) -> None:
    part = make_run(AS_RUN_2012, dataset="ilsvrc2012", steps_per_epoch=196, seed=1)
    full = evaluation(AS_RUN_2012, split=results.VAL_2012)
    seeds = (full, replace(full, seed=1, run=str(part.folder)))
    other = evaluation(VARIATIONS["no-norm"].of(AS_RUN_2012), split=results.VAL_2012, top1_correct=29_300)

    found = rows("table-2", evaluations=seeds)
    difference = delta_rows(VARIATIONS["no-norm"], seeds, [other])[0].cells()

    assert [(row["seeds"], row["verdict"]) for row in found] == [(1, "not reproduced"), (1, "not comparable")]
    assert found[1]["note"] == "trained on at most 25,088 of 1,281,167 images"
    assert (difference["seeds"], difference["top1_delta"], difference["note"]) == (1, 0.014, "")
