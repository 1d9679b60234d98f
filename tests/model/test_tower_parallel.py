"""Two processes with one tower each compute what one process with both does, forward and backward, in float64."""

from collections.abc import Iterator
from contextlib import contextmanager
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
from alexrepro.recipes.as_printed_and_run import AS_PRINTED, AS_RUN_2012
from alexrepro.recipes.catalog import find_recipe
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


class SilentTowers(LocalTowers):
    """One of two processes without communication: copies of its maps stand for the other's; counts bytes per image."""

    processes = 2

    def __init__(self, rank: int = 0) -> None:
        self.rank, self.values, self.bytes_forward, self.bytes_back = rank, 0, 0, 0

    def all_gather_maps(self, maps: torch.Tensor) -> torch.Tensor:
        self.bytes_back += maps[0].nbytes  # the gradient of the other's maps
        return self.gather_logits(maps)

    def gather_logits(self, logits: torch.Tensor) -> torch.Tensor:
        self.values += 2 * logits[0].numel()
        self.bytes_forward += logits[0].nbytes
        return torch.cat([logits] * 2, dim=1)


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
    assert abs(local["conv1.weight"]).max() > 1e-5


def test_both_processes_hold_the_same_logits_to_the_last_bit(pair: list[dict[str, Found]]) -> None:
    for name in NETWORKS:
        assert np.array_equal(pair[0][name]["logits"], pair[1][name]["logits"])


@pytest.mark.parametrize("name", NETWORKS)
def test_silent_towers_count_what_two_processes_send(pair: list[dict[str, Found]], name: str) -> None:
    network, silent = NETWORKS[name].network, SilentTowers()

    AlexNet(network, silent).double()(torch.zeros(1, 3, network.input_px, network.input_px, dtype=torch.float64))

    for rank in pair:
        assert rank[name]["sent"].tolist() == [CROPS * silent.bytes_forward, CROPS * silent.bytes_back]


def test_the_towers_of_2012_gather_61_672_values_for_an_image() -> None:
    silent = SilentTowers()
    with torch.no_grad():
        AlexNet(AS_RUN_2012.network, silent)(torch.zeros(1, 3, 224, 224))

    maps = 256 * 13 * 13 + 256 * 6 * 6 + 4096 + 4096  # what conv3, fc6, fc7 and fc8 read
    assert silent.values == maps + 1000 == 61_672
    assert (silent.bytes_forward, silent.bytes_back) == (4 * (maps + 1000) // 2, 4 * maps // 2)  # float32; half of it


def test_each_process_holds_half_of_every_weight() -> None:
    with torch.device("meta"):
        halves = [AlexNet(AS_RUN_2012.network, SilentTowers(index)).named_kernels() for index in (0, 1)]

    assert halves[0]["conv2.weight"].shape == (128, 48, 5, 5)
    assert halves[0]["fc6.weight"].shape == (2048, 9216)
    assert sum(kernel.numel() for half in halves for kernel in half.values()) == 60_965_224


def test_classes_that_cannot_be_divided_are_replicated() -> None:
    with torch.device("meta"):
        held = AlexNet(AS_RUN_2012.for_classes(21_843).network, SilentTowers(1)).named_kernels()

    assert held["fc7.weight"].shape == (2048, 4096)
    assert held["fc8.weight"].shape == (21_843, 4096)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network.towers": 1}, "a single tower"),
        ({"network.fc6.maps": 4095}, "fc6 has 4095 maps"),
        ({"network.norm.n": 99, "network.norm.per_tower": False}, "reaches 49 maps"),
    ],
)
def test_networks_whose_towers_cannot_be_divided_are_refused(changes: dict[str, Any], message: str) -> None:
    network = AS_RUN_2012.but(changes).network

    with pytest.raises(UserError, match=message):
        check_shardable(network, 2)
