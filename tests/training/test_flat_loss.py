"""A loss that stays at chance ends a training once, and activation statistics tell its cause."""

from math import log
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from alexrepro.data.store.prepare import prepare
from alexrepro.data.store.store import Store
from alexrepro.device import Device, find_device
from alexrepro.errors import UserError
from alexrepro.model.alexnet import build
from alexrepro.paper.training import Script
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012, TINY
from alexrepro.recipes.recipe import Recipe
from alexrepro.training import divergence
from alexrepro.training import train as training
from alexrepro.training.ablate import ablate
from alexrepro.training.activation_stats import activation_stats
from alexrepro.training.divergence import EARLY, EARLY_WINDOW, PATIENCE, WINDOW, FlatLoss, diagnose, flat_loss
from alexrepro.training.job import TrainingJob

from ..toy import Train

WEAK = TINY.but({f"network.conv{n}.weight_std": TINY.network.stage(f"conv{n}").weight_std / 3 for n in (3, 4, 5)})


def batch(recipe: Recipe) -> tuple[torch.Tensor, torch.Tensor]:
    side_px = recipe.network.input_px
    generator = torch.Generator().manual_seed(0)
    crops = torch.randn(6, 3, side_px, side_px, generator=generator) * 60  # gray levels around the mean
    return crops, torch.arange(6) % recipe.network.classes


def test_statistics_are_those_of_the_networks_own_passes(recipe: Recipe) -> None:
    model = build(recipe.network, seed=0)
    crops, labels = batch(recipe)
    logits = model(crops)
    passed_on = model.stages["fc2"](model.stages["conv1"](crops, None), None)  # dropout of 0.5 halves in testing

    found = activation_stats(model, crops, labels)

    assert all(parameter.grad is None for parameter in model.parameters())
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    assert found.loss == loss.item()
    assert [stage.stage for stage in found.stages] == ["conv1", "fc2", "fc3"]
    assert found.stages[-1].activation_mean == logits.mean().item()
    assert found.stages[-1].activation_std == logits.std(0).mean().item()
    # Before its dropout; in float32, rounded at other places.
    assert found.stages[1].activation_mean == pytest.approx(2 * passed_on.mean().item(), rel=1e-6)
    weights = [model.named_kernels()[f"{stage.stage}.weight"] for stage in found.stages]
    expected = [0.01 * w.grad.norm().item() / w.norm().item() for w in weights]
    # Norms of up to 6,000 float32 values, summed in another order.
    assert [stage.update_ratio(0.01) for stage in found.stages] == pytest.approx(expected, rel=1e-5)


def test_larger_middle_weights_let_more_of_the_images_through() -> None:
    """Three times the weights in conv3 to conv5 make 27 times the signal, as far as ReLUs let it pass."""
    as_run, weak = (
        activation_stats(build(recipe.network, seed=0), *batch(TINY)).stages[-1].activation_std
        for recipe in (TINY, WEAK)
    )

    assert 27 / 3 < as_run / weak < 27 * 3  # the factor's size, not its digits


def watched(losses: list[float], classes: int = 1000) -> FlatLoss:
    found = FlatLoss(classes)
    found.add(losses)
    return found


def test_a_loss_at_chance_is_flat_after_some_patience() -> None:
    flat = [log(1000) + 0.01 * (-1) ** n for n in range(WINDOW)]

    assert watched(flat).is_flat(PATIENCE)
    assert not watched(flat).is_flat(PATIENCE - 1)
    assert not watched(flat[1:]).is_flat(PATIENCE)  # a window that is not full
    assert not watched(flat, classes=1200).is_flat(PATIENCE)  # far enough below ln 1200 = 7.09
    assert watched([*[3.0] * 1000, *flat]).is_flat(5000)  # only the last window counts


def test_a_loss_at_chance_is_looked_at_early_and_once() -> None:
    found = watched([log(1000)] * EARLY_WINDOW)

    assert [found.is_time_to_look(step) for step in (EARLY - 1, EARLY, EARLY + 1)] == [False, True, False]
    assert not watched([6.0] * EARLY_WINDOW).is_time_to_look(EARLY)
    assert not watched([log(1000)] * (EARLY_WINDOW - 1)).is_time_to_look(EARLY)


def test_a_diagnosis_names_the_constant_that_hides_the_images() -> None:
    standardized = WEAK.but({"network.input_std": (60.0, 60.0, 60.0)})
    plain, weak, hidden = (
        diagnose(build(recipe.network, seed=0), *batch(TINY), learning_rate=0.01)
        for recipe in (TINY, WEAK, standardized)
    )

    for fact in ("deviation of 60", "the activations of fc7", "moves conv1 by"):
        assert fact in plain.facts
    assert "deviation of 1 " in hidden.facts
    assert (weak.is_hidden, hidden.is_hidden) == (False, True)
    unclear = "The activations hardly depend on the images"
    assert plain.fix(TINY.network) == ""
    assert weak.fix(WEAK.network).startswith(f"{unclear} yet; change it with: --set network.conv3.")
    assert hidden.fix(standardized.network).startswith(f"{unclear}; change it with: --set network.input_std=none")
    assert flat_loss(2000, plain, loss=3.0, recipe=TINY).fix.startswith("Try as-run-2012")
    assert "After step 2,000 the loss is 3.0000" in flat_loss(2000, weak, loss=3.0, recipe=WEAK).what


@pytest.fixture
def stuck(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe whose loss stays at chance, which six steps are enough to notice."""
    monkeypatch.setattr(divergence, "PATIENCE", 6)
    monkeypatch.setattr(divergence, "WINDOW", 3)
    monkeypatch.setattr(training, "READ_LOSS_EVERY", 1)
    rates = {"training.learning_rate": 1e-9, "training.bias_learning_rate": 1e-9, "training.schedule": Script(())}
    return recipe.but(rates | {"network.fc3.weight_std": 1e-6})


def test_a_run_whose_loss_stays_at_chance_ends_once(toy: Train, stuck: Recipe, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"After step 6 the loss is 0\.693"):
        toy(tmp_path, chosen=stuck)

    assert toy(tmp_path, chosen=stuck).result is not None  # the same command again trains on


def test_an_ablation_goes_on_after_a_network_that_stays_at_chance(
    stores: dict[str, Store], recipe: Recipe, stuck: Recipe, device: Device, tmp_path: Path
) -> None:
    job = TrainingJob(
        recipe, store=stores["train"], validation=None, runs=tmp_path, seed=0, device=device, allow_flat_loss=True
    )

    [stalled], [learned] = ablate([(stuck, "ten"), (recipe, "ten")], job, test=stores["test"], seeds=[0])

    assert (stalled.epochs, learned.epochs) == (3, 3)


@pytest.mark.long
@pytest.mark.parametrize("is_standardized", [True, False], ids=["printed, pixels of deviation 1", "as run"])
def test_three_hundred_steps_on_images_tell_a_stalled_run_from_a_sound_one(
    toy: Train, shared_data: Path, tmp_path: Path, *, is_standardized: bool
) -> None:
    """Ten minutes each: the whole network, batches of 128 images of Tiny-ImageNet."""
    store = prepare(shared_data / "tiny-imagenet", out=tmp_path / "stores")["train"]
    recipe = AS_PRINTED.but({"network.input_std": (57.5, 57.5, 57.5)}) if is_standardized else AS_RUN_2012
    short = recipe.but({"training.precision": "bf16", "training.epochs": 2, "training.schedule": Script(())})
    options = {"store": store, "validation": None, "device": find_device("cpu", compiles=True)}

    if is_standardized:
        with pytest.raises(UserError, match=r"After step 2\d\d the loss is 4\.6") as refused:
            toy(tmp_path, chosen=short, **options)
        assert "The activations hardly depend on the images" in refused.value.fix
    else:
        assert toy(tmp_path, chosen=short, **options).result is not None
