"""A loss that stays at chance ends a training once, and activation statistics tell its cause."""

from math import log
from pathlib import Path

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from alexrepro.cli.app import app
from alexrepro.data.store.prepare import prepare
from alexrepro.data.store.store import Store
from alexrepro.device import find_device
from alexrepro.errors import Exit, UserError
from alexrepro.model.alexnet import build
from alexrepro.paper.training import Script
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012, TINY
from alexrepro.recipes.recipe import Recipe, differences
from alexrepro.recipes.variations import VARIATIONS, Variation
from alexrepro.training import divergence
from alexrepro.training import train as training
from alexrepro.training.divergence import PATIENCE, WINDOW, FlatLoss, advice_for, diagnose, flat_loss

from ..toy import Train

WEAK = TINY.but({f"network.conv{n}.weight_std": TINY.network.stages[n - 1].weight_std / 3 for n in (3, 4, 5)})
STANDARDIZED = WEAK.but({"network.input_std": (60.0, 60.0, 60.0)})


def crops_for(recipe: Recipe) -> torch.Tensor:
    side_px = recipe.network.input_px
    return torch.randn(6, 3, side_px, side_px, generator=torch.Generator().manual_seed(0)) * 60  # gray levels


def test_a_loss_at_chance_is_flat_after_some_patience() -> None:
    flat = [log(1000) + 0.01 * (-1) ** n for n in range(WINDOW)]

    assert FlatLoss(1000).is_flat(PATIENCE, flat)
    assert not FlatLoss(1000).is_flat(PATIENCE - 1, flat)
    assert not FlatLoss(1000).is_flat(PATIENCE, flat[1:])  # a window that is not full
    assert not FlatLoss(1200).is_flat(PATIENCE, flat)  # far enough below ln 1200 = 7.09
    assert FlatLoss(1000).is_flat(5000, [*[3.0] * 1000, *flat])  # only the last window counts


def test_a_diagnosis_is_of_the_activations_before_dropout_in_the_networks_own_pass(recipe: Recipe) -> None:
    model, crops = build(recipe.network, seed=0), crops_for(recipe)
    passed_on = 2 * model.stages["fc2"](model.stages["conv1"](crops, None), None)  # dropout of 0.5 halves in testing

    found = diagnose(model, crops)

    assert found.hidden == "fc2"
    # In float32, rounded at other places.
    assert found.mean == pytest.approx(passed_on.mean().item(), rel=1e-6)
    assert found.deviation == pytest.approx(passed_on.std(0).mean().item(), rel=1e-6)


def test_a_diagnosis_names_the_constant_that_hides_the_images() -> None:
    plain, weak, hidden = (
        diagnose(build(recipe.network, seed=0), crops_for(TINY)) for recipe in (TINY, WEAK, STANDARDIZED)
    )

    assert "deviation of 60" in plain.facts
    assert "the activations of fc7" in plain.facts
    assert "deviation of 1 " in hidden.facts
    assert 27 / 3 < plain.deviation / weak.deviation < 27 * 3  # three times the weights in three stages; its size only
    assert (weak.is_hidden, hidden.is_hidden) == (False, True)
    stronger = " ".join(f"--set network.conv{n}.weight_std=0.03" for n in (3, 4, 5))
    assert plain.fix == ""
    assert weak.fix.endswith(f"What may help: larger weights, as in as-run-2012: {stronger}.")
    assert "raw pixels: --set network.input_std=none; larger weights" in hidden.fix
    assert "After step 2,000 the loss is 3.0000" in flat_loss(2000, weak, loss=3.0, classes=20).what


def test_the_advice_for_tanh_is_about_biases_and_names_no_weight_that_is_not_lower() -> None:
    advice = advice_for(VARIATIONS["tanh"].of(AS_RUN_2012).network)

    biases = " ".join(f"--set network.{name}.bias=0" for name in ("conv2", "conv4", "conv5", "fc6", "fc7"))
    assert advice.endswith(f"What may help: biases of 0, with tanh: {biases}.")


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


def test_an_ablation_goes_on_after_a_network_that_stays_at_chance_which_becomes_a_row(
    stores: dict[str, Store], recipe: Recipe, stuck: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changes = {path: value for path, (value, _) in differences(stuck, recipe).items() if "schedule" not in path}
    flat = Variation("flat", "with rates of nearly 0", changes | {"training.schedule": Script(())})
    monkeypatch.setitem(VARIATIONS, "flat", flat)
    (tmp_path / "toy.toml").write_text(recipe.to_toml())
    train, runs, out = str(stores["train"].path), str(tmp_path / "runs"), [tmp_path / name for name in ("one", "other")]
    named = ["ablate", "flat", "average-logits", "--base", str(tmp_path / "toy.toml"), "--store", train]

    ended = CliRunner().invoke(app, [*named, "--runs", runs, "--out", str(out[0])])
    CliRunner().invoke(app, ["report", "ablations", "--runs", runs, "--out", str(out[1])])

    assert isinstance(ended.exception, UserError)
    assert ended.exception.what.startswith("1 of 3 runs failed. After step 6 the loss is 0.693")
    assert ended.exception.exit_code is Exit.BAD_DATA
    found = pd.read_csv(out[0] / "ablations.csv").query("recipe == 'toy'").set_index("label")
    assert found.loc["flat", "note"] == "toy+flat, seed 0: at chance after 6 steps, stopped"
    logits = found.loc["average-logits"]
    assert logits["top1_error"] - logits["base_top1_error"] == pytest.approx(
        logits["top1_delta"], abs=1e-12
    )  # rounding
    assert (out[0] / "ablations.csv").read_bytes() == (out[1] / "ablations.csv").read_bytes()


@pytest.mark.long
@pytest.mark.parametrize("is_standardized", [True, False], ids=["printed, pixels of deviation 1", "as run"])
def test_three_hundred_steps_on_images_tell_a_stalled_run_from_a_sound_one(
    toy: Train, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_standardized: bool
) -> None:
    """Ten minutes each: the whole network, batches of 128 images of Tiny-ImageNet."""
    monkeypatch.setattr(divergence, "PATIENCE", 250)
    monkeypatch.setattr(divergence, "WINDOW", 100)
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
