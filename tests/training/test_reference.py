"""Both recipes, forward, backward and three updates, equal NumPy's own way through the formulas."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from alexrepro.model.alexnet import build
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.optimizer import Momentum

from .reference import Reference, updated

# A twelfth of the width and a crop of 98 px: conv1 sees 23×23 places, the last of them with a zero beyond the border.
SMALL = {"conv1": 8, "conv2": 12, "conv3": 16, "conv4": 16, "conv5": 12, "fc6": 24, "fc7": 20, "fc8": 7}
CLOSE = {"rtol": 1e-9, "atol": 1e-9}  # float64; sums in another order


def small(recipe: Recipe) -> Recipe:
    """Weights are larger than in 2012, so that a signal reaches the end of so narrow a network."""
    changes = {f"network.{name}.maps": maps for name, maps in SMALL.items()}
    changes |= {f"network.{name}.weight_std": 0.05 for name in SMALL}
    return recipe.but({**changes, "network.input_px": 98})


@pytest.mark.parametrize("recipe", [AS_PRINTED, AS_RUN_2012], ids=lambda recipe: recipe.name)
def test_three_updates_equal_those_of_numpy(recipe: Recipe) -> None:
    recipe = small(recipe)
    training = recipe.training
    draws = np.random.default_rng(3)
    model = build(recipe.network, seed=1).double()
    momentum = Momentum(model, training)
    rates = training.rates(recipe.network.stages, epoch=1)
    weights = {name: p.detach().numpy().copy() for name, p in model.named_kernels().items()}
    velocities = {name: np.zeros_like(w) for name, w in weights.items()}
    losses = []

    for step in range(3):
        crops = draws.normal(0, 60, (5, 3, 98, 98))
        labels = draws.integers(0, 7, 5)
        masks = model.draw_masks(5, key_of_step=step)
        momentum.freeze(rates)
        logits = model(torch.from_numpy(crops), masks)
        loss = F.cross_entropy(logits, torch.from_numpy(labels))
        loss.backward()
        expected, expected_loss, gradients = Reference(recipe.network, weights).loss_and_gradients(
            crops, labels, {name: mask.numpy() for name, mask in masks.items()}
        )

        np.testing.assert_allclose(logits.detach().numpy(), expected, **CLOSE)
        assert float(loss.detach()) == pytest.approx(expected_loss, abs=1e-9)
        for name, parameter in model.named_kernels().items():
            assert parameter.grad is not None
            np.testing.assert_allclose(parameter.grad.numpy(), gradients[name], **CLOSE, err_msg=name)
            assert np.abs(gradients[name]).max() > 1e-6, f"{name} learns nothing, so that nothing is compared"
        momentum.step(rates)
        updated(weights, velocities, gradients, rates=rates, decays=dict.fromkeys(SMALL, 0.0005))
        for name, parameter in model.named_kernels().items():
            np.testing.assert_allclose(parameter.detach().numpy(), weights[name], **CLOSE, err_msg=name)
        losses.append(expected_loss)

    assert len({round(loss, 3) for loss in losses}) == 3
