"""The rule of honesty cannot be broken, and the files hold the same numbers."""

import json
from csv import DictReader
from dataclasses import replace
from math import hypot
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from alexrepro.paper import results
from alexrepro.reports.statistics.intervals import wilson_interval
from alexrepro.reports.tables.error_rows import Row, measured_row, reported_row
from alexrepro.reports.tables.table import COUNT, FRACTION, NUMBER, Record, ResultTable
from alexrepro.runs.evaluation import Evaluation

T_ONE = 12.706204736432095  # the 97.5 % point of Student's t with one degree of freedom
FULL = Evaluation(
    run="runs/as-run-2010-ca8da4/ilsvrc2010-seed-0", recipe="as-run-2010", digest="ca8da4", seed=0, epochs=92,
    dataset="ilsvrc2010", split=results.TEST_2010, crops="ten",
    images=150_000, top1_correct=93_000, top5_correct=124_000, loss=1.6,
)  # fmt: skip
OTHER = replace(FULL, dataset="ilsvrc2010-miniature", split="ilsvrc2010-miniature-test", images=500, top1_correct=350,
                top5_correct=480)  # fmt: skip


def measured(**changes: Any) -> Row:
    return replace(measured_row([FULL], label="CNN", printed=results.CNN_2010, note=""), **changes)


def table() -> ResultTable:
    other = measured_row([OTHER], label="tiny", printed=None, note="other data | miniature")
    return ResultTable("table-1", "Table 1", (reported_row(results.SPARSE_CODING), measured(), other))


def test_a_measurement_on_the_printed_split_and_crops_stands_beside_the_printed_numbers() -> None:
    cells = measured().cells()

    assert (cells["top1_error"], cells["reported_top1_error"], cells["reported_top5_error"]) == (0.38, 0.375, 0.170)
    assert cells["reported_cites"] == "§6: Table 1"


@pytest.mark.parametrize(
    "changes",
    [
        {"split": "ilsvrc2010-miniature-test"},
        {"split": results.VAL_2012},
        {"crops": "center"},
        {"printed": results.CNN_2012},
        {"printed": results.CNN_2010_CENTER},
        {"printed": results.SIFT_FVS},
    ],
)
def test_no_printed_number_stands_beside_another_split_or_other_crops(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="was printed for"):
        measured(**changes)


def test_no_printed_number_stands_beside_a_run_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="there is none"):
        Row("CNN", "measured", dataset="ilsvrc2010", split=results.TEST_2010, crops="ten", printed=results.CNN_2010)


def test_no_other_numbers_pass_as_printed() -> None:
    invented = replace(results.CNN_2010, split="ilsvrc2010-miniature-test")

    with pytest.raises(ValueError, match=r"not a number of paper/results\.py"):
        measured(split="ilsvrc2010-miniature-test", printed=invented)


@pytest.mark.parametrize("changes", [{"top1_error": 0.4}, {"split": results.VAL_2012}, {"printed": None}])
def test_a_reported_row_says_what_was_printed(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="printed"):
        replace(reported_row(results.CNN_2010), **changes)


def test_an_empty_reported_cell_needs_a_note() -> None:
    with pytest.raises(ValueError, match="note must say why"):
        measured(printed=None)


@pytest.mark.parametrize("missing", ["seeds", "images", "top1_low", "top5_high"])
def test_no_measured_number_is_bare(missing: str) -> None:
    with pytest.raises(ValueError, match="needs its seeds, images and intervals"):
        measured(**{missing: None})


def test_several_seeds_need_their_spread() -> None:
    with pytest.raises(ValueError, match="spread"):
        measured(seeds=2)


def test_seeds_without_answers_have_the_images_of_one_seed_and_their_spread() -> None:
    second = replace(FULL, seed=1, top1_correct=94_500)

    row = measured_row([FULL, second], label="CNN", printed=results.CNN_2010, note="")

    assert (row.seeds, row.images) == (2, 150_000)
    assert row.top1_error == pytest.approx(0.375, abs=1e-15)  # the mean of 0.38 and 0.37; rounding only
    assert row.top1_std == pytest.approx(0.01 / 2**0.5, abs=1e-12)  # rounding only
    (low, high), margin = wilson_interval(56_250, 150_000), T_ONE * 0.01 / 2  # half the difference of the two seeds
    assert row.top1_low == pytest.approx(0.375 - hypot(0.375 - low, margin), abs=1e-9)  # digits of the quantile
    assert row.top1_high == pytest.approx(0.375 + hypot(high - 0.375, margin), abs=1e-9)
    assert "at least 95 %" in str(row.cells()["interval"])


def test_equal_seeds_are_no_more_images_than_one() -> None:
    row = measured_row([FULL, replace(FULL, seed=1), replace(FULL, seed=2)], label="CNN", printed=None, note="other")

    assert (row.top1_low, row.top1_high) == pytest.approx(wilson_interval(57_000, 150_000), abs=1e-12)  # rounding only


@pytest.mark.parametrize("changes", [{"seed": 0}, {"seed": 1, "digest": "000000"}, {"seed": 1, "crops": "center"}])
def test_runs_that_differ_in_more_than_the_seed_are_not_pooled(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="differ in more than their seeds"):
        measured_row([FULL, replace(FULL, **changes)], label="CNN", printed=results.CNN_2010, note="")


@pytest.mark.parametrize("name", ["", "../table-1", "Table 1"])
def test_a_table_name_is_a_file_name(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name files"):
        replace(table(), name=name)


def test_a_table_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="has rows"):
        ResultTable("table-1", "Table 1", ())


def test_saving_writes_three_files_and_nothing_else(tmp_path: Path) -> None:
    paths = table().save(tmp_path / "reports")

    assert [path.name for path in paths] == [f"table-1.{end}" for end in ("csv", "md", "json")]
    assert sorted(paths) == sorted((tmp_path / "reports").iterdir())


def test_csv_and_json_hold_the_same_numbers(tmp_path: Path) -> None:
    expected = table().frame()
    csv, _, as_json = table().save(tmp_path)
    types: dict[Any, Any] = dict(Row.COLUMNS)
    numbers = [name for name, kind in types.items() if kind != "string"]

    with csv.open(newline="", encoding="utf-8") as file:
        from_csv = [[float(row[name]) if row[name] else None for name in numbers] for row in DictReader(file)]
    from_json = pd.DataFrame(json.loads(as_json.read_text())["rows"], dtype=object).astype(types)

    pd.testing.assert_frame_equal(from_json, expected)
    assert from_csv == [[row.cells()[name] for name in numbers] for row in table().rows]


def test_markdown_shows_percent_intervals_and_what_was_printed() -> None:
    lines = table().markdown().splitlines()

    assert lines[0] == "# Table 1"
    assert lines[2].startswith("| network | source | split, crops | images | top-1 error |")
    assert "| 38.0 % (37.8–38.2) | 17.3 % (17.1–17.5) | one seed | 37.5 % / 17.0 % |" in lines[5]


def test_people_read_how_many_seeds_were_counted() -> None:
    row = measured_row([OTHER, replace(OTHER, seed=1)], label="tiny", printed=None, note="other data")

    assert row.shown()["images"] == "500 × 2 seeds"
    assert row.shown()["top-1 error"].startswith("30.0 ± 0.0 % (26.1–")


def test_a_bar_in_a_cell_does_not_end_it_in_markdown() -> None:
    assert r"| other data \| miniature |" in table().markdown()


def test_a_record_shows_its_interval_beside_its_number() -> None:
    columns = {"images": COUNT, "gap": FRACTION, "gap_low": FRACTION, "gap_high": FRACTION, "loss": NUMBER}
    row = Record(columns, {"images": 1500, "gap": 0.01, "gap_low": 0.005, "gap_high": 0.015, "loss": 1.23456})

    assert row.shown() == {"images": "1,500", "gap": "1.00 % (0.50 % to 1.50 %)", "loss": "1.235"}
