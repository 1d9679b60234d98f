"""The rows of a run: added whole, read whole, and dropped where a continued run will write them again."""

import tracemalloc
from pathlib import Path

import pytest

from alexrepro.errors import UserError
from alexrepro.recipes.catalog import TINY
from alexrepro.reports.figures.curves import by_epoch, snapshot
from alexrepro.reports.page import provenance
from alexrepro.runs import rows
from alexrepro.runs.rows import METRICS, VALIDATION
from alexrepro.runs.run import Run

FIRST = ",".join(METRICS)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def row(step: int, epoch: int = 1, images: int = 16, loss: str = "0.693147") -> dict[str, object]:
    return dict(zip(METRICS, (step, epoch, images, loss, "0.01", 100.0, "0.500000"), strict=True))


def validated(epoch: int) -> dict[str, object]:
    return dict(zip(VALIDATION, (epoch, "val", "center", 14, "0.5", "0.1", "0.6"), strict=True))


def line(step: int) -> str:
    return ",".join(map(str, row(step).values()))


# What a power cut may leave: after the last row that was synced, or in place of the first line.
CUT = {
    "in its number": (12, line(13)[:1]), "in its middle": (12, line(13)[:9]), "before its end": (12, line(13)),
    "zeros": (12, "\0" * 40), "zeros and a line": (12, "\0" * 40 + "\n"),
    "all": (0, ""), "in the first line": (0, FIRST[:8]), "before the end of the first line": (0, FIRST),
}  # fmt: skip


@pytest.mark.parametrize(("count", "cut"), CUT.values(), ids=CUT)
def test_a_line_that_was_cut_off_is_dropped(run: Run, count: int, cut: str) -> None:
    whole = [FIRST, *map(line, range(1, count + 1))] if count else []
    run.metrics_file.write_text("".join(f"{text}\n" for text in whole) + cut)

    run.forget_after(step=count, epoch=1)
    run.add_metrics([row(count + 1)])

    assert run.metrics_file.read_text().splitlines() == [FIRST, *whole[1:], line(count + 1)]


def test_rows_are_read_in_blocks_and_cut_off_where_they_lie(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "BLOCK_BYTES", 50)  # a line has some 40 bytes
    run.add_metrics(map(row, range(1, 16)))
    run.add_metrics(map(row, range(16, 31)))
    for epoch in (1, 2, 3):
        run.add_validation(validated(epoch))
    inode = run.metrics_file.stat().st_ino
    with run.metrics_file.open("a") as file:
        file.write(line(31)[:-1])

    assert run.metrics["step"].tolist() == list(range(1, 31))
    assert run.newest_metrics(3)["step"].tolist() == [28, 29, 30]
    run.forget_after(step=20, epoch=2)
    assert run.validations["epoch"].tolist() == [1, 2]
    assert run.metrics_file.read_text().splitlines() == [FIRST, *map(line, range(1, 21))]
    assert run.metrics_file.stat().st_ino == inode  # not written again


def test_a_damaged_row_is_refused_by_name(run: Run) -> None:
    run.add_metrics([row(1), row(2) | {"loss": "1.0\0"}])

    with pytest.raises(UserError, match=r"metrics.csv is damaged: "):
        _ = run.metrics


def test_the_loss_of_the_last_epoch_is_that_of_the_curves_and_counts_images(run: Run) -> None:
    run.begin(TINY, {"steps_per_epoch": 3})
    run.add_metrics([row(1, 1, 16, "9.0"), row(2, 2, 16, "2.0"), row(3, 2, 16, "3.0"), row(4, 2, 8, "5.0")])

    assert run.last_epoch_loss == (16 * 2 + 16 * 3 + 8 * 5) / 40 == by_epoch(run)["loss"].iloc[-1]


def test_a_long_run_is_read_in_little_memory(run: Run) -> None:
    """100,000 rows; as a list of dicts they were some 90 MB."""
    with run.metrics_file.open("w") as file:
        file.write(f"{FIRST}\n")
        file.writelines(f"{step},{1 + step // 1000},128,6.9,0.01,100.0,0.9\n" for step in range(1, 100_001))
    run.add_validation(validated(1))
    run.begin(TINY, {"steps_per_epoch": 1000})
    by_epoch(run)  # once, so that what is imported is not counted
    tracemalloc.start()

    run.newest_metrics(1)
    _ = run.last_epoch_loss
    by_epoch(run)
    snapshot(run)
    provenance(run)
    run.forget_after(step=50_000, epoch=50)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 15e6
    assert run.metrics_file.read_text().endswith("\n50000,51,128,6.9,0.01,100.0,0.9\n")
