"""Two processes with one tower each compute what one process with both does, forward and backward, in float64."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from alexrepro.device import find_device
from alexrepro.distributed.process_group import connect
from alexrepro.distributed.rank import Rank
from alexrepro.errors import UserError
from alexrepro.model import tower_parallel
from alexrepro.model.alexnet import AlexNet, build, check_shardable
from alexrepro.model.tower_parallel import LocalTowers
from alexrepro.paper.network import Network
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012, find_recipe
from alexrepro.recipes.recipe import Recipe

from ..ranks import run_ranks

MAPS = {"conv1": 8, "conv2": 12, "conv3": 16, "conv4": 16, "conv5": 12, "fc6": 24, "fc7": 20, "fc8": 6}
CROPS = 3
CLOSE = {"rtol": 0, "atol": 1e-12}  # float64; only sums over maps or images go in another order
Found = dict[str, np.ndarray]


def small(recipe: Recipe, **changes: Any) -> Recipe:
    """Larger weights than in 2012, so that a signal reaches the end of so narrow a network."""
    fields = {f"network.{name}.maps": maps for name, maps in MAPS.items()}
    fields |= {f"network.{stage.name}.weight_std": 0.05 for stage in recipe.network.stages}
    return recipe.but({**fields, "network.input_px": 98, **changes})


NETWORKS = {
    "as-run-2012": small(AS_RUN_2012),
    "as-printed": small(AS_PRINTED),
    "windows wider than a tower's neighbors": small(AS_PRINTED, **{"network.norm.n": 7, "network.norm.alpha": 0.1}),
    "a side input": small(find_recipe("net-131"), **{"network.input_px": 224}),
    "full stages that read their own tower": small(find_recipe("net-150"), **{"network.fc6.maps": 24}),
    "six conv layers": small(find_recipe("net-146-2009"), **{"network.conv6.maps": 12}),
    "an odd number of classes": small(AS_RUN_2012, **{"network.fc8.maps": 7}),
    "dropout in a conv stage": small(AS_RUN_2012, **{"network.conv5.order": ("activation", "pool", "dropout")}),
}


class Half(LocalTowers):
    """The towers of the second of two processes, without communication."""

    rank, processes = 1, 2


def gathered(network: Network) -> int:
    """Values that are gathered for an image: what stages read from both towers, and the logits."""
    return sum(prod(size) for stage, size in [*network.inputs()][1:] if stage.reads == "both") + network.classes


@contextmanager
def counted_bytes() -> Iterator[list[int]]:
    """Bytes that one of two processes sends, in gathers and in reduce-scatters."""
    sent, gather, scatter = [0, 0], tower_parallel._all_gather, tower_parallel._reduce_scatter

    def counted_gather(full: torch.Tensor, own: torch.Tensor, **more: Any) -> Any:
        sent[0] += own.nbytes
        return gather(full, own, **more)

    def counted_scatter(own: torch.Tensor, parts: torch.Tensor, **more: Any) -> Any:
        sent[1] += parts.nbytes - own.nbytes
        return scatter(own, parts, **more)

    tower_parallel._all_gather, tower_parallel._reduce_scatter = counted_gather, counted_scatter
    try:
        yield sent
    finally:
        tower_parallel._all_gather, tower_parallel._reduce_scatter = gather, scatter


def one_step(recipe: Recipe, towers: LocalTowers) -> Found:
    """Logits and full gradients of one step with dropout on three crops, and the bytes sent for them."""
    model = build(recipe.network, seed=1).double().held_by(towers)
    draws = torch.Generator().manual_seed(2)
    crops = 50 * torch.randn(CROPS, 3, recipe.network.input_px, recipe.network.input_px, generator=draws).double()
    with counted_bytes() as sent:
        logits = model(crops, model.draw_masks(CROPS, key_of_step=3))
        F.cross_entropy(logits, torch.tensor([0, 4, 1]) % recipe.network.classes).backward()
    gradients = {name: model.gather_full(name, kernel.grad) for name, kernel in model.named_kernels().items()}
    found = {name: tensor.detach().numpy() for name, tensor in ({"logits": logits} | gradients).items()}
    return found | {"sent": np.array(sent)}


def steps_of_one_rank(rank: Rank) -> dict[str, Found]:
    network = AS_RUN_2012.network
    with connect(rank, find_device("cpu"), network=network, parallel="tower") as group:
        return {name: one_step(recipe, group.towers) for name, recipe in NETWORKS.items()}


@pytest.fixture(scope="module")
def pair() -> list[dict[str, Found]]:
    return run_ranks(steps_of_one_rank, 2)


@pytest.mark.parametrize("name", NETWORKS)
def test_two_processes_compute_what_one_does(pair: list[dict[str, Found]], name: str) -> None:
    local = one_step(NETWORKS[name], LocalTowers())

    for rank in pair:
        assert set(rank[name]) == set(local)
        for what, expected in ((what, tensor) for what, tensor in local.items() if what != "sent"):
            np.testing.assert_allclose(rank[name][what], expected, **CLOSE, err_msg=what)
    assert np.array_equal(pair[0][name]["logits"], pair[1][name]["logits"])
    assert abs(local["conv1.weight"]).max() > 1e-5


def test_each_process_sends_its_half_forward_and_gets_the_gradient_of_its_maps(pair: list[dict[str, Found]]) -> None:
    network = NETWORKS["as-run-2012"].network
    forward = CROPS * gathered(network) // 2 * 8  # float64

    assert [rank["as-run-2012"]["sent"].tolist() for rank in pair] == [
        [forward, forward - CROPS * network.classes // 2 * 8]
    ] * 2
    assert gathered(AS_RUN_2012.network) == 256 * 13 * 13 + 256 * 6 * 6 + 4096 + 4096 + 1000 == 61_672


def test_each_process_holds_half_of_every_weight_but_classes_that_cannot_be_divided() -> None:
    with torch.device("meta"):
        half, odd = (AlexNet(AS_RUN_2012.for_classes(k).network, Half()).named_kernels() for k in (1000, 21_843))

    assert sum(kernel.numel() for kernel in half.values()) == 60_965_224 / 2
    assert (half["conv2.weight"].shape, half["fc6.weight"].shape) == ((128, 48, 5, 5), (2048, 9216))
    assert (odd["fc7.weight"].shape, odd["fc8.weight"].shape) == ((2048, 4096), (21_843, 4096))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network.towers": 1}, "network.towers is 1"),
        ({"network.fc6.maps": 4095}, "fc6 has 4095 maps"),
        ({"network.norm.n": 99, "network.norm.per_tower": False}, "reaches 49 maps"),
    ],
)
def test_networks_whose_towers_cannot_be_divided_are_refused(changes: dict[str, Any], message: str) -> None:
    network = AS_RUN_2012.but(changes).network

    with pytest.raises(UserError, match=message):
        check_shardable(network, 2)
