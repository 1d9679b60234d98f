"""Table 1 as the paper prints it, and what stands beside it."""

from dataclasses import replace
from typing import Any

from alexrepro.recipes.as_printed_and_run import AS_RUN_2010, TINY
from alexrepro.reports.experiment import answer, find, missing
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.runs.evaluation import Evaluation

TABLE = find("table-1")
FOLDER = f"runs/as-run-2010-{AS_RUN_2010.digest}/ilsvrc2010-seed-0"
FULL = Evaluation(
    run="runs/as-run-2010-ca8da4/ilsvrc2010-seed-0", recipe="as-run-2010", digest=AS_RUN_2010.digest, seed=0,
    epochs=92, dataset="ilsvrc2010", split="ilsvrc2010-test", crops="ten",
    images=150_000, top1_correct=93_000, top5_correct=124_000, loss=1.6,
)  # fmt: skip
MINIATURE = Evaluation(
    run="runs/tiny-7fdc23/ilsvrc2010-miniature-seed-0", recipe="tiny", digest=TINY.digest, seed=0, epochs=13,
    dataset="ilsvrc2010-miniature", split="ilsvrc2010-miniature-test", crops="ten",
    images=500, top1_correct=350, top5_correct=480, loss=1.0,
)  # fmt: skip


def rows(source: str, *evaluations: Evaluation) -> list[dict[str, Any]]:
    return [
        row for row in answer(TABLE, Evidence(evaluations=evaluations)).as_dict()["rows"] if row["source"] == source
    ]


def test_table_1_has_the_three_printed_rows() -> None:
    found = [(row["label"], row["top1_error"], row["top5_error"]) for row in rows("reported")]

    assert found == [("Sparse coding", 0.471, 0.282), ("SIFT + FVs", 0.457, 0.257), ("CNN", 0.375, 0.170)]


def test_the_miniature_is_measured_and_stands_beside_nothing() -> None:
    miniature = rows("measured", MINIATURE)[-1]

    assert (miniature["dataset"], miniature["top1_error"]) == ("ilsvrc2010-miniature", 0.3)
    assert (miniature["reported_top1_error"], miniature["reported_top5_error"]) == (None, None)


def test_the_footnote_stands_beside_the_center_crop_only() -> None:
    center = replace(FULL, crops="center", top1_correct=91_500)

    ten_row, center_row = rows("measured", center, FULL)

    assert (ten_row["crops"], ten_row["reported_top1_error"]) == ("ten", 0.375)
    assert (center_row["crops"], center_row["reported_top1_error"]) == ("center", 0.390)
    assert center_row["reported_cites"] == "§6: footnote 5"


def test_without_runs_table_1_says_not_run_and_what_to_type() -> None:
    assert [row["note"] for row in rows("measured")] == ["not run", "not run"]
    assert missing(TABLE, Evidence()) == [
        "alexrepro prepare /path/ILSVRC2010",
        "alexrepro train as-run-2010 --store ilsvrc2010",
        f"alexrepro evaluate {FOLDER} --ten-crop",
        f"alexrepro evaluate {FOLDER}",
    ]
