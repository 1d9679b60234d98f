"""The probe says what hand calculation says, and tells a network that sees its images from one that does not."""

import pytest
import torch
import torch.nn.functional as F

from alexrepro.model.alexnet import build
from alexrepro.recipes.as_printed_and_run import TINY
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.activation_stats import activation_stats


def batch(recipe: Recipe) -> tuple[torch.Tensor, torch.Tensor]:
    side_px = recipe.network.input_px
    generator = torch.Generator().manual_seed(0)
    crops = torch.randn(6, 3, side_px, side_px, generator=generator) * 60  # gray levels around the mean
    return crops, torch.arange(6) % recipe.network.classes


def test_loss_and_last_stage_are_those_of_the_networks_own_pass(recipe: Recipe) -> None:
    model = build(recipe.network, seed=0)
    crops, labels = batch(recipe)
    logits = model(crops)

    found = activation_stats(model, crops, labels)

    assert found.loss == F.cross_entropy(logits, labels).item()
    assert [stage.stage for stage in found.stages] == ["conv1", "fc2", "fc3"]
    assert found.stages[-1].activation_mean == logits.mean().item()
    assert found.stages[-1].activation_std == logits.std(0).mean().item()


def test_a_response_is_what_the_stage_passes_on_before_its_dropout(recipe: Recipe) -> None:
    model = build(recipe.network, seed=0)
    crops, labels = batch(recipe)
    passed_on = model.stages["fc2"](model.stages["conv1"](crops, None), None)  # dropout of 0.5 halves in testing

    found = activation_stats(model, crops, labels)

    assert found.stages[1].activation_mean == pytest.approx(2 * passed_on.mean().item(), rel=1e-6)  # float32 rounding


def test_the_gradient_is_that_of_the_loss_and_is_not_left_behind(recipe: Recipe) -> None:
    model = build(recipe.network, seed=0)
    crops, labels = batch(recipe)

    found = activation_stats(model, crops, labels)

    assert all(parameter.grad is None for parameter in model.parameters())
    F.cross_entropy(model(crops), labels).backward()
    weights = [model.named_kernels()[f"{stage.stage}.weight"] for stage in found.stages]
    expected = [0.01 * w.grad.norm().item() / w.norm().item() for w in weights]
    # Norms of up to 6,000 float32 values, summed in another order.
    assert [stage.update_ratio(0.01) for stage in found.stages] == pytest.approx(expected, rel=1e-5)


def test_larger_middle_weights_let_more_of_the_images_through() -> None:
    """Three times the weights in conv3 to conv5 make 27 times the signal, as far as ReLUs let it pass."""
    middle = ("conv3", "conv4", "conv5")
    smaller = {f"network.{name}.weight_std": TINY.network.stage(name).weight_std / 3 for name in middle}
    crops, labels = batch(TINY)

    as_run, weak = (
        activation_stats(build(recipe.network, seed=0), crops, labels).stages[-1]
        for recipe in (TINY, TINY.but(smaller))
    )

    assert 27 / 3 < as_run.activation_std / weak.activation_std < 27 * 3  # the factor's size, not its digits
