"""Training: the loss falls, a stop changes nothing, a run is never repeated or mixed up."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from alexrepro.paper.training import At, Plateau, Script
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs import checkpoint
from alexrepro.runs.run import Run
from alexrepro.training import train as training
from alexrepro.training.state import TrainingState

Train = Callable[..., Run]


def state_of(run: Run) -> dict[str, torch.Tensor]:
    saved = checkpoint.newest(run.checkpoints)
    assert saved is not None
    return {**{f"w {k}": v for k, v in saved.weights.items()}, **{f"v {k}": v for k, v in saved.optimizer.items()}}


def without_pace(run: Run) -> list[dict[str, str]]:
    return [{name: value for name, value in row.items() if name != "images_per_second"} for row in run.metrics]


def test_a_run_reports_what_it_did(toy: Train, tmp_path: Path) -> None:
    run = toy(tmp_path)

    result = run.result
    assert result is not None
    assert (result["steps"], result["epochs"]) == (9, 3)  # 40 images in batches of 16: 16 + 16 + 8
    assert [int(row["images"]) for row in run.metrics] == [16, 16, 8] * 3
    assert [float(row["learning_rate"]) for row in run.metrics] == [1e-3] * 3 + [2e-4] * 6
    assert len(run.validations) == 3
    assert result["final"]["split"].endswith("-val")
    assert result["final"]["top1_error"] == float(run.validations[-1]["top1_error"])


def test_the_network_learns_to_tell_stripes_from_spots(toy: Train, recipe: Recipe, tmp_path: Path) -> None:
    longer = recipe.but({"training.epochs": 12, "training.schedule.kind": "plateau"})

    errors = [float(row["top1_error"]) for row in toy(tmp_path, chosen=longer).validations]

    assert max(errors[-3:]) < 0.2  # chance is 0.5


def assert_same(found: Run, expected: Run) -> None:
    """The same weights and velocities, bit for bit, and the same rows but for the pace."""
    ours, theirs = state_of(found), state_of(expected)
    assert set(ours) == set(theirs)
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert without_pace(found) == without_pace(expected)
    assert found.validations == expected.validations


def test_a_crash_after_a_checkpoint_loses_no_update_and_repeats_no_row(
    toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = toy(tmp_path / "whole")
    validate = training._validate

    def crash_in_epoch_two(state: TrainingState, epoch: int) -> None:
        if epoch == 2:
            raise OSError("power cut")
        validate(state, epoch)

    monkeypatch.setattr(training, "_validate", crash_in_epoch_two)
    with pytest.raises(OSError, match="power cut"):
        toy(tmp_path / "crashed")
    monkeypatch.setattr(training, "_validate", validate)
    continued = toy(tmp_path / "crashed")

    assert_same(continued, expected)


def test_a_schedule_that_switches_the_color_shift_off_trains_as_if_there_were_none(
    toy: Train, recipe: Recipe, tmp_path: Path
) -> None:
    once = recipe.but({"training.epochs": 1, "augmentation.color_shift.divide_by": 1.1, "training.schedule": Script()})
    switched_off = once.but({"training.schedule": Script((At(1, color_shift=False),))})
    without = once.but({"augmentation.color_shift": None})

    on, off, never = (
        state_of(toy(tmp_path, chosen=chosen))["w fc3.weight"] for chosen in (once, switched_off, without)
    )

    assert torch.equal(off, never)
    assert not torch.equal(off, on)


def test_a_validation_error_that_stalls_lowers_the_rate(toy: Train, recipe: Recipe, tmp_path: Path) -> None:
    stuck = recipe.but(
        {
            "training.learning_rate": 1e-9,
            "training.bias_learning_rate": 1e-9,
            "training.schedule": Plateau(patience_epochs=1),
        }
    )

    rates = [float(row["learning_rate"]) for row in toy(tmp_path, chosen=stuck).metrics]

    assert rates == pytest.approx([1e-9] * 6 + [1e-10] * 3)  # the error of the second epoch is that of the first


def test_units_that_are_dropped_teach_the_next_stage_nothing(toy: Train, recipe: Recipe, tmp_path: Path) -> None:
    changes = {"network.dropout": 1 - 1e-6, "training.weight_decay": 0.0, "training.epochs": 1}  # of 640 draws, all

    state = state_of(toy(tmp_path, chosen=recipe.but(changes)))

    assert not state["v fc3.weight"].any()
    assert state["v fc3.bias"].any()


def test_frozen_stages_stay_as_they_were(toy: Train, recipe: Recipe, tmp_path: Path) -> None:
    two = toy(tmp_path, chosen=recipe.but({"training.epochs": 2}))
    three = toy(tmp_path)

    weights = [state_of(run)["w conv1.weight"] for run in (two, three)]
    later = [state_of(run)["w fc3.weight"] for run in (two, three)]
    assert torch.equal(*weights)  # the third epoch's line freezes conv1
    assert not torch.equal(*later)


def test_a_stage_that_was_frozen_goes_on_as_if_it_had_had_next_to_no_rate(
    toy: Train, recipe: Recipe, tmp_path: Path
) -> None:
    def begun_with(learning_rate: float) -> dict[str, torch.Tensor]:
        lines = (
            At(1, learning_rate=learning_rate, bias_learning_rate=learning_rate, stages=("conv1",)),
            At(2, learning_rate=1e-3, bias_learning_rate=1e-3, stages=("conv1",)),
        )
        changes = {"training.epochs": 2, "training.schedule": Script(lines)}
        return state_of(toy(tmp_path, chosen=recipe.but(changes)))

    frozen, crawling = begun_with(0.0), begun_with(1e-30)  # which moves no float32

    assert [name for name, found in frozen.items() if not torch.equal(found, crawling[name])] == []
