"""Runs that cannot come to anything end with the cause."""

from math import log
from pathlib import Path

import pytest
import torch

from alexrepro.data.loading.sampling import training_plan
from alexrepro.data.store.prepare import prepare
from alexrepro.data.store.store import Store
from alexrepro.device import Device, find_device, fitting_batch
from alexrepro.errors import Exit, UserError
from alexrepro.model.alexnet import build
from alexrepro.paper.training import Script
from alexrepro.recipes.as_printed_and_run import AS_PRINTED, AS_RUN_2012, TINY
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.run import Run
from alexrepro.training import divergence
from alexrepro.training import train as training
from alexrepro.training.ablate import ablate
from alexrepro.training.divergence import (
    EARLY,
    EARLY_WINDOW,
    PATIENCE,
    WINDOW,
    Diagnosis,
    FlatLoss,
    diagnose,
    flat_loss,
)
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train


def watched(losses: list[float], classes: int = 1000) -> FlatLoss:
    guard = FlatLoss(classes)
    guard.add(losses)
    return guard


def test_a_loss_at_chance_is_flat_after_some_patience() -> None:
    flat = [log(1000) + 0.01 * (-1) ** n for n in range(WINDOW)]

    assert watched(flat).is_flat(PATIENCE)
    assert not watched(flat).is_flat(PATIENCE - 1)
    assert not watched(flat[1:]).is_flat(PATIENCE)  # a window that is not full
    assert not watched(flat, classes=1200).is_flat(PATIENCE)  # far enough below ln 1200 = 7.09
    assert watched([*[3.0] * 1000, *flat]).is_flat(5000)  # only the last window counts


def test_a_loss_at_chance_is_looked_at_early_and_once() -> None:
    guard = watched([log(1000)] * EARLY_WINDOW)

    assert not guard.is_time_to_look(EARLY - 1)
    assert guard.is_time_to_look(EARLY)
    assert not guard.is_time_to_look(EARLY + 1)
    assert not watched([6.0] * EARLY_WINDOW).is_time_to_look(EARLY)
    assert not watched([log(1000)] * (EARLY_WINDOW - 1)).is_time_to_look(EARLY)


def diagnosis(recipe: Recipe) -> Diagnosis:
    generator = torch.Generator().manual_seed(0)
    crops = 60 * torch.randn(4, 3, 224, 224, generator=generator)
    return diagnose(build(recipe.network, seed=0), crops, torch.tensor([0, 1, 2, 3]), learning_rate=0.01)


def test_a_diagnosis_names_the_constant_that_hides_the_images() -> None:
    weak = TINY.but({f"network.conv{n}.weight_std": TINY.network.stage(f"conv{n}").weight_std / 3 for n in (3, 4, 5)})

    hidden, plain = diagnosis(weak), diagnosis(TINY)

    assert "deviation of 60" in plain.facts
    assert "the activations of fc7" in plain.facts
    assert "moves conv1 by" in plain.facts
    assert hidden.fix(weak.network).startswith(
        "The activations hardly depend on the images yet; change it with: --set network.conv3."
    )
    assert not hidden.is_hidden
    assert plain.fix(TINY.network) == ""
    assert flat_loss(2000, plain, loss=3.0, recipe=TINY).fix.startswith("Try as-run-2012")
    assert "After step 2,000 the loss is 3.0000" in flat_loss(2000, hidden, loss=3.0, recipe=weak).what


def test_standardized_pixels_with_the_printed_weights_do_not_come_through() -> None:
    printed = TINY.but(
        {f"network.conv{n}.weight_std": TINY.network.stage(f"conv{n}").weight_std / 3 for n in (3, 4, 5)}
    )

    standardized = printed.but({"network.input_std": (60.0, 60.0, 60.0)})

    found = diagnosis(standardized)

    assert not diagnosis(printed).is_hidden
    assert found.is_hidden
    assert "deviation of 1 " in found.facts
    assert "hardly depend on the images; change it with: --set network.input_std=none" in found.fix(
        standardized.network
    )


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine updates are enough to call a loss flat."""
    monkeypatch.setattr(divergence, "PATIENCE", 6)
    monkeypatch.setattr(divergence, "WINDOW", 3)
    monkeypatch.setattr(training, "READ_LOSS_EVERY", 1)


@pytest.fixture
def stuck(recipe: Recipe) -> Recipe:
    return recipe.but(
        {
            "training.learning_rate": 1e-9,
            "training.bias_learning_rate": 1e-9,
            "training.schedule": Script(()),
            "network.fc3.weight_std": 1e-6,
        }
    )


@pytest.mark.usefixtures("impatient")
def test_a_run_whose_loss_stays_at_chance_ends_once(stores: dict[str, Store], stuck: Recipe, tmp_path: Path) -> None:
    def go(runs: Path, **more: bool) -> Run:
        cpu = find_device("cpu")
        return train(TrainingJob(stuck, store=stores["train"], validation=None, runs=runs, seed=0, device=cpu, **more))

    with pytest.raises(UserError, match=r"After step 6 the loss is 0\.693"):
        go(tmp_path)
    assert go(tmp_path).result is not None  # the same command again trains on
    assert go(tmp_path / "allowed", allow_flat_loss=True).result is not None


@pytest.mark.usefixtures("impatient")
def test_an_ablation_goes_on_after_a_network_that_stays_at_chance(
    stores: dict[str, Store], recipe: Recipe, stuck: Recipe, tmp_path: Path
) -> None:
    def go(runs: Path, **more: bool) -> list[list[Evaluation]]:
        job = TrainingJob(
            recipe, store=stores["train"], validation=None, runs=runs, seed=0, device=find_device("cpu"), **more
        )
        return ablate([(stuck, "ten"), (recipe, "ten")], job, test=stores["test"], seeds=[0])

    [stalled], [learned] = go(tmp_path / "allowed", allow_flat_loss=True)
    assert (stalled.epochs, learned.epochs) == (3, 3)


@pytest.mark.long
@pytest.mark.parametrize("is_standardized", [True, False], ids=["printed, pixels of deviation 1", "as run"])
def test_three_hundred_updates_on_photographs_tell_a_stalled_run_from_a_sound_one(
    shared_data: Path, tmp_path: Path, is_standardized: bool
) -> None:
    """Ten minutes each: the whole network, batches of 128 photographs of Tiny-ImageNet."""
    store = prepare(shared_data / "tiny-imagenet", out=tmp_path / "stores")["train"]
    recipe = AS_PRINTED.but({"network.input_std": (57.5, 57.5, 57.5)}) if is_standardized else AS_RUN_2012
    short = recipe.but({"training.precision": "bf16", "training.epochs": 2, "training.schedule": Script(())})

    def go() -> Run:
        cpu = find_device("cpu", compiles=True)
        return train(TrainingJob(short, store=store, validation=None, runs=tmp_path, seed=0, device=cpu))

    if is_standardized:
        with pytest.raises(UserError, match=r"After step 2\d\d the loss is 4\.6") as refused:
            go()
        assert "The activations hardly depend on the images" in refused.value.fix
    else:
        assert go().result is not None


def test_a_loss_that_is_no_number_names_the_images_of_its_update(
    stores: dict[str, Store], recipe: Recipe, tmp_path: Path
) -> None:
    cpu = find_device("cpu")
    wild = recipe.but({"training.learning_rate": 1e30})

    with pytest.raises(UserError, match="at step 2, at the learning rate 1e\\+30") as refused:
        train(TrainingJob(wild, store=stores["train"], validation=None, runs=tmp_path, seed=0, device=cpu))

    plan = training_plan(40, seed=0, epoch=1, augmentation=wild.augmentation, side_px=224, shuffle_every_epoch=True)
    names = [stores["train"].name(int(row)) for row in plan.draws.rows[16:21]]
    assert f"on {', '.join(names)} and 11 more" in refused.value.what


def test_too_little_memory_names_a_batch() -> None:
    with (
        pytest.raises(UserError, match="A batch of 128 does not fit") as refused,
        Device(torch.device("cpu")).enough_memory(batch=128),
    ):
        raise torch.OutOfMemoryError("Tried to allocate 20.00 GiB. More words.")
    assert refused.value.what.endswith("of cpu: Tried to allocate 20.00 GiB.")
    assert refused.value.exit_code == Exit.OUT_OF_MEMORY
    assert "--set training.batch" in refused.value.fix


@pytest.mark.parametrize(
    ("batch", "fixed", "peak", "total", "expected"),
    [
        (128, 1_000, 14_800, 10_000, 64),  # 108 bytes an image; 8,000 are left: 74 images
        (128, 1_000, 2_280, 1_200, 8),  # 10 bytes an image; 80 are left
        (128, 1_000, 9_000, 900, 1),  # not even the weights fit
        (2, 0, 100, 10_000, 1),  # below the batch that failed
    ],
)
def test_the_batch_that_would_fit_is_computed_from_the_bytes_of_an_image(
    batch: int, fixed: int, peak: int, total: int, expected: int
) -> None:
    assert fitting_batch(batch, fixed, peak, total) == expected
