"""Differences between a variation and its base, and what may stand beside them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from alexrepro.errors import UserError
from alexrepro.paper import results
from alexrepro.paper.logbook import logged
from alexrepro.recipes.as_printed_and_run import AS_RUN_2012, TINY
from alexrepro.recipes.variations import find_variation
from alexrepro.reports.statistics.difference import DeltaRow, LoggedDelta
from alexrepro.reports.statistics.intervals import difference_interval
from alexrepro.reports.tables.delta_rows import delta_table, reported_delta
from alexrepro.runs.evaluation import Evaluation

BASE = Evaluation(
    run="runs/as-run-2012-713385/ilsvrc2012-seed-0", recipe="as-run-2012", digest=AS_RUN_2012.digest, seed=0,
    epochs=90, dataset="ilsvrc2012", split=results.VAL_2012, crops="ten",
    images=50_000, top1_correct=30_000, top5_correct=41_000, loss=1.7,
)  # fmt: skip
NO_NORM = replace(BASE, recipe="as-run-2012+no-norm", digest="aaaaaa", top1_correct=29_000, top5_correct=40_500)
TINY_BASE = replace(BASE, recipe="tiny", digest=TINY.digest, epochs=13, dataset="ilsvrc2010-miniature",
                    split="ilsvrc2010-miniature-test", images=500, top1_correct=350, top5_correct=480)  # fmt: skip


def row(base: list[Evaluation], name: str, *found: Evaluation) -> dict[str, Any]:
    (only,) = delta_table(base, {name: list(found)}).as_dict()["rows"]
    return dict(only)


def test_a_delta_is_the_variation_minus_the_base() -> None:
    found = row([BASE], "no-norm", NO_NORM)

    assert (found["top1_delta"], found["top5_delta"]) == (0.02, 0.01)
    assert (found["top1_low"], found["top1_high"]) == difference_interval(
        21_000, 50_000, base_wrong=20_000, base_images=50_000
    )
    assert found["interval"] == "at least 95 %, unpaired (Newcombe); other seeds are not included"


def test_on_the_printed_split_the_printed_and_the_noted_delta_stand_beside_it() -> None:
    found = row([BASE], "no-norm", NO_NORM)

    assert (found["reported_top1_delta"], found["reported_top5_delta"]) == (0.014, 0.012)
    assert (found["logged_top1_delta"], found["logged_top5_delta"]) == (0.01366, 0.0115)
    assert (found["logged_cites"], found["note"]) == ("layer-params-148.cfg - layer-params-145.cfg", "")


def test_on_other_data_nothing_stands_beside_it() -> None:
    found = row([TINY_BASE], "no-norm", replace(TINY_BASE, recipe="tiny+no-norm", digest="bbbbbb", top1_correct=340))

    assert found["note"] == "not comparable: other data"
    assert [found[f"{kind}_top1_delta"] for kind in ("reported", "logged")] == [None, None]


def test_with_the_center_crop_nothing_stands_beside_it() -> None:
    found = row([replace(BASE, crops="center")], "no-norm", replace(NO_NORM, crops="center"))

    assert (found["note"], found["reported_top1_delta"]) == ("not comparable: other crops", None)


@pytest.mark.parametrize(
    ("name", "note"),
    [("tanh", "no printed number"), ("no-color-shift", "not comparable: printed without naming the data")],
)
def test_an_empty_printed_cell_says_why(name: str, note: str) -> None:
    found = row([BASE], name, NO_NORM)

    assert (found["note"], found["reported_top1_delta"]) == (note, None)


def test_a_shortened_base_is_labeled() -> None:
    short = replace(BASE, digest=AS_RUN_2012.shortened(9).digest, epochs=9)

    found = row([short], "no-norm", replace(NO_NORM, epochs=9))

    assert found["note"] == "shortened: 9 of 90 epochs"


def test_seeds_that_both_have_give_mean_and_spread() -> None:
    base = [BASE, replace(BASE, seed=1), replace(BASE, seed=2, top1_correct=1)]

    found = row(base, "no-norm", NO_NORM, replace(NO_NORM, seed=1, top1_correct=28_000))

    assert found["seeds"] == 2
    assert found["top1_delta"] == pytest.approx(0.03, abs=1e-12)  # the mean of 0.02 and 0.04; rounding only
    assert found["top1_std"] == pytest.approx(0.02 / 2**0.5, abs=1e-12)  # rounding only


@pytest.mark.parametrize("found", [(), (replace(NO_NORM, seed=7),), (replace(NO_NORM, split="ilsvrc2012-other"),)])
def test_without_a_common_run_the_row_is_empty_and_says_why(found: tuple[Evaluation, ...]) -> None:
    only = row([BASE], "no-norm", *found)

    assert only["note"] == (
        "nothing in common with the base: run the same seed, split and crops" if found else "not run"
    )
    assert (only["top1_delta"], only["reported_top1_delta"], only["interval"]) == (None, None, None)


def test_one_row_for_each_split_and_crops() -> None:
    both = [BASE, replace(BASE, crops="center")], {"no-norm": [replace(NO_NORM, crops="center"), NO_NORM]}

    assert [r["crops"] for r in delta_table(*both).as_dict()["rows"]] == ["center", "ten"]


def test_evaluations_of_several_recipes_are_not_one_base() -> None:
    with pytest.raises(ValueError, match="several recipes"):
        delta_table([BASE, replace(BASE, digest="cccccc", seed=1)], {})


def test_an_unknown_variation_is_refused() -> None:
    with pytest.raises(UserError, match="no variation no-form"):
        delta_table([BASE], {"no-form": [NO_NORM]})


def test_a_row_with_a_printed_delta_of_other_data_cannot_be_built() -> None:
    honest = delta_table([BASE], {"no-norm": [NO_NORM]}).rows[0]
    assert isinstance(honest, DeltaRow)

    with pytest.raises(ValueError, match="was not printed for"):
        replace(honest, split="ilsvrc2010-miniature-test", logged=None)
    with pytest.raises(ValueError, match="no difference was noted for"):
        replace(honest, split="ilsvrc2010-miniature-test", printed=None, note="other data")
    with pytest.raises(ValueError, match="was not printed for"):
        replace(honest, printed=results.NO_COLOR_SHIFT)
    with pytest.raises(ValueError, match="note must say why"):
        replace(honest, printed=None)


@pytest.mark.parametrize("name", ["no-norm", "non-overlapping-pooling"])
def test_the_noted_deltas_round_to_the_printed_ones(name: str) -> None:
    variation = find_variation(name)
    assert variation.logged is not None
    assert variation.tests is not None

    noted = LoggedDelta(variation.logged, logged("145"))

    assert noted.top1_delta == pytest.approx(variation.tests.top1_delta, abs=5.1e-4)  # printed with one digit
    assert noted.top5_delta == pytest.approx(variation.tests.top5_delta, abs=5.1e-4)


def test_people_read_signed_points() -> None:
    headings, (cells,) = delta_table([BASE], {"no-norm": [NO_NORM]}).shown()
    shown = dict(zip(headings, cells, strict=True))

    assert shown["top-1, points (95 %)"] == "+2.0 (+1.4 to +2.6)"
    assert (shown["printed"], shown["noted in 2012"]) == ("+1.4 / +1.2", "+1.37 / +1.15")


def test_the_files_hold_the_same_numbers(tmp_path: Path) -> None:
    table = delta_table([BASE], {"no-norm": [NO_NORM], "tanh": []})
    csv, markdown, as_json = table.save(tmp_path)

    assert pd.read_csv(csv)["top1_delta"].tolist()[0] == 0.02
    assert [r["top1_delta"] for r in json.loads(as_json.read_text())["rows"]] == [0.02, None]
    assert "| no-norm |" in markdown.read_text()


def test_a_reported_row_holds_the_printed_and_the_noted_difference_and_no_measurement() -> None:
    (printed,) = reported_delta(find_variation("no-norm"), base="as-run-2012")
    cells = printed.cells()

    assert (cells["source"], cells["split"], cells["top1_delta"]) == ("reported", results.VAL_2012, None)
    assert (cells["reported_top1_delta"], cells["logged_top1_delta"]) == (0.014, 0.01366)
    with pytest.raises(ValueError, match="what was printed, and where"):
        replace(printed, split="ilsvrc2010-miniature-test")
    assert reported_delta(find_variation("tanh"), base="as-run-2012") == []


@pytest.mark.parametrize(
    ("name", "top1_correct", "verdict"),
    [
        ("no-norm", 29_300, "reproduced"),  # 1.4 ± 0.6 points, 1.4 printed
        ("non-overlapping-pooling", 29_850, "within noise"),  # 0.3 ± 0.6 points, 0.4 printed
        ("no-norm", 30_000, "not reproduced"),  # no difference at all
        ("tanh", 29_000, None),
        ("no-dropout", 29_000, None),
        ("without-conv3", 29_000, "not comparable"),
    ],
)
def test_the_verdict_depends_on_the_interval(name: str, top1_correct: int, verdict: str | None) -> None:
    top5_correct = 41_000 - round((30_000 - top1_correct) * 1.2 / 1.4)

    found = row([BASE], name, replace(NO_NORM, top1_correct=top1_correct, top5_correct=top5_correct))

    assert found["verdict"] == verdict


def test_a_shortened_base_settles_nothing() -> None:
    short = replace(BASE, digest=AS_RUN_2012.shortened(9).digest, epochs=9)

    assert row([short], "no-norm", replace(NO_NORM, epochs=9, top1_correct=29_300))["verdict"] == "not comparable"
