"""Each variation changes what its claim names, on every recipe that it fits, and is refused by name elsewhere."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
import torch

from alexrepro.errors import Exit, UserError
from alexrepro.model.alexnet import AlexNet
from alexrepro.paper.network import Network
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2010, AS_RUN_2012, TINY, catalog, find_recipe
from alexrepro.recipes.recipe import Recipe, differences
from alexrepro.recipes.variations import VARIATIONS, Variation, find_variation, trials_of

# Printed in the paper; the others test a claim that has no number.
WITH_A_PRINTED_NUMBER = {
    "no-norm": "§3.3",
    "non-overlapping-pooling": "§3.4",
    "one-tower": "§3.2",
    "without-conv2": "§7",
    "without-conv3": "§7",
    "without-conv4": "§7",
    "without-conv5": "§7",
    "no-color-shift": "§4.1",
}
# Fields with their new values, and parts that are gone, of as-run-2012.
CHANGES: dict[str, tuple[dict[str, object], set[str]]] = {
    "no-norm": ({}, {"network.norm", "network.same_map_norm"}),
    "non-overlapping-pooling": (
        {"network.pool.size_px": 2, "network.conv2.pad_px": 1, "network.conv5.pad_px": 0}, set()  # layers-147.cfg
    ),
    "one-tower": (
        {"network.towers": 1, "network.conv1.maps": 48, "network.conv2.maps": 128, "network.conv3.maps": 192,
         "network.conv4.maps": 192}, set()
    ),
    "tanh": ({"network.activation": "tanh"}, set()),
    "no-cross-links": (
        {"network.conv3.reads": "own", "network.fc6.reads": "own", "network.fc7.reads": "own"}, set()
    ),
    "without-conv2": ({"network.conv3.stride_px": 2, "network.conv3.pad_px": 0}, {"network.conv2"}),
    "without-conv3": ({"network.conv4.reads": "both"}, {"network.conv3"}),
    "without-conv4": ({}, {"network.conv4"}),
    "without-conv5": ({"network.conv4.order": ["pool", "activation"]}, {"network.conv5"}),
    "no-color-shift": ({}, {"augmentation.color_shift"}),
    "no-dropout": ({"network.dropout": 0.0}, set()),
    "no-crops": ({"augmentation.crops": False, "augmentation.flips": False}, set()),
    "input-227": ({"network.input_px": 227, "augmentation.last_offset_px": 29}, set()),
    "no-weight-decay": ({"training.weight_decay": 0.0}, set()),
}  # fmt: skip
OTHER_BASES: dict[str, Mapping[str, Any]] = {
    "side input": {"network.side_input.stage": "conv2"},
    "one tower": {"network.towers": 1, "network.norm": None},
    "no conv2": {"network.conv2": None},
    "even window": {"network.norm.n": 4},
    "small input": {"network.input_px": 160, "augmentation.last_offset_px": 0},
    "another schedule": {"training.schedule.kind": "plateau"},
}
REFUSED = [
    ("no-norm", "cifar-80sec", "changes nothing in cifar-80sec"),
    ("no-color-shift", "cifar-11pct", "changes nothing in cifar-11pct"),
    ("no-cross-links", "one-weird-trick", "changes nothing in one-weird-trick"),
    ("one-tower", "one-weird-trick", "changes nothing in one-weird-trick"),
    ("one-tower", "cifar-18pct", "cannot be tried on cifar-18pct: it has no network.conv4.maps"),
    ("without-conv2", "net-131", "cannot be tried on net-131: network.side_input.stage must name"),
    ("without-conv3", "net-146-2009", "cannot be tried on net-146-2009: training.init_from_stages must name"),
    ("input-227", "cifar-18pct", "cannot be tried on cifar-18pct: network.input_px must be at most 32"),
]


@cache  # many recipes have the same network
def assert_can_be_built(network: Network) -> None:
    """Build the network without memory and show it two crops."""
    with torch.device("meta"):
        logits = AlexNet(network)(torch.empty(2, network.channels, network.input_px, network.input_px))
    assert logits.shape == (2, network.classes)


def trial(base: Recipe, variation: Variation, changes: Mapping[str, Any]) -> tuple[Recipe, Recipe] | UserError:
    """The changed base and its variation, or why there is none."""
    try:
        changed = base.but(changes)
        (_, _), (varied, _) = trials_of(changed, [variation])
    except UserError as refusal:
        return refusal
    return changed, varied


@pytest.mark.parametrize("name", CHANGES)
def test_a_variation_changes_what_its_claim_names_and_nothing_else(name: str) -> None:
    varied = VARIATIONS[name].of(AS_RUN_2012)
    changes = differences(AS_RUN_2012, varied)

    values = {path: new for path, (_, new) in changes.items() if new is not None and path != "network.stages"}
    gone = {path.rpartition(".")[0] for path, (_, new) in changes.items() if new is None}
    assert (values, gone - {"network.stages"}) == CHANGES[name]
    assert varied.name == f"as-run-2012+{name}"
    assert varied.description == f"like as-run-2012, but {VARIATIONS[name].description}"


@pytest.mark.parametrize("base", [AS_RUN_2012, TINY, AS_RUN_2010], ids=lambda base: base.name)
@pytest.mark.parametrize("name", [name for name, variation in VARIATIONS.items() if not variation.is_of_testing])
def test_the_full_stages_still_see_six_by_six_maps(base: Recipe, name: str) -> None:
    sizes = {stage.name: size for stage, size in VARIATIONS[name].of(base).network.inputs()}

    assert sizes["fc6"][1:] == (6, 6)


@pytest.mark.parametrize("name", ["without-conv3", "without-conv4", "without-conv5"])
def test_without_a_stage_the_towers_are_still_linked_and_three_pools_remain(name: str) -> None:
    stages = VARIATIONS[name].of(AS_RUN_2012).network.stages

    assert [stage.name for stage in stages if stage.kind == "conv" and stage.reads == "both"][1:] != []
    assert sum("pool" in stage.order for stage in stages) == 3


def test_printed_numbers_are_tested_where_there_are_any() -> None:
    assert {name: v.tests.cites.source for name, v in VARIATIONS.items() if v.tests} == WITH_A_PRINTED_NUMBER
    assert [name for name, variation in VARIATIONS.items() if not variation.section.startswith("§")] == []


def test_a_variation_of_testing_takes_the_base_as_it_is() -> None:
    of_testing = {name: found.crops for name, found in VARIATIONS.items() if found.is_of_testing}

    assert of_testing == {"average-logits": "ten-logits"}
    assert VARIATIONS["average-logits"].of(TINY) is TINY


@pytest.mark.parametrize("name", catalog())
def test_a_variation_is_another_network_that_can_be_built_or_is_refused(name: str) -> None:
    for variation in VARIATIONS.values():
        found = trial(find_recipe(name), variation, {})
        if not isinstance(found, UserError) and not variation.is_of_testing:
            base, varied = found
            assert varied.digest != base.digest
            assert_can_be_built(varied.network)


@pytest.mark.parametrize("changes", OTHER_BASES.values(), ids=OTHER_BASES)
@pytest.mark.parametrize("name", ["as-run-2012", "net-131", "net-146-2011", "cifar-18pct", "one-weird-trick"])
def test_a_variation_of_a_changed_recipe_is_another_one_or_refused(name: str, changes: Mapping[str, Any]) -> None:
    for variation in VARIATIONS.values():
        found = trial(find_recipe(name), variation, changes)
        if not isinstance(found, UserError):
            assert (found[0].digest != found[1].digest) is not variation.is_of_testing


@pytest.mark.parametrize(("name", "base", "why"), REFUSED)
def test_a_refusal_names_the_variation_the_base_and_the_reason(name: str, base: str, why: str) -> None:
    with pytest.raises(UserError) as caught:
        trials_of(find_recipe(base), [VARIATIONS[name]])

    assert caught.value.what.startswith(f"{name} (")
    assert why in caught.value.what
    assert caught.value.exit_code == Exit.USAGE


def test_an_unknown_variation_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="no variation nonorm; did you mean no-norm"):
        find_variation("nonorm")


def test_a_change_of_what_no_stage_uses_changes_nothing() -> None:
    orders = {f"network.{name}.order": ("activation", "pool") for name in ("conv1", "conv2")}
    unused = AS_PRINTED.but(orders)  # has constants of a norm that no stage has

    with pytest.raises(UserError, match=r"no-norm .* changes nothing"):
        trials_of(unused, [VARIATIONS["no-norm"]])
