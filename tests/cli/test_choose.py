"""Which run a command takes, and what it says of it."""

from pathlib import Path

import pytest

from alexrepro.cli.choose import choose_run
from alexrepro.recipes.catalog import TINY
from alexrepro.runs.paths import checkpoint_of
from alexrepro.runs.run import Run, run_of


def begun(runs: Path, *, seed: int) -> Run:
    """A run with nothing but its environment, newer than those before it."""
    run = run_of(runs, TINY, dataset="ilsvrc2010-miniature", seed=seed)
    run.begin(TINY, {"seed": seed, "steps_per_epoch": 38, "stores": {}})
    return run


def test_a_complete_run_is_taken_before_a_newer_one_except_to_be_watched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare, short, complete = (begun(tmp_path, seed=seed) for seed in range(3))

    def taken(*, is_live: bool = False) -> Run:
        return choose_run(None, runs=tmp_path, is_live=is_live)

    assert taken(is_live=True) == complete  # the newest: none has a checkpoint
    checkpoint_of(short.checkpoints, 3).mkdir(parents=True)
    assert taken() == short
    assert f"Run: {short.folder}, step 3 of 494.\n" in capsys.readouterr().err
    complete.finish({})
    newer = begun(tmp_path, seed=3)
    checkpoint_of(newer.checkpoints, 1).mkdir(parents=True)
    assert (taken(), taken(is_live=True)) == (complete, newer)
    assert f"Run: {complete.folder}, complete.\n" in capsys.readouterr().err
    assert bare.progress == "without a checkpoint"


def test_a_named_run_is_told_only_if_it_is_not_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short, complete = (begun(tmp_path, seed=seed) for seed in range(2))
    checkpoint_of(short.checkpoints, 3).mkdir(parents=True)
    complete.finish({})

    for run in (complete, short):
        choose_run(run.folder, runs=tmp_path)

    assert capsys.readouterr().err == f"Run: {short.folder}, step 3 of 494.\n"
