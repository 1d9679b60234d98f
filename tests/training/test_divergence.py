"""Numbers that are not finite: no checkpoint holds them, the last good one is kept, and all ranks end alike."""

import os
import shlex
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from alexrepro.data.loading.sampling import Batch
from alexrepro.data.store.store import Store
from alexrepro.device import find_device
from alexrepro.distributed.process_group import connect
from alexrepro.distributed.rank import Rank
from alexrepro.errors import Exit, UserError
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs import checkpoint
from alexrepro.runs.run import find_runs
from alexrepro.training import state
from alexrepro.training import train as training
from alexrepro.training.job import TrainingJob
from alexrepro.training.optimizer import Momentum

from ..data.hostile import command
from ..ranks import run_ranks
from ..toy import Train

WILD = "fc2.weight"


def make_gradient_infinite(patched: pytest.MonkeyPatch, *, in_step: int) -> None:
    """One number of one gradient is infinite in a step whose loss is finite."""
    move, moved = Momentum.step, []

    def step(self: Momentum, *arguments: Any) -> None:
        moved.append(1)
        if len(moved) == in_step:
            gradient = self.kernels[WILD].grad
            assert gradient is not None
            gradient[0, 0] = torch.inf
        move(self, *arguments)

    patched.setattr(Momentum, "step", step)


def only_good_checkpoint(folder: Path) -> int:
    """The step of the newest checkpoint below a folder; fails if one holds a number that is not finite."""
    (run,) = find_runs(folder)
    saved = [checkpoint.read(path) for path in sorted(run.checkpoints.iterdir())]
    for found in saved:
        assert all(bool(t.isfinite().all()) for t in [*found.weights.values(), *found.optimizer.values()])
    return saved[-1].step


@pytest.mark.parametrize(
    ("step", "is_validated", "what"),
    [
        (4, True, "The loss became nan at step 5"),  # seen in the next step
        (6, True, "The network's outputs are not finite"),  # the last of an epoch: seen in its validation
        (6, False, f"After step 6 {WILD} are not finite"),  # seen in the numbers themselves only
    ],
)
def test_an_infinite_gradient_under_a_finite_loss_is_never_saved(
    toy: Train, stores: dict[str, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *,
    step: int, is_validated: bool, what: str,
) -> None:  # fmt: skip
    make_gradient_infinite(monkeypatch, in_step=step)
    with pytest.raises(UserError, match=what) as refused:
        toy(tmp_path, validation=stores["val"] if is_validated else None)

    assert refused.value.exit_code is Exit.BAD_DATA
    assert only_good_checkpoint(tmp_path) == 3


def test_a_loss_that_is_nan_is_never_saved(toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "SAVE_EVERY_SECONDS", 0.0)
    cut, made = training.training_crops, count(1)

    def nan_in_the_fifth(batch: Batch, **named: Any) -> torch.Tensor:
        return cut(batch, **named) * (torch.nan if next(made) == 5 else 1)

    monkeypatch.setattr(training, "training_crops", nan_in_the_fifth)
    with pytest.raises(UserError, match="The loss became nan at step 5"):
        toy(tmp_path)

    assert only_good_checkpoint(tmp_path) == 4


def diverge(rank: Rank, store: Path, recipe: Recipe, runs: Path) -> tuple[int, str]:
    """The exit code of one of several ranks, and its message; the last one's gradient is infinite in step 6."""
    with pytest.MonkeyPatch.context() as patched:
        if rank.rank == rank.world_size - 1:
            make_gradient_infinite(patched, in_step=6)
        opened, device = Store.open(store), find_device("cpu")
        try:
            with connect(rank, device, network=recipe.network, parallel="tower") as group:
                training.train(
                    TrainingJob(recipe, store=opened, validation=None, runs=runs, seed=0, device=device, group=group)
                )
        except UserError as refusal:
            return int(refusal.exit_code), refusal.what
        except SystemExit as end:
            return int(str(end.code)), ""
    return os.EX_OK, ""


@pytest.mark.slow
def test_all_ranks_end_alike_when_the_weights_of_one_are_not_finite(
    stores: dict[str, Store], recipe: Recipe, tmp_path: Path
) -> None:
    ends = run_ranks(diverge, 2, stores["train"].path, recipe, tmp_path)

    assert ends == [(65, f"After step 6 {WILD} are not finite; the last checkpoint is kept."), (65, "")]
    assert only_good_checkpoint(tmp_path) == 3


@pytest.mark.parametrize(("diverges_in", "begins_at"), [(4, 3), (1, 0)], ids=["with a checkpoint", "without one"])
def test_the_command_advised_after_divergence_trains_on_at_half_of_all_rates(
    tmp_path: Path, stores: dict[str, Store], recipe: Recipe, diverges_in: int, begins_at: int
) -> None:
    (tmp_path / "toy.toml").write_text(recipe.to_toml())
    diverged = command(
        "train", tmp_path / "toy.toml", "--store", stores["train"].path, "--runs", tmp_path / "my runs", "--seed", 3,
        said=tmp_path / "said", first=lambda: make_gradient_infinite(pytest.MonkeyPatch(), in_step=diverges_in),
    )  # fmt: skip
    (before,) = find_runs(tmp_path / "my runs")
    advised = shlex.split(diverged.said.splitlines()[-1].partition(": ")[2])

    ended = command(*advised[1:], said=tmp_path / "said")

    assert (diverged.code, ended.code) == (Exit.BAD_DATA, Exit.OK), ended.said
    (run,) = (run for run in find_runs(tmp_path / "my runs") if run != before)
    rates = [1e-3] * begins_at + [5e-4] * (3 - begins_at) + [1e-4] * 6  # the schedule's are 0.001, then 0.0002
    assert run.metrics["learning_rate"].tolist() == rates
    assert (run.environment["began_with"] or {"step": 0})["step"] == begins_at
    assert run.environment["seed"] == 3
