"""Every evaluation is a row of one table, whatever its recipe and data set, with what published numbers would need."""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from alexrepro.paper.results import VAL_2012
from alexrepro.recipes.catalog import AS_RUN_2012, TINY
from alexrepro.reports.experiments import Evidence, find, render
from alexrepro.reports.statistics.intervals import wilson_interval
from alexrepro.reports.tables.table import COUNT, ResultTable
from alexrepro.runs.evaluation import Evaluation

Make = Callable[..., Evaluation]


@pytest.fixture
def table(evaluation: Make, averaged: Make) -> ResultTable:
    """`tiny` on the miniature over two kinds of crops, a part of ILSVRC-2012, and an average."""
    tiny = evaluation(
        TINY, split="ilsvrc2010-miniature-test", images=500, tied_images=0, store="0a", preprocessing="0b"
    )
    part = evaluation(AS_RUN_2012.for_classes(50), split=VAL_2012, images=250, classes=50)
    average = averaged([TINY, TINY], split="ilsvrc2010-miniature-test", images=500)
    found = Evidence(evaluations=(tiny, replace(tiny, crops="center"), part), ensembles=(average,))
    return render(find("evaluations"), found).table


def test_every_run_and_average_has_a_row_for_each_split_and_crops(table: ResultTable) -> None:
    frame = table.frame()

    assert frame[["split", "crops", "recipe"]].to_numpy().tolist() == [
        ["ilsvrc2010-miniature-test", "ten", "tiny"],
        ["ilsvrc2010-miniature-test", "center", "tiny"],
        ["ilsvrc2012-val", "ten", "as-run-2012"],
        ["ilsvrc2010-miniature-test", "ten", "ensemble"],
    ]
    assert frame["note"].tolist()[:3] == ["", "", "250 of 50,000 images, 50 of 1,000 classes"]
    low, high = wilson_interval(200, 500)
    first = frame.iloc[0]
    assert (first["top1_error"], first["top1_low"], first["top1_high"]) == (0.4, low, high)
    assert (first["top1_correct"], first["loss"], first["store"], first["preprocessing"]) == (300, 1.7, "0a", "0b")


def test_the_table_has_true_types_and_prints_errors_with_their_intervals(table: ResultTable) -> None:
    types = table.frame().dtypes

    assert {types[name].name for name in ("images", "classes", "seed", "tied_images")} == {COUNT}
    assert pd.api.types.is_float_dtype(types["top5_error"])
    assert table.rows[0].shown()["top1 error"] == "40.00 % (35.80–44.35)"


def test_without_evaluations_the_commands_make_one() -> None:
    report = render(find("evaluations"), Evidence())

    assert report.table.rows[0].cells()["note"] == "not run"
    assert report.missing == ["alexrepro prepare miniature", "alexrepro train tiny", "alexrepro evaluate --ten-crop"]
