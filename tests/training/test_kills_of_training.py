"""A training that is killed anywhere, and started again until it ends, ends in the same bits as one that was not."""

import csv
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.files import sha256_of_file
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.run import Run, find_runs
from alexrepro.training import state
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train

from ..children import die_before, exit_of, in_child

Train = Callable[[Path], Run]


class Kills(NamedTuple):
    """How many kills there were, in how many the process was writing or removing a checkpoint, and of how many runs."""

    all: int
    in_checkpoints: int
    runs: int


@pytest.fixture
def short(stores: dict[str, Store], recipe: Recipe, device: Device, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Six updates in two epochs, with a checkpoint after every one."""
    monkeypatch.setattr(state, "SAVE_EVERY_SECONDS", 0.0)
    brief = recipe.but({"training.epochs": 2})

    def run(folder: Path) -> Run:
        return train(
            TrainingJob(brief, store=stores["train"], validation=stores["val"], runs=folder, seed=0, device=device)
        )

    return run


def left_by(folder: Path) -> dict[str, object]:
    """What a training left that must not hang on kills: the last weights and velocities, and the rows but the pace."""
    (run,) = find_runs(folder)
    (*_, last) = sorted(run.checkpoints.iterdir())
    with run.metrics_file.open(encoding="utf-8") as file:
        metrics = [{name: value for name, value in row.items() if name != "images_per_second"}
                   for row in csv.DictReader(file)]  # fmt: skip
    return {
        "checkpoint": last.name,
        **{file.name: sha256_of_file(file) for file in last.iterdir()},
        "checkpoints": len(list(run.checkpoints.iterdir())),
        "metrics": metrics,
        "validation": run.validation_file.read_bytes(),
        "pixels": sha256_of_file(run.pixels_file),
        "half written": [path for path in run.folder.parent.rglob("*") if path.name.endswith(".partial")],
    }


def killed_until(wanted: int, short: Train, folder: Path) -> Kills:
    """Kill runs at random instants until there were so many kills; each run must end as the first, which is not.

    About one kill in seven falls into the writing of a checkpoint; there are more kills until one has.
    """
    short(folder / "whole")
    expected = left_by(folder / "whole")
    started = time.monotonic()
    assert exit_of(in_child(lambda: short(folder / "timed"))) == 0
    seconds = time.monotonic() - started
    draws, kills, in_checkpoints, runs = random.Random(7), 0, 0, 0
    while kills < wanted or (in_checkpoints == 0 and kills < 10 * wanted):
        out = folder / f"killed-{runs}"
        while not _ends(out, short, draws.uniform(0, 1.2 * seconds)):
            kills += 1
            in_checkpoints += any(out.rglob(".step-*.partial"))
        assert left_by(out) == expected
        shutil.rmtree(out)
        runs += 1
    return Kills(kills, in_checkpoints, runs)


def _ends(out: Path, short: Train, seconds: float) -> bool:
    """Whether a training in a child ends before it is killed after so long."""
    child = in_child(lambda: short(out))
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    code = exit_of(child)
    assert code in (0, -signal.SIGKILL)
    return code == 0


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [20, pytest.param(200, marks=pytest.mark.long)])
def test_kills_at_random_instants_change_no_bit(
    wanted: int, short: Train, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    started = time.monotonic()

    kills = killed_until(wanted, short, tmp_path)

    record_property("kills", kills._asdict())
    print(f"{kills}, {time.monotonic() - started:.0f} seconds")
    assert kills.all >= wanted
    assert kills.in_checkpoints > 0


@pytest.mark.long
def test_a_kill_at_every_step_of_a_training_changes_no_bit(short: Train, tmp_path: Path) -> None:
    short(tmp_path / "whole")
    expected = left_by(tmp_path / "whole")
    step, killed = 0, True

    while killed:
        step += 1
        out = tmp_path / f"killed-{step}"
        killed = exit_of(in_child(lambda out=out, step=step: _dying(short, out, step))) == -signal.SIGKILL
        assert exit_of(in_child(lambda out=out: short(out))) == 0
        assert left_by(out) == expected, f"after a kill before step {step}"
        shutil.rmtree(out)

    print(f"{step - 1} steps")
    assert step > 100


def _dying(short: Train, out: Path, step: int) -> None:
    die_before(step, out)
    short(out)
