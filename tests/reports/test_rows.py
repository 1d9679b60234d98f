"""The rule of honesty cannot be broken, and the files hold the same numbers."""

import json
from collections.abc import Callable
from csv import DictReader
from dataclasses import replace
from math import hypot
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from alexrepro.paper import results
from alexrepro.recipes.as_printed_and_run import AS_RUN_2010, TINY
from alexrepro.reports.statistics.intervals import Estimate, wilson_interval
from alexrepro.reports.tables.error_rows import measured_row, reported_row
from alexrepro.reports.tables.row import Row
from alexrepro.reports.tables.table import COUNT, FRACTION, NUMBER, TEXT, Record, ResultTable
from alexrepro.runs.evaluation import Evaluation

Make = Callable[..., Evaluation]
T_ONE = 12.706204736432095  # the 97.5 % point of Student's t with one degree of freedom


@pytest.fixture
def full(evaluation: Make) -> Evaluation:
    """38 % and 17.3 % errors on the full test split of 2010."""
    return evaluation(AS_RUN_2010, split=results.TEST_2010, images=150_000, top1_correct=93_000, top5_correct=124_000)


@pytest.fixture
def other(evaluation: Make) -> Evaluation:
    """30 % and 4 % errors on the miniature."""
    return evaluation(TINY, split="ilsvrc2010-miniature-test", images=500, top1_correct=350, top5_correct=480)


@pytest.fixture
def measured(full: Evaluation) -> Row:
    return measured_row([full], label="CNN", reported=results.CNN_2010)


@pytest.fixture
def table(measured: Row, other: Evaluation) -> ResultTable:
    rows = (reported_row(results.SPARSE_CODING), measured, measured_row([other], label="tiny", note="other | data"))
    return ResultTable("table-1", "Table 1", rows)


def test_a_measurement_has_the_published_numbers_of_its_split_and_crops_next_to_it(measured: Row) -> None:
    cells = measured.cells()

    assert (cells["top1_error"], cells["reported_top1_error"], cells["reported_top5_error"]) == (0.38, 0.375, 0.170)
    assert cells["reported_cites"] == "§6: Table 1"


INVENTED = replace(results.CNN_2010, split="ilsvrc2010-miniature-test")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"split": "ilsvrc2010-miniature-test"}, "was published for"),
        ({"split": results.VAL_2012}, "was published for"),
        ({"crops": "center"}, "was published for"),
        ({"reported": results.CNN_2012}, "was published for"),
        ({"reported": results.CNN_2010_CENTER}, "was published for"),
        ({"reported": results.SIFT_FVS}, "was published for"),
        ({"images": 1000}, "was not published for 1000 images"),
        ({"split": "ilsvrc2010-miniature-test", "reported": INVENTED}, r"not a number of paper/results\.py"),
        ({"reported": None, "verdict": None}, "note must say why"),
        ({"seeds": None}, "needs its seeds, images and intervals"),
        ({"images": None}, "needs its seeds, images and intervals"),
        ({"top5": Estimate(0.17)}, "needs its seeds, images and intervals"),
        ({"seeds": 2}, "spread"),
        (dict.fromkeys(("seeds", "images", "top1", "top5", "interval")), "there is none"),
        ({"source": "reported"}, "exactly what was published"),
    ],
)
def test_a_row_that_breaks_the_rule_cannot_be_built(measured: Row, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        replace(measured, **changes)


@pytest.mark.parametrize("changes", [{"top1": Estimate(0.4)}, {"split": results.VAL_2012}, {"reported": None}])
def test_a_reported_row_holds_what_was_published(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="published"):
        replace(reported_row(results.CNN_2010), **changes)


def test_seeds_without_predictions_have_the_images_of_one_seed_and_their_spread(full: Evaluation) -> None:
    row = measured_row([full, replace(full, seed=1, top1_correct=94_500)], label="CNN", reported=results.CNN_2010)

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


@pytest.mark.parametrize("changes", [{"seed": 0}, {"seed": 1, "digest": "000000"}, {"seed": 1, "crops": "center"}])
def test_runs_that_differ_in_more_than_the_seed_are_not_pooled(full: Evaluation, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="differ in more than their seeds"):
        measured_row([full, replace(full, **changes)], label="CNN", reported=results.CNN_2010)


def test_a_table_has_a_file_name_and_rows(table: ResultTable) -> None:
    for name in ("", "../table-1", "Table 1"):
        with pytest.raises(ValueError, match="cannot name files"):
            replace(table, name=name)
    with pytest.raises(ValueError, match="at least one row"):
        replace(table, rows=())


def test_saving_writes_three_files_with_the_same_numbers(table: ResultTable, tmp_path: Path) -> None:
    csv, markdown, as_json = table.save(tmp_path / "reports")

    assert sorted((csv, markdown, as_json)) == sorted((tmp_path / "reports").iterdir())
    types: dict[Any, Any] = dict(table.rows[0].COLUMNS)
    numbers = [name for name, kind in types.items() if kind != "string"]
    with csv.open(newline="", encoding="utf-8") as file:
        from_csv = [[float(row[name]) if row[name] else None for name in numbers] for row in DictReader(file)]
    from_json = pd.DataFrame(json.loads(as_json.read_text())["rows"], dtype=object).astype(types)
    pd.testing.assert_frame_equal(from_json, table.frame())
    assert from_csv == [[row.cells()[name] for name in numbers] for row in table.rows]


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
