"""Rows and tables: a published number appears only next to what it may be compared with; files hold equal numbers."""

import json
from collections.abc import Callable
from dataclasses import replace
from math import hypot
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from alexrepro.paper import results
from alexrepro.paper.results import logged
from alexrepro.recipes.catalog import AS_RUN_2012, TINY
from alexrepro.recipes.variations import find_variation
from alexrepro.reports.statistics.intervals import sample_of_counts, unpaired_interval, wilson_interval
from alexrepro.reports.tables.measured import delta_rows, logged_delta, published_row, row_of
from alexrepro.reports.tables.table import COUNT, FRACTION, NUMBER, TEXT, Record, ResultTable, Row, pair_of
from alexrepro.runs.evaluation import Evaluation

Make = Callable[..., Evaluation]
T_ONE = 12.706204736432095  # the 97.5 % point of Student's t with one degree of freedom
MINIATURE = "ilsvrc2010-miniature-test"
INVENTED = replace(results.CNN_2010, split=MINIATURE)


@pytest.fixture
def measured(full: Evaluation) -> Row:
    return row_of([(full,)], label="CNN", reported=results.CNN_2010)


@pytest.fixture
def table(measured: Row, evaluation: Make) -> ResultTable:
    other = evaluation(TINY, split=MINIATURE, images=500, top1_correct=350, top5_correct=480)
    coding = published_row(results.SPARSE_CODING, label="Sparse coding")
    rows = (coding, measured, row_of([(other,)], label="tiny", note="other | data"))
    return ResultTable("table-1", "Table 1", rows)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"split": MINIATURE}, "was published for"),
        ({"crops": "center"}, "was published for"),
        ({"reported": results.CNN_2012}, "was published for"),
        ({"reported": results.CNN_2010_CENTER}, "was published for"),
        ({"reported": results.SIFT_FVS}, "was published for"),
        ({"images": 1000}, "was not published for 1000 images"),
        ({"split": MINIATURE, "reported": INVENTED}, r"not a number of paper/results\.py"),
        ({"reported": None, "verdict": None}, "note must say why"),
        ({"verdict": "not comparable"}, "cannot be compared"),
        (dict.fromkeys(("seeds", "images", "top1", "top5", "interval")), "was not published for None images"),
        ({"source": "reported"}, "exactly what was published"),
        ({"source": "reported", "reported": None}, "exactly what was published"),
    ],
)
def test_a_row_that_breaks_the_rule_cannot_be_built(measured: Row, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        replace(measured, **changes)


def test_seeds_without_predictions_have_the_images_of_one_seed_and_their_spread(full: Evaluation) -> None:
    row = row_of([(full,), (replace(full, seed=1, top1_correct=94_500),)], label="CNN", reported=results.CNN_2010)

    assert (row.seeds, row.images) == (2, 150_000)
    assert row.top1 is not None
    assert row.top1.mean == pytest.approx(0.375, abs=1e-15)  # the mean of 0.38 and 0.37; rounding only
    assert row.top1.std == pytest.approx(0.01 / 2**0.5, abs=1e-12)  # rounding only
    (low, high), margin = wilson_interval(56_250, 150_000), T_ONE * 0.01 / 2  # half the difference of the two seeds
    assert row.top1.low == pytest.approx(0.375 - hypot(0.375 - low, margin), abs=1e-9)  # digits of the quantile
    assert row.top1.high == pytest.approx(0.375 + hypot(high - 0.375, margin), abs=1e-9)
    assert "at least 95 %" in str(row.cells()["interval"])
    assert row.shown()["images"] == "150,000 × 2 seeds"
    assert row.shown()["top-1 error"].startswith("37.5 ± 0.7 % (31.")


def test_saving_writes_three_files_with_the_same_numbers(table: ResultTable, tmp_path: Path) -> None:
    csv, markdown, as_json = table.save(tmp_path / "reports")

    assert sorted((csv, markdown, as_json)) == sorted((tmp_path / "reports").iterdir())
    types: dict[Any, Any] = dict(table.rows[0].COLUMNS)
    from_json = pd.DataFrame(json.loads(as_json.read_text())["rows"], dtype=object).astype(types)
    numbers = [frame.select_dtypes("number") for frame in (pd.read_csv(csv, dtype=types), from_json)]
    pd.testing.assert_frame_equal(*numbers, rtol=1e-14, atol=0)  # reading CSV rounds


def test_markdown_shows_percent_intervals_and_published_numbers(table: ResultTable) -> None:
    lines = table.markdown().splitlines()

    assert lines[0] == "# Table 1"
    assert lines[2] == "| network | images | top-1 error | top-5 error | published | verdict |"
    assert "| 47.1 % | 28.2 % |  | published; §6: Table 1, six models averaged |" in lines[4]
    assert "| 38.0 % (37.8–38.2) | 17.3 % (17.1–17.5) | 37.5 % / 17.0 % | not reproduced |" in lines[5]
    assert lines[6].endswith(r"| other \| data |")  # a bar in a cell does not end it


def test_a_record_shows_units_and_a_deviation_next_to_its_number() -> None:
    columns = {"images": COUNT, "fraction": FRACTION, "loss": NUMBER, "loss_std": NUMBER, "verdict": TEXT, "note": TEXT}
    values = {"images": 1500, "fraction": 0.01, "loss": 1.23456, "loss_std": 0.5, "verdict": "not run", "note": "why"}

    assert Record(columns, values).shown() == {
        "images": "1,500", "fraction": "1.00 %", "loss": "1.235 ± 0.5", "verdict": "not run; why"
    }  # fmt: skip


@pytest.fixture
def base(evaluation: Make) -> Evaluation:
    """40 % and 18 % errors on the validation split of 2012."""
    return evaluation(AS_RUN_2012, split=results.VAL_2012)


@pytest.fixture
def no_norm(base: Evaluation) -> Evaluation:
    """Two and one points more errors."""
    return replace(base, recipe="as-run-2012+no-norm", digest="aaaaaa", top1_correct=29_000, top5_correct=40_500)


def delta(base: list[Evaluation], name: str, *found: Evaluation) -> dict[str, Any]:
    (only,) = delta_rows(find_variation(name), base, found)
    return only.cells()


def test_a_delta_is_the_variation_minus_the_base_with_the_published_and_the_logged_one_next_to_it(
    base: Evaluation, no_norm: Evaluation
) -> None:
    found = delta([base], "no-norm", no_norm)

    ends = unpaired_interval(sample_of_counts([21_000], 50_000), sample_of_counts([20_000], 50_000))
    assert (found["top1_delta"], found["top5_delta"]) == (0.02, 0.01)
    assert (found["top1_low"], found["top1_high"]) == ends
    assert found["interval"] == "at least 95 %, unpaired (Newcombe); other seeds are not included"
    assert (found["reported_top1_delta"], found["reported_top5_delta"]) == (0.014, 0.012)
    assert (found["logged_top1_delta"], found["logged_top5_delta"]) == (0.01366, 0.0115)
    assert (found["logged_cites"], found["note"]) == ("layer-params-148.cfg - layer-params-145.cfg", "")
    assert (found["top1_error"], found["top5_error"]) == (0.42, 0.19)
    assert (found["base_top1_error"], found["base_top5_error"]) == (0.4, 0.18)
    shown = delta_rows(find_variation("no-norm"), [base], [no_norm])[0].shown()
    assert shown["difference"] == "no-norm, as-run-2012 on ilsvrc2012-val, ten"
    assert shown["top-1, points"] == "+2.00 (+1.39 to +2.61)"
    assert (shown["errors"], shown["base errors"]) == ("42.0 / 19.0 %", "40.0 / 18.0 %")
    assert (shown["published"], shown["2012 log"]) == ("+1.4 / +1.2", "+1.37 / +1.15")


@pytest.mark.parametrize(
    ("name", "changes", "note"),
    [
        ("no-norm", {"split": MINIATURE, "dataset": "ilsvrc2010-miniature"}, "other data"),
        ("no-norm", {"crops": "center"}, "other crops"),
        ("tanh", {}, "no published number"),
        ("no-color-shift", {}, "published without naming the data"),
    ],
)
def test_an_empty_published_cell_says_why(
    base: Evaluation, no_norm: Evaluation, name: str, changes: dict[str, Any], note: str
) -> None:
    found = delta([replace(base, **changes)], name, replace(no_norm, **changes))

    assert (found["note"], found["reported_top1_delta"], found["logged_top1_delta"]) == (note, None, None)


def test_common_seeds_give_mean_and_spread_and_other_crops_another_row(base: Evaluation, no_norm: Evaluation) -> None:
    bases = [base, replace(base, seed=1), replace(base, seed=2, top1_correct=1)]
    both = [replace(no_norm, crops="center"), no_norm]

    found = delta(bases, "no-norm", no_norm, replace(no_norm, seed=1, top1_correct=28_000))
    rows = delta_rows(find_variation("no-norm"), [base, replace(base, crops="center")], both)

    assert [row.crops for row in rows] == ["center", "ten"]
    assert found["seeds"] == 2
    assert found["top1_delta"] == pytest.approx(0.03, abs=1e-12)  # the mean of 0.02 and 0.04; rounding only
    assert found["top1_std"] == pytest.approx(0.02 / 2**0.5, abs=1e-12)  # rounding only


@pytest.mark.parametrize("changes", [None, {"seed": 7}, {"split": "ilsvrc2012-other"}])
def test_without_a_common_run_the_row_is_empty_and_says_why(
    base: Evaluation, no_norm: Evaluation, changes: dict[str, Any] | None
) -> None:
    only = delta([base], "no-norm", *([] if changes is None else [replace(no_norm, **changes)]))

    assert only["verdict"] == "not run"
    assert only["note"] == ("" if changes is None else "no seed, split and crops in common with the base")
    assert (only["top1_delta"], only["reported_top1_delta"], only["interval"]) == (None, None, None)


@pytest.mark.parametrize("name", ["no-norm", "non-overlapping-pooling"])
def test_the_logged_deltas_round_to_the_published_ones(name: str) -> None:
    variation = find_variation(name)
    assert variation.logged is not None
    assert variation.tests is not None

    found = logged_delta(variation.logged, logged("145"))

    assert pair_of(found) == pytest.approx(pair_of(variation.tests), abs=5.1e-4)  # published with one digit


@pytest.mark.parametrize(
    ("name", "top1_correct", "verdict"),
    [
        ("no-norm", 29_300, "reproduced"),  # 1.4 ± 0.6 points, 1.4 published
        ("non-overlapping-pooling", 29_850, "within noise"),  # 0.3 ± 0.6 points, 0.4 published
        ("no-norm", 30_000, "not reproduced"),  # no difference at all
        ("tanh", 29_000, None),
        ("without-conv3", 29_000, "not comparable"),
    ],
)
def test_the_verdict_depends_on_the_interval(
    base: Evaluation, no_norm: Evaluation, name: str, top1_correct: int, verdict: str | None
) -> None:
    top5_correct = 41_000 - round((30_000 - top1_correct) * 1.2 / 1.4)

    found = delta([base], name, replace(no_norm, top1_correct=top1_correct, top5_correct=top5_correct))

    assert found["verdict"] == verdict


def test_a_shortened_base_settles_nothing(base: Evaluation, no_norm: Evaluation) -> None:
    short = replace(base, digest=AS_RUN_2012.shortened(9).digest, epochs=9)

    found = delta([short], "no-norm", replace(no_norm, epochs=9, top1_correct=29_300))

    assert (found["verdict"], found["note"]) == ("not comparable", "shortened to 9 of 90 epochs")
