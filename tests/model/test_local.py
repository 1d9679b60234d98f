"""Locally connected kernels and clipped average pooling against plain loops in float64."""

import numpy as np
import torch
from torch import nn

from alexrepro.model.alexnet import build
from alexrepro.model.layers import StageLayers
from alexrepro.model.local import LocalKernels
from alexrepro.paper.network import Network, Stage
from alexrepro.recipes.cifar import CIFAR_13PCT


def test_every_place_has_kernels_of_its_own() -> None:
    stage = Stage(name="local", kind="local", maps=3, kernel_px=3, pad_px=1, reads="both")
    kernels = LocalKernels(Network(input_px=5, channels=2, towers=1, stages=(stage,)), stage, (2, 5, 5)).double()
    draws = torch.Generator().manual_seed(0)
    for parameter in kernels.parameters():
        nn.init.normal_(parameter, generator=draws)
    x = torch.randn(4, 2, 5, 5, generator=draws, dtype=torch.float64)

    found = kernels(x).detach().numpy()

    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    weight, bias = kernels.weight.detach().numpy(), kernels.bias.detach().numpy()
    for y in range(5):
        for column in range(5):
            window = padded[:, :, y : y + 3, column : column + 3].reshape(4, -1)
            place = 5 * y + column
            np.testing.assert_allclose(found[:, :, y, column], window @ weight[place] + bias[place], atol=1e-12)


def test_averages_are_of_the_pixels_inside_the_map() -> None:
    stage = Stage(name="conv", maps=1, kernel_px=1, reads="both", order=("average_pool",))
    network = Network(input_px=6, channels=1, towers=1, norm=None, stages=(stage,))
    layers = StageLayers(network, stage, (1, 6, 6))
    x = torch.arange(36.0).reshape(1, 1, 6, 6)

    found = layers.operations["average_pool"](x)[0, 0]

    assert found.shape == (3, 3)  # 1 + ceil((6 - 3) / 2)
    assert found[0, 0] == x[0, 0, :3, :3].mean()
    assert found[2, 2] == x[0, 0, 4:, 4:].mean()  # four pixels, not nine


def test_the_network_for_cifar_learns_through_its_local_layers() -> None:
    model = build(CIFAR_13PCT.network, seed=0)

    loss = model(50 * torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))).logsumexp(1).sum()
    loss.backward()

    named = model.named_kernels()
    assert sum(parameter.numel() for parameter in named.values()) == CIFAR_13PCT.network.parameters == 1_116_490
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in named.values())
