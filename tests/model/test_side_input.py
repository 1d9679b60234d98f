"""The side input and the contrast normalization of the networks before #145, against loops in float64."""

import math

import numpy as np
import torch

from alexrepro.model.alexnet import build
from alexrepro.model.layers import SideInputConv, StageModule
from alexrepro.model.normalization import ContrastNorm
from alexrepro.paper.network import SameMapNorm, SideInput
from alexrepro.recipes.as_printed_and_run import AS_RUN_2012
from alexrepro.recipes.catalog import find_recipe

SMALL = {f"network.conv{i}.maps": 8 for i in range(1, 6)} | {f"network.fc{i}.maps": 8 for i in (6, 7, 8)}


def test_the_side_input_is_blurred_and_every_fourth_pixel() -> None:
    side = SideInput()
    kernels = SideInputConv(side, maps=2, channels=3, output_px=27, input_px=224).double()
    draws = torch.Generator().manual_seed(0)
    crops = torch.randn(1, 3, 224, 224, generator=draws, dtype=torch.float64)
    torch.nn.init.normal_(kernels.weight, generator=draws)

    found = kernels(crops)[0].detach().numpy()

    line = np.array([math.exp(-0.5 * (i / 4) ** 2) for i in range(-4, 5)])
    line /= line.sum()
    padded = np.pad(crops[0].numpy(), ((0, 0), (4, 4), (4, 4)))
    small = np.zeros((3, 57, 57))  # 56 pixels, and one of zeros that the rounding up adds
    for y in range(56):
        for x in range(56):
            window = padded[:, 4 * y + 2 : 4 * y + 11, 4 * x + 2 : 4 * x + 11]  # around pixel 4y + 2
            small[:, y, x] = np.einsum("cij,i,j->c", window, line, line)
    weight = kernels.weight.detach().numpy()
    expected = np.zeros((2, 27, 27))
    for y in range(27):
        for x in range(27):
            expected[:, y, x] = np.einsum("mcij,cij->m", weight, small[:, 2 * y : 2 * y + 5, 2 * x : 2 * x + 5])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)  # the Gaussian is kept in float32


def test_conv2_adds_the_side_input_to_its_own() -> None:
    model = build(find_recipe("net-131").but(SMALL).network, seed=0)
    crops = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    conv2 = model.stages["conv2"]
    assert isinstance(conv2, StageModule)
    assert conv2.side is not None
    pooled = torch.randn(2, 8, 27, 27, generator=torch.Generator().manual_seed(2))

    own, both = conv2.kernels(pooled), []
    conv2.operations["activation"].register_forward_hook(lambda _m, inputs, _o: both.append(inputs[0]))
    conv2(pooled, None, crops)

    assert torch.allclose(both[0], own + conv2.side(crops))
    assert "conv2.side" in model.named_kernels()
    assert model(crops).shape == (2, 8)


def test_the_other_weights_are_those_of_a_network_without_side_input() -> None:
    recipes = (find_recipe("net-131"), AS_RUN_2012)
    with_side, without = (build(recipe.but(SMALL).network, seed=4).named_kernels() for recipe in recipes)

    assert set(with_side) - set(without) == {"conv2.side"}
    assert all(torch.equal(with_side[name], weight) for name, weight in without.items())
    assert 0.008 < float(with_side["conv2.side"].detach().std()) < 0.012  # 0.01; 600 draws vary by 3 %


def test_contrast_norm_subtracts_the_local_mean_in_the_denominator_only() -> None:
    norm = SameMapNorm(alpha=0.5)
    x = torch.randn(1, 2, 6, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    found = ContrastNorm(norm)(x)[0].numpy()

    maps, reach = x[0].numpy(), norm.size_px // 2
    for c in range(2):

        def window(values: np.ndarray, y: int, x: int) -> np.ndarray:
            return values[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]

        means = np.array([[window(maps[c], y, x).mean() for x in range(7)] for y in range(6)])
        for y in range(6):
            for x_ in range(7):
                d = norm.k + norm.alpha / norm.size_px**2 * (window(maps[c] - means, y, x_) ** 2).sum()
                assert abs(found[c, y, x_] - maps[c, y, x_] * d**-norm.beta) < 1e-12  # float64
