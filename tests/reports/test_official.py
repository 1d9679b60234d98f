"""A part of a data set is not the data set: nothing published stands next to it, and it has no verdict."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from alexrepro.paper import results
from alexrepro.recipes.as_printed_and_run import AS_RUN_2010, AS_RUN_2012
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.variations import VARIATIONS
from alexrepro.reports.experiment import answer, departure, find, missing
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.tables.delta_rows import delta_table
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.run import Run

Make = Callable[..., Evaluation]
FIFTY = AS_RUN_2012.for_classes(50)
LACKS = "not comparable: 250 of 50,000 images, 50 of 1,000 classes"


def rows(name: str, **evidence: Any) -> list[dict[str, Any]]:
    found = answer(find(name), Evidence(**evidence)).as_dict()["rows"]
    return [row for row in found if row["source"] == "measured" and row["verdict"] != "not run"]


@pytest.fixture
def partial(evaluation: Make) -> Evaluation:
    """250 images of 50 classes, with the errors that the paper printed for the whole split."""
    return evaluation(FIFTY, split=results.VAL_2012, images=250, classes=50, top1_correct=148, top5_correct=205)


def test_250_images_of_50_classes_are_not_table_2(partial: Evaluation) -> None:
    (row,) = rows("table-2", evaluations=(partial,))

    assert (row["verdict"], row["note"]) == ("not comparable", LACKS)
    assert (row["reported_top1_error"], row["reported_top5_error"]) == (None, None)
    assert missing(find("table-2"), Evidence(evaluations=(partial,)))[0] == "alexrepro prepare /path/ILSVRC2012"


def test_a_short_training_on_a_part_says_both(partial: Evaluation) -> None:
    short = replace(partial, digest=FIFTY.shortened(1).digest, epochs=1)

    assert departure(short) == f"{LACKS}; shortened: 1 of 90 epochs"


@pytest.mark.parametrize(
    ("changes", "lacks"),
    [({"images": 49_999}, "49,999 of 50,000 images"), ({"classes": 999}, "999 of 1,000 classes"), ({}, "")],
)
def test_only_all_images_of_all_classes_are_comparable(evaluation: Make, changes: dict[str, int], lacks: str) -> None:
    recipe = AS_RUN_2012.for_classes(changes.get("classes", 1000))

    found = departure(evaluation(recipe, split=results.VAL_2012, **{"classes": 1000, **changes}))

    assert found == (f"not comparable: {lacks}" if lacks else "")


@pytest.mark.parametrize(("split", "images"), [("tiny-imagenet-val", 5_000), ("ilsvrc2010-miniature-test", 500)])
def test_other_data_are_no_part_of_anything(evaluation: Make, split: str, images: int) -> None:
    assert departure(evaluation(FIFTY, split=split, images=images, classes=50)) == ""


def test_an_average_on_a_part_of_the_images_stands_next_to_nothing(averaged: Make) -> None:
    five = averaged([AS_RUN_2012] * 5, split=results.VAL_2012, images=1_000, classes=1000)

    row = next(row for row in rows("table-2", ensembles=(five,)))

    assert (row["verdict"], row["reported_top5_error"]) == ("not comparable", None)
    assert row["note"] == "not comparable: 1,000 of 50,000 images"


def test_a_difference_on_a_part_of_the_images_stands_next_to_nothing(evaluation: Make, partial: Evaluation) -> None:
    varied = VARIATIONS["no-norm"].of(FIFTY)
    other = evaluation(varied, split=results.VAL_2012, images=250, classes=50)

    (row,) = delta_table([partial], {"no-norm": [other]}).as_dict()["rows"]

    assert (row["verdict"], row["note"]) == ("not comparable", LACKS)
    assert (row["reported_top1_delta"], row["logged_top1_delta"]) == (None, None)


def test_validation_and_test_are_both_looked_at(evaluation: Make) -> None:
    test = evaluation(AS_RUN_2010, split=results.TEST_2010, images=150_000)
    few = evaluation(AS_RUN_2010, split=results.TEST_2010, images=600)
    validation = evaluation(AS_RUN_2010, split=results.VAL_2010)

    assert [row["verdict"] for row in rows("validation-test", evaluations=(validation, test))] == ["within noise"]
    (row,) = rows("validation-test", evaluations=(validation, few))
    assert (row["verdict"], row["note"]) == ("not comparable", "not comparable: 600 of 150,000 images")


@pytest.mark.parametrize(("updates", "lacks"), [(10_010, ""), (9_950, ""), (196, "trained on at most 25,088 of")])
def test_a_training_on_a_part_of_the_images_is_no_training_on_all(
    evaluation: Make, make_run: Callable[..., Run], updates: int, lacks: str
) -> None:
    run = make_run(AS_RUN_2012, dataset="ilsvrc2012", steps_per_epoch=updates)

    found = departure(evaluation(AS_RUN_2012, split=results.VAL_2012, run=str(run.folder)))

    assert found == (f"not comparable: {lacks} 1,281,167 images" if lacks else "")


def test_a_seed_that_was_trained_on_a_part_is_not_averaged_with_the_others(
    evaluation: Make, make_run: Callable[..., Run]
) -> None:
    part = make_run(AS_RUN_2012, dataset="ilsvrc2012", steps_per_epoch=196, seed=1)
    full = evaluation(AS_RUN_2012, split=results.VAL_2012)

    found = rows("table-2", evaluations=(full, replace(full, seed=1, run=str(part.folder))))

    assert [row["seeds"] for row in found] == [1, 1]
    assert [row["verdict"] for row in found] == ["not reproduced", "not comparable"]


def test_figure_1_on_a_part_of_cifar_10_has_no_verdict(make_run: Callable[..., Run]) -> None:
    runs = []
    for name, errors in (("figure-1-relu", (0.35, 0.25)), ("figure-1-tanh", [0.37 - 0.01 * e for e in range(1, 13)])):
        run = make_run(find_recipe(name), dataset="cifar10", steps_per_epoch=1)
        run.add_metrics((e, e, 5_000, 1.0, 0.01, 1.0, error) for e, error in enumerate(errors, start=1))
        runs.append(run)

    ratio = answer(find("figure-1"), Evidence(runs=tuple(runs))).as_dict()["rows"][2]

    assert (ratio["verdict"], ratio["note"]) == ("not comparable", "trained on 5,000 of 50,000 images")
