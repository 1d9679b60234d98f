"""A training that is killed anywhere, and started again until it ends, ends in the same bits as one that was not."""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from alexrepro.files import sha256_of_file
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.run import Run, find_runs
from alexrepro.training import state

from ..children import die_before, exit_of, in_child
from ..toy import Train, without_pace


@pytest.fixture
def short(toy: Train, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Run]:
    """Six steps in two epochs, with a checkpoint after every one, on a disk so slow that kills hit them."""
    monkeypatch.setattr(state, "SAVE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(os, "fsync", lambda _: time.sleep(0.005))
    return lambda folder: toy(folder, chosen=recipe.but({"training.epochs": 2}))


def left_by(folder: Path) -> dict[str, object]:
    """What kills may not change: the last weights and velocities, the rows but their pace, and no leftovers."""
    (run,) = find_runs(folder)
    (*_, last) = sorted(run.checkpoints.iterdir())
    return {
        "checkpoint": last.name,
        **{file.name: sha256_of_file(file) for file in last.iterdir()},
        "checkpoints": len(list(run.checkpoints.iterdir())),
        "metrics": without_pace(run).to_dict("records"),
        "validation": run.validation_file.read_bytes(),
        "pixels": sha256_of_file(run.pixels_file),
        "half written": [path for path in run.folder.parent.rglob("*") if path.name.endswith(".partial")],
    }


def ends(out: Path, short: Train, seconds: float) -> bool:
    """Whether a training in a child ends before it is killed after some seconds."""
    child = in_child(lambda: short(out))
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    code = exit_of(child)
    assert code in (0, -signal.SIGKILL)
    return code == 0


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [10, pytest.param(200, marks=pytest.mark.long)])
def test_kills_at_random_instants_change_no_bit(
    wanted: int, short: Train, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """About one kill in seven hits the writing or removal of a checkpoint; there are more kills until one has."""
    short(tmp_path / "whole")
    expected = left_by(tmp_path / "whole")
    started = time.monotonic()
    assert exit_of(in_child(lambda: short(tmp_path / "timed"))) == 0
    seconds = time.monotonic() - started
    draws, kills, in_checkpoints, runs = random.Random(7), 0, 0, 0

    while kills < wanted or (in_checkpoints == 0 and kills < 10 * wanted):
        out = tmp_path / f"killed-{runs}"
        while not ends(out, short, draws.uniform(0, 1.2 * seconds)):
            kills += 1
            in_checkpoints += any(out.rglob(".step-*.partial"))
        assert left_by(out) == expected
        shutil.rmtree(out)
        runs += 1

    record_property("kills", kills)
    print(f"{kills} kills, {in_checkpoints} of them in checkpoints, of {runs} runs")
    assert in_checkpoints > 0


@pytest.mark.long
def test_a_kill_at_every_step_of_a_training_changes_no_bit(short: Train, tmp_path: Path) -> None:
    short(tmp_path / "whole")
    expected = left_by(tmp_path / "whole")
    step, killed = 0, True

    while killed:
        step += 1
        out = tmp_path / f"killed-{step}"
        killed = exit_of(in_child(lambda out=out, step=step: dying(short, out, step))) == -signal.SIGKILL
        assert exit_of(in_child(lambda out=out: short(out))) == 0
        assert left_by(out) == expected, f"after a kill before step {step}"
        shutil.rmtree(out)

    print(f"{step - 1} steps")
    assert step > 100


def dying(short: Train, out: Path, step: int) -> None:
    die_before(step, out)
    short(out)
