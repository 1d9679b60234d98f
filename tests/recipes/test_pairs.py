"""Every variation of every recipe is a network that differs from its base and can be built, or is refused by name."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
import torch

from alexrepro.errors import Exit, UserError
from alexrepro.model.alexnet import AlexNet
from alexrepro.paper.network import Network
from alexrepro.recipes.as_printed_and_run import AS_PRINTED, AS_RUN_2012
from alexrepro.recipes.catalog import catalog
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.variations import VARIATIONS, Variation, trials_of

CHANGES: dict[str, Mapping[str, Any]] = {
    "side input": {"network.side_input.stage": "conv2"},
    "one tower": {"network.towers": 1, "network.norm": None},
    "no conv2": {"network.conv2": None},
    "even window": {"network.norm.n": 4},
    "small input": {"network.input_px": 160, "augmentation.last_offset_px": 0},
    "another schedule": {"training.schedule.kind": "plateau"},
}
SHOWN = 2


@cache  # many recipes have the same network
def assert_can_be_built(network: Network) -> None:
    """Build the network without memory and show it some crops."""
    with torch.device("meta"):
        logits = AlexNet(network)(torch.empty(SHOWN, network.channels, network.input_px, network.input_px))
    assert logits.shape == (SHOWN, network.classes)


def trial(base: Recipe, variation: Variation, changes: Mapping[str, Any]) -> tuple[Recipe, Recipe] | UserError:
    """The changed base and its variation, or why there is none."""
    try:
        changed = base.but(changes)
        (_, _), (varied, _) = trials_of(changed, [variation])
    except UserError as refusal:
        return refusal
    return changed, varied


@pytest.mark.parametrize("name", catalog())
def test_a_variation_is_another_network_that_can_be_built_or_is_refused(name: str) -> None:
    for variation in VARIATIONS.values():
        found = trial(catalog()[name].recipe, variation, {})
        if not isinstance(found, UserError) and not variation.is_of_testing:
            base, varied = found
            assert varied.digest != base.digest
            assert_can_be_built(varied.network)


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("name", ["as-run-2012", "net-131", "net-146-2011", "cifar-18pct", "one-weird-trick"])
def test_a_variation_of_a_changed_recipe_is_another_one_or_refused(name: str, changes: Mapping[str, Any]) -> None:
    for variation in VARIATIONS.values():
        found = trial(catalog()[name].recipe, variation, changes)
        if not isinstance(found, UserError):
            assert (found[0].digest != found[1].digest) is not variation.is_of_testing


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


@pytest.mark.parametrize(("name", "base", "why"), REFUSED)
def test_a_refusal_names_the_variation_the_base_and_the_reason(name: str, base: str, why: str) -> None:
    with pytest.raises(UserError) as caught:
        trials_of(catalog()[base].recipe, [VARIATIONS[name]])

    assert caught.value.what.startswith(f"{name} (")
    assert why in caught.value.what
    assert caught.value.exit_code == Exit.USAGE


def test_a_change_of_what_no_stage_uses_changes_nothing() -> None:
    orders = {f"network.{name}.order": ("activation", "pool") for name in ("conv1", "conv2")}
    unused = AS_PRINTED.but(orders)  # has constants of a norm that no stage has

    with pytest.raises(UserError, match=r"no-norm .* changes nothing"):
        trials_of(unused, [VARIATIONS["no-norm"]])


def test_one_misfit_among_several_variations_refuses_all() -> None:
    with pytest.raises(UserError, match="input-227"):
        trials_of(AS_RUN_2012.but({"network.input_px": 227, "augmentation.last_offset_px": 29}),
                  [VARIATIONS["tanh"], VARIATIONS["input-227"]])  # fmt: skip
