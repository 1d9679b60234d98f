"""Training: the loss falls, rates follow the schedule, and frozen or dropped units learn nothing."""

from math import isfinite
from pathlib import Path

import pytest
import torch

from alexrepro.paper.training import At, Plateau, Script
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import Recipe

from ..toy import Train, state_of


def test_a_run_reports_what_it_did(toy: Train, tmp_path: Path) -> None:
    run = toy(tmp_path)

    assert run.result is not None
    assert (run.result["steps"], run.result["epochs"]) == (9, 3)  # 40 images in batches of 16: 16 + 16 + 8
    assert run.metrics["images"].tolist() == [16, 16, 8] * 3
    assert run.metrics["learning_rate"].tolist() == [1e-3] * 3 + [2e-4] * 6
    assert len(run.validations) == 3
    assert run.result["final"]["split"].endswith("-val")
    assert run.result["final"]["top1_error"] == run.validations["top1_error"].iloc[-1]
    assert not run.tensorboard.exists()  # which is written on request only


def test_the_network_learns_to_tell_stripes_from_spots(toy: Train, recipe: Recipe, tmp_path: Path) -> None:
    longer = recipe.but({"training.epochs": 12, "training.schedule.kind": "plateau"})

    errors = toy(tmp_path, chosen=longer).validations["top1_error"]

    assert max(errors[-3:]) < 0.2  # chance is 0.5


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
    rates = {"training.learning_rate": 1e-9, "training.bias_learning_rate": 1e-9}
    stuck = recipe.but(rates | {"training.schedule": Plateau(patience_epochs=1)})

    found = toy(tmp_path, chosen=stuck).metrics["learning_rate"].tolist()

    assert found == pytest.approx([1e-9] * 6 + [1e-10] * 3)  # the error of the second epoch is that of the first


def test_units_that_are_dropped_teach_the_next_stage_nothing(toy: Train, recipe: Recipe, tmp_path: Path) -> None:
    changes = {"network.dropout": 1 - 1e-6, "training.weight_decay": 0.0, "training.epochs": 1}  # of 640 draws, all

    state = state_of(toy(tmp_path, chosen=recipe.but(changes)))

    assert not state["v fc3.weight"].any()
    assert state["v fc3.bias"].any()


def test_frozen_stages_stay_as_they_were(toy: Train, recipe: Recipe, tmp_path: Path) -> None:
    two, three = (state_of(toy(tmp_path, chosen=recipe.but({"training.epochs": n}))) for n in (2, 3))

    assert torch.equal(two["w conv1.weight"], three["w conv1.weight"])  # the third epoch's line freezes conv1
    assert not torch.equal(two["w fc3.weight"], three["w fc3.weight"])


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


@pytest.mark.parametrize("mean", [find_recipe("net-145f").augmentation.mean, "channel"])
def test_a_recipe_with_one_mean_for_all_pixels_trains(toy: Train, recipe: Recipe, tmp_path: Path, mean: str) -> None:
    run = toy(tmp_path, chosen=recipe.but({"augmentation.mean": mean, "training.epochs": 1}))

    assert run.last_epoch_loss is not None
    assert isfinite(run.last_epoch_loss)
