"""Differences between a variation and its base, and which numbers may appear next to them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from alexrepro.errors import UserError
from alexrepro.paper import results
from alexrepro.paper.logbook import logged
from alexrepro.recipes.as_printed_and_run import AS_RUN_2012, TINY
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.variations import VARIATIONS, find_variation
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.statistics.intervals import sample_of_counts, unpaired_interval
from alexrepro.reports.tables.delta_rows import delta_table, measured_of, reported_delta
from alexrepro.reports.tables.row import logged_delta, pair_of
from alexrepro.runs.evaluation import Evaluation

Make = Callable[..., Evaluation]
SHORT = {"digest": AS_RUN_2012.shortened(9).digest, "epochs": 9}


@pytest.fixture
def base(evaluation: Make) -> Evaluation:
    """40 % and 18 % errors on the validation split of 2012."""
    return evaluation(AS_RUN_2012, split=results.VAL_2012)


@pytest.fixture
def no_norm(base: Evaluation) -> Evaluation:
    """Two and one points more errors."""
    return replace(base, recipe="as-run-2012+no-norm", digest="aaaaaa", top1_correct=29_000, top5_correct=40_500)


def row(base: list[Evaluation], name: str, *found: Evaluation) -> dict[str, Any]:
    (only,) = delta_table(base, {name: list(found)}, name="x").as_dict()["rows"]
    return dict(only)


def test_a_delta_is_the_variation_minus_the_base_with_the_published_and_the_logged_one_next_to_it(
    base: Evaluation, no_norm: Evaluation
) -> None:
    found = row([base], "no-norm", no_norm)

    ends = unpaired_interval(sample_of_counts([21_000], 50_000), sample_of_counts([20_000], 50_000))
    assert (found["top1_delta"], found["top5_delta"]) == (0.02, 0.01)
    assert (found["top1_low"], found["top1_high"]) == ends
    assert found["interval"] == "at least 95 %, unpaired (Newcombe); other seeds are not included"
    assert (found["reported_top1_delta"], found["reported_top5_delta"]) == (0.014, 0.012)
    assert (found["logged_top1_delta"], found["logged_top5_delta"]) == (0.01366, 0.0115)
    assert (found["logged_cites"], found["note"]) == ("layer-params-148.cfg - layer-params-145.cfg", "")


@pytest.mark.parametrize(
    ("name", "changes", "note"),
    [
        ("no-norm", {"split": "ilsvrc2010-miniature-test", "dataset": "ilsvrc2010-miniature"}, "other data"),
        ("no-norm", {"crops": "center"}, "other crops"),
        ("tanh", {}, "no published number"),
        ("no-color-shift", {}, "published without naming the data"),
    ],
)
def test_an_empty_published_cell_says_why(
    base: Evaluation, no_norm: Evaluation, name: str, changes: dict[str, Any], note: str
) -> None:
    found = row([replace(base, **changes)], name, replace(no_norm, **changes))

    assert (found["note"], found["reported_top1_delta"], found["logged_top1_delta"]) == (note, None, None)


def test_a_shortened_base_is_labeled_and_settles_nothing(base: Evaluation, no_norm: Evaluation) -> None:
    found = row([replace(base, **SHORT)], "no-norm", replace(no_norm, epochs=9, top1_correct=29_300))

    assert (found["verdict"], found["note"]) == ("not comparable", "shortened to 9 of 90 epochs")


def test_common_seeds_give_mean_and_spread_and_other_crops_another_row(base: Evaluation, no_norm: Evaluation) -> None:
    bases = [base, replace(base, seed=1), replace(base, seed=2, top1_correct=1)]

    found = row(bases, "no-norm", no_norm, replace(no_norm, seed=1, top1_correct=28_000))

    both = {"no-norm": [replace(no_norm, crops="center"), no_norm]}
    table = delta_table([base, replace(base, crops="center")], both, name="x")
    assert [row["crops"] for row in table.as_dict()["rows"]] == ["center", "ten"]
    assert found["seeds"] == 2
    assert found["top1_delta"] == pytest.approx(0.03, abs=1e-12)  # the mean of 0.02 and 0.04; rounding only
    assert found["top1_std"] == pytest.approx(0.02 / 2**0.5, abs=1e-12)  # rounding only


@pytest.mark.parametrize("changes", [None, {"seed": 7}, {"split": "ilsvrc2012-other"}])
def test_without_a_common_run_the_row_is_empty_and_says_why(
    base: Evaluation, no_norm: Evaluation, changes: dict[str, Any] | None
) -> None:
    only = row([base], "no-norm", *([] if changes is None else [replace(no_norm, **changes)]))

    assert only["verdict"] == "not run"
    assert only["note"] == ("" if changes is None else "no seed, split and crops in common with the base")
    assert (only["top1_delta"], only["reported_top1_delta"], only["interval"]) == (None, None, None)


def test_several_recipes_or_an_unknown_variation_are_refused(base: Evaluation, no_norm: Evaluation) -> None:
    with pytest.raises(ValueError, match="several recipes"):
        delta_table([base, replace(base, digest="cccccc", seed=1)], {"no-norm": [no_norm]}, name="x")
    with pytest.raises(UserError, match="no variation no-form"):
        delta_table([base], {"no-form": [no_norm]}, name="x")


@pytest.mark.parametrize("name", ["no-norm", "non-overlapping-pooling"])
def test_the_logged_deltas_round_to_the_published_ones(name: str) -> None:
    variation = find_variation(name)
    assert variation.logged is not None
    assert variation.tests is not None

    found = logged_delta(variation.logged, logged("145"))

    assert pair_of(found) == pytest.approx(pair_of(variation.tests), abs=5.1e-4)  # published with one digit


def test_a_row_shows_signed_points(base: Evaluation, no_norm: Evaluation) -> None:
    headings, (cells,) = delta_table([base], {"no-norm": [no_norm]}, name="x").shown()
    shown = dict(zip(headings, cells, strict=True))

    assert shown["difference"] == "no-norm, as-run-2012 on ilsvrc2012-val, ten"
    assert shown["top-1, points"] == "+2.00 (+1.39 to +2.61)"
    assert (shown["published"], shown["2012 log"]) == ("+1.4 / +1.2", "+1.37 / +1.15")


def test_a_reported_row_holds_the_published_and_the_logged_difference() -> None:
    (found,) = reported_delta(find_variation("no-norm"), base="as-run-2012")
    cells = found.cells()

    assert (cells["source"], cells["split"], cells["top1_delta"]) == ("reported", results.VAL_2012, 0.014)
    assert (cells["reported_top1_delta"], cells["logged_top1_delta"]) == (None, 0.01366)
    assert reported_delta(find_variation("tanh"), base="as-run-2012") == []


@pytest.mark.parametrize(
    ("name", "top1_correct", "verdict"),
    [
        ("no-norm", 29_300, "reproduced"),  # 1.4 ± 0.6 points, 1.4 published
        ("non-overlapping-pooling", 29_850, "within noise"),  # 0.3 ± 0.6 points, 0.4 published
        ("no-norm", 30_000, "not reproduced"),  # no difference at all
        ("tanh", 29_000, None),
        ("no-dropout", 29_000, None),
        ("without-conv3", 29_000, "not comparable"),
    ],
)
def test_the_verdict_depends_on_the_interval(
    base: Evaluation, no_norm: Evaluation, name: str, top1_correct: int, verdict: str | None
) -> None:
    top5_correct = 41_000 - round((30_000 - top1_correct) * 1.2 / 1.4)

    found = row([base], name, replace(no_norm, top1_correct=top1_correct, top5_correct=top5_correct))

    assert found["verdict"] == verdict


def test_variations_of_this_base_on_this_store_are_in_its_table(evaluation: Make) -> None:
    tanh, no_norm = (VARIATIONS[name].of(TINY) for name in ("tanh", "no-norm"))
    split = "miniature-test"
    evaluations = (
        evaluation(tanh, split=split, store="0a"),
        evaluation(no_norm, split=split, store="of other images"),
        evaluation(VARIATIONS["tanh"].of(TINY.shortened(2)), split=split, store="0a"),
        evaluation(TINY, split=split, store="0a"),
    )

    assert measured_of(TINY, Evidence(evaluations=evaluations), store="0a") == {"tanh": [evaluations[0]]}
    assert measured_of(find_recipe("cifar-80sec"), Evidence(), store="0a") == {}  # most variations do not apply
