"""Numbers that are not finite: no checkpoint holds them, the last good one is kept, and all ranks end alike."""

import os
from collections.abc import Callable
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
from alexrepro.runs.run import Run, find_runs
from alexrepro.training import state
from alexrepro.training import train as training
from alexrepro.training.job import TrainingJob
from alexrepro.training.optimizer import Momentum

from ..ranks import run_ranks

Train = Callable[..., Run]
WILD = "fc2.weight"


def make_gradient_infinite(patched: pytest.MonkeyPatch, *, in_update: int) -> None:
    """One number of one gradient is infinite in an update, whose loss is as it should be."""
    move, moved = Momentum.step, []

    def step(self: Momentum, *arguments: Any) -> None:
        moved.append(1)
        if len(moved) == in_update:
            gradient = self.kernels[WILD].grad
            assert gradient is not None
            gradient[0, 0] = torch.inf
        move(self, *arguments)

    patched.setattr(Momentum, "step", step)


def only_good_checkpoint(folder: Path) -> int:
    """The updates of the newest checkpoint below a folder; fails if one holds a number that is not finite."""
    (run,) = find_runs(folder)
    for path in run.checkpoints.iterdir():
        saved = checkpoint.read(path)
        assert all(bool(t.isfinite().all()) for t in [*saved.weights.values(), *saved.optimizer.values()])
    newest = checkpoint.newest(run.checkpoints)
    assert newest is not None
    return newest.step


@pytest.mark.parametrize(
    ("update", "is_validated", "said"),
    [
        (4, True, "The loss became nan at step 5"),  # the update after it tells
        (6, True, "The network's outputs are not finite"),  # the last of an epoch: its validation tells
        (6, False, f"After step 6 {WILD} are not finite"),  # nothing tells but the numbers themselves
    ],
)
def test_an_infinite_gradient_under_a_finite_loss_is_never_saved(
    stores: dict[str, Store], recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *,
    update: int, is_validated: bool, said: str,
) -> None:  # fmt: skip
    device = find_device("cpu")
    validation = stores["val"] if is_validated else None

    make_gradient_infinite(monkeypatch, in_update=update)
    with pytest.raises(UserError, match=said) as refused:
        training.train(
            TrainingJob(recipe, store=stores["train"], validation=validation, runs=tmp_path, seed=0, device=device)
        )

    assert refused.value.exit_code is Exit.BAD_DATA
    assert only_good_checkpoint(tmp_path) == 3


def test_a_loss_that_is_no_number_is_never_saved(toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "SAVE_EVERY_SECONDS", 0.0)
    cut, made = training.training_crops, []

    def no_number(batch: Batch, **named: Any) -> torch.Tensor:
        made.append(1)
        return cut(batch, **named) * (torch.nan if len(made) == 5 else 1)

    monkeypatch.setattr(training, "training_crops", no_number)
    with pytest.raises(UserError, match="The loss became nan at step 5") as refused:
        toy(tmp_path)

    assert refused.value.exit_code is Exit.BAD_DATA
    assert only_good_checkpoint(tmp_path) == 4


def diverge(rank: Rank, store: Path, recipe: Recipe, runs: Path) -> tuple[int, str]:
    """The exit code of one of several ranks, and what it says; the last one's gradient is infinite in update 6."""
    with pytest.MonkeyPatch.context() as patched:
        if rank.rank == rank.world_size - 1:
            make_gradient_infinite(patched, in_update=6)
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
