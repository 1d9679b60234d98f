"""Locally connected kernels and clipped average pooling against plain loops in float64."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from alexrepro.model.alexnet import build
from alexrepro.model.layers import LocallyConnected, StageModule
from alexrepro.paper.network import Network, Stage
from alexrepro.recipes.catalog import find_recipe

Array = NDArray[np.float64]


def local(x: Array, weight: Array, bias: Array, g: Array, *, stride: int, pad: int) -> tuple[Array, ...]:
    """Place after place: the output, and the gradients of input, weights and biases where g is the output's."""
    (side, kernel), reach = (g.shape[2], int((weight.shape[1] / x.shape[1]) ** 0.5)), x.shape[2] + pad
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad + stride), (pad, pad + stride)))
    y, into = np.zeros_like(g), np.zeros_like(padded)
    dw, db = np.zeros_like(weight), np.zeros_like(bias)
    for row in range(side):
        for column in range(side):
            place, seen = side * row + column, np.s_[:, :, stride * row :, stride * column :]
            window = padded[seen][:, :, :kernel, :kernel]
            at = g[:, :, row, column]
            y[:, :, row, column] = window.reshape(len(x), -1) @ weight[place] + bias[place]
            dw[place], db[place] = window.reshape(len(x), -1).T @ at, at.sum(0)
            into[seen][:, :, :kernel, :kernel] += (at @ weight[place].T).reshape(window.shape)
    return y, into[:, :, pad:reach, pad:reach], dw, db


@pytest.mark.parametrize(("side", "kernel", "stride", "pad"), [(5, 3, 1, 1), (6, 3, 2, 0), (7, 2, 3, 1), (4, 4, 1, 0)])
def test_every_place_has_kernels_of_its_own(side: int, kernel: int, stride: int, pad: int) -> None:
    stage = Stage(
        name="local", kind="local", maps=3, kernel_px=kernel, stride_px=stride, pad_px=pad, reads="both", order=()
    )
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
    x = torch.randn(3, 2, side, side, generator=draws, dtype=torch.float64, requires_grad=True)

    found = layers.operations["average_pool"](x)
    g = torch.randn(found.shape, generator=draws, dtype=torch.float64)
    found.backward(g)

    pixels, into = x.detach().numpy(), np.zeros(x.shape)
    assert found.shape == (3, 2, out, out)
    for row in range(out):
        for column in range(out):
            seen = np.s_[:, :, 2 * row : min(2 * row + 3, side), 2 * column : min(2 * column + 3, side)]
            count = pixels[seen][0, 0].size  # nine, but six at an edge and four in the corner
            expected = pixels[seen].sum((2, 3)) / count
            np.testing.assert_allclose(found[:, :, row, column].detach().numpy(), expected, atol=1e-13)
            into[seen] += g.numpy()[:, :, row, column, None, None] / count
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), into, atol=1e-13)


def test_the_network_for_cifar_learns_through_its_local_layers() -> None:
    model = build(find_recipe("cifar-13pct").network, seed=0)

    loss = model(50 * torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))).logsumexp(1).sum()
    loss.backward()

    named = model.named_kernels()
    count = sum(parameter.numel() for parameter in named.values())
    assert count == find_recipe("cifar-13pct").network.parameters == 1_116_490
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in named.values())
