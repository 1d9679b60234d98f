"""Layers that the paper's network lacks, against loops in float64: local, average pooling, side input, contrast."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from alexrepro.model.alexnet import build
from alexrepro.model.layers import LocallyConnected, SideInputConv, StageModule
from alexrepro.model.normalization import ContrastNorm
from alexrepro.paper.network import Network, SameMapNorm, SideInput, Stage
from alexrepro.recipes.catalog import find_recipe

Array = NDArray[np.float64]


def local(x: Array, weight: Array, bias: Array, g: Array, *, stride: int, pad: int) -> tuple[Array, ...]:
    """Location by location: the output, and the gradients of input, weights and biases where g is the output's."""
    (side, kernel), reach = (g.shape[2], int((weight.shape[1] / x.shape[1]) ** 0.5)), x.shape[2] + pad
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad + stride), (pad, pad + stride)))
    y, into = np.zeros_like(g), np.zeros_like(padded)
    dw, db = np.zeros_like(weight), np.zeros_like(bias)
    for row in range(side):
        for column in range(side):
            location, seen = side * row + column, np.s_[:, :, stride * row :, stride * column :]
            window = padded[seen][:, :, :kernel, :kernel]
            at = g[:, :, row, column]
            y[:, :, row, column] = window.reshape(len(x), -1) @ weight[location] + bias[location]
            dw[location], db[location] = window.reshape(len(x), -1).T @ at, at.sum(0)
            into[seen][:, :, :kernel, :kernel] += (at @ weight[location].T).reshape(window.shape)
    return y, into[:, :, pad:reach, pad:reach], dw, db


@pytest.mark.parametrize(("side", "kernel", "stride", "pad"), [(5, 3, 1, 1), (6, 3, 2, 0), (7, 2, 3, 1), (4, 4, 1, 0)])
def test_every_location_has_kernels_of_its_own(side: int, kernel: int, stride: int, pad: int) -> None:
    stage = Stage("local", kind="local", maps=3, kernel_px=kernel, stride_px=stride, pad_px=pad, reads="both", order=())
    network = Network(input_px=side, channels=2, towers=1, norm=None, stages=(stage,))
    kernels = LocallyConnected(network, stage, (2, side, side)).double()
    draws = torch.Generator().manual_seed(0)
    for parameter in kernels.parameters():
        nn.init.normal_(parameter, generator=draws)
    x = torch.randn(4, 2, side, side, generator=draws, dtype=torch.float64, requires_grad=True)

    found = kernels(x)
    g = torch.randn(found.shape, generator=draws, dtype=torch.float64)
    found.backward(g)

    ours = [of.detach().numpy() for of in (found, x.grad, kernels.weight.grad, kernels.bias.grad) if of is not None]
    of_loops = local(x.detach().numpy(), kernels.weight.detach().numpy(), kernels.bias.detach().numpy(), g.numpy(),
                     stride=stride, pad=pad)  # fmt: skip
    for one, other in zip(ours, of_loops, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)  # float64: only the order of additions differs


@pytest.mark.parametrize(("side", "out"), [(6, 3), (7, 3), (12, 6), (32, 16)])  # 1 + ceil((side - 3) / 2)
def test_averages_are_of_the_pixels_inside_the_map(side: int, out: int) -> None:
    stage = Stage(name="conv", maps=2, kernel_px=1, reads="both", order=("average_pool",))
    network = Network(input_px=side, channels=2, towers=1, norm=None, stages=(stage,))
    layers = StageModule(network, stage, (2, side, side))
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(3, 2, side, side, generator=draws, dtype=torch.float64)

    found = layers.operations["average_pool"](x)

    assert found.shape == (3, 2, out, out)
    for row, column in np.ndindex(out, out):
        seen = x[:, :, 2 * row : min(2 * row + 3, side), 2 * column : min(2 * column + 3, side)]
        mean = seen.sum((2, 3)) / seen[0, 0].numel()  # nine pixels, but six at an edge and four in the corner
        torch.testing.assert_close(found[:, :, row, column], mean, atol=1e-13, rtol=0)


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
    for y, x in np.ndindex(56, 56):
        window = padded[:, 4 * y + 2 : 4 * y + 11, 4 * x + 2 : 4 * x + 11]  # around pixel 4y + 2
        small[:, y, x] = np.einsum("cij,i,j->c", window, line, line)
    weight = kernels.weight.detach().numpy()
    expected = np.zeros((2, 27, 27))
    for y, x in np.ndindex(27, 27):
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


def test_contrast_norm_subtracts_the_local_mean_in_the_denominator_only() -> None:
    norm = SameMapNorm(alpha=0.5)
    x = torch.randn(1, 2, 6, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    found = ContrastNorm(norm)(x)[0].numpy()

    maps, reach = x[0].numpy(), norm.size_px // 2

    def window(values: Array, c: int, y: int, z: int) -> Array:
        return values[c, max(0, y - reach) : y + reach + 1, max(0, z - reach) : z + reach + 1]

    means = np.array([window(maps, *at).mean() for at in np.ndindex(maps.shape)]).reshape(maps.shape)
    for at in np.ndindex(maps.shape):
        d = norm.k + norm.alpha / norm.size_px**2 * (window(maps - means, *at) ** 2).sum()
        assert abs(found[at] - maps[at] * d**-norm.beta) < 1e-12  # float64
