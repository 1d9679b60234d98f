"""A run at one moment, in words."""

from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from alexrepro.cli.app import app
from alexrepro.progress import duration
from alexrepro.recipes.catalog import TINY
from alexrepro.reports.figures.curves import snapshot
from alexrepro.runs.run import Run


def test_a_snapshot_shows_progress_and_time_left(make_run: Callable[..., Run]) -> None:
    run = make_run(TINY, losses=(3.0, 2.0, 1.0), errors=(0.9,))
    with run.lock():  # as the process that trains holds it
        now = snapshot(run)

    assert now.lines[1:] == (
        "█▅▁  loss 3.000 to 1.000",
        "epoch 2/13, step 3/26, 100 images/s, 7 s left",  # 23 steps of 32 images are left, at 100 images per second
        "loss 2.000, learning rate 0.01",
        "ilsvrc2010-miniature-val after epoch 1: top-1 error 90.0 %, top-5 error 45.0 %",
    )
    assert snapshot(make_run(TINY, seed=1)).lines[0].endswith("no step yet")
    assert snapshot(make_run(TINY, seed=2, losses=(1.0, 1.0))).lines[1] == "▁▁  loss 1.000 to 1.000"


def test_a_run_that_no_process_trains_has_stopped_and_goes_on_with_the_command_that_it_was_started_with(
    make_run: Callable[..., Run],
) -> None:
    starts = [{"command": ["alexrepro", "train", "--seed", "1"], "stores": {}}]
    run = make_run(TINY, losses=(3.0, 2.0), starts=starts, failure="at chance after 2 steps")

    now = snapshot(run)

    assert now.has_ended
    assert now.lines[2].endswith("100 images/s, stopped")
    assert now.lines[4] == "Stopped: at chance after 2 steps. Go on with: alexrepro train --seed 1"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(40, "40 s"), (430, "7 min"), (7_500, "2 h 5 min"), (273_600, "3 d 4 h"), (None, "unknown time")],
)
def test_durations_have_two_units_at_most(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("options", "is_complete"), [(["--once"], False), ([], True)])
def test_watching_ends_after_one_look_or_when_the_run_is_complete(
    make_run: Callable[..., Run], options: list[str], is_complete: bool
) -> None:
    run = make_run(TINY, losses=(3.0, 2.0), is_complete=is_complete)

    result = CliRunner().invoke(app, ["watch", str(run.folder), *options])

    assert result.exit_code == 0
    assert ("complete" in result.stdout) == is_complete
    assert result.stdout.count("step 2/26") == 1
