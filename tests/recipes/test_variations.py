"""Each variation changes what its claim names, on every recipe that it fits, and is refused by name elsewhere."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any
from zlib import crc32

import pytest
import torch

from alexrepro.errors import Exit, UserError
from alexrepro.model.alexnet import AlexNet
from alexrepro.paper.network import Network
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012, TINY, catalog, find_recipe
from alexrepro.recipes.variations import VARIATIONS, find_variation, trials_of

# Of as-run-2012 with each variation; variations.toml says what each value is taken from.
DIGESTS = {
    "no-norm": "553e7e", "non-overlapping-pooling": "7cf565", "one-tower": "51f9a9", "no-cross-links": "4d35a8",
    "tanh": "d1679d", "without-conv2": "126783", "without-conv3": "c62845", "without-conv4": "7f968f",
    "without-conv5": "37482d", "no-color-shift": "06b177", "no-dropout": "f8b1fc", "no-crops": "47a78e",
    "input-227": "952909", "average-logits": "4d6414", "no-weight-decay": "568338",
    "without-conv3-wider": "9bf9fe", "without-conv4-wider": "da49ca", "without-conv3-conv4": "813e6f",
    "without-conv3-conv4-wider": "aa7bc7", "extra-conv-narrower": "a269a9", "half-width": "b6f733",
    "double-width": "4c7259", "quarter-width": "144480", "half-full": "e2ba81", "double-full": "6d575c",
    "without-fc6": "9c99c9", "without-fc7": "2f73f3", "without-fc6-fc7": "1cda07",
    "without-conv3-conv4-fc6-fc7": "a4fbea", "batch-norm": "31aaed", "layer-norm": "e632ad", "sigmoid": "df609f",
    "ungrouped": "d67f40", "pad-2": "f75c5d", "dropout-0.3": "a691b4", "decay-for-dropout": "d6bd1f",
    "half-images": "f0935b", "quarter-images": "138540",
}  # fmt: skip
ALL_BUILT = ("as-run-2012", "net-131", "net-146-2011", "cifar-13pct", "one-weird-trick")
OTHER_BASES: tuple[Mapping[str, Any], ...] = (
    {"network.side_input.stage": "conv2"},
    {"network.towers": 1, "network.norm": None},
    {"network.conv2": None},
    {"network.input_px": 160, "augmentation.last_offset_px": 0},
    {"training.schedule.kind": "plateau"},
)
REFUSED = [
    ("no-norm", "cifar-80sec", "changes nothing in cifar-80sec"),
    ("no-color-shift", "cifar-11pct", "changes nothing in cifar-11pct"),
    ("no-cross-links", "one-weird-trick", "changes nothing in one-weird-trick"),
    ("one-tower", "one-weird-trick", "changes nothing in one-weird-trick"),
    ("one-tower", "cifar-18pct", "cannot be tried on cifar-18pct: it has no network.conv4.maps"),
    ("without-conv2", "net-131", "cannot be tried on net-131: network.side_input.stage must name"),
    ("without-conv3", "net-146-2009", "cannot be tried on net-146-2009: training.init_from_stages must name"),
    ("batch-norm", "one-weird-trick", "cannot be tried on one-weird-trick: it has no network.norm.kind"),
    ("without-conv4-wider", "cifar-18pct", "cannot be tried on cifar-18pct: it has no network.conv4"),
    ("extra-conv-narrower", "cifar-18pct", "cannot be tried on cifar-18pct: it has no network.conv4"),
    ("input-227", "cifar-18pct", "cannot be tried on cifar-18pct: network.input_px must be at most 32"),
]


@cache  # many recipes have the same network
def assert_can_be_built(network: Network) -> None:
    """Build the network without memory and show it two crops."""
    with torch.device("meta"):
        logits = AlexNet(network)(torch.empty(2, network.channels, network.input_px, network.input_px))
    assert logits.shape == (2, network.classes)


def test_a_variation_changes_what_its_claim_names_and_nothing_else() -> None:
    varied = {name: variation.of(AS_RUN_2012) for name, variation in VARIATIONS.items()}

    assert {name: varied[name].digest for name in DIGESTS} == DIGESTS
    assert varied["tanh"].name == "as-run-2012+tanh"
    assert varied["tanh"].description == "like as-run-2012, but with tanh in place of the ReLU"


@pytest.mark.parametrize("name", VARIATIONS)
def test_the_full_stages_still_see_six_by_six_maps(name: str) -> None:
    first = next(size for stage, size in VARIATIONS[name].of(AS_RUN_2012).network.inputs() if stage.kind == "full")

    assert first[1:] == (6, 6)


# Parameters and multiply-adds, relative to the base's 60,965,224 and 724,406,816.
MATCHED = {
    "without-conv3-wider": ([96, 256, 576, 256], 60_965_032, 724_406_816),
    "without-conv4-wider": ([96, 256, 576, 256], 60_965_032, 724_406_816),
    "without-conv3-conv4-wider": ([96, 442, 260], 60_821_294, 726_081_896),
    "extra-conv-narrower": ([96, 256, 316, 316, 316, 256], 60_965_548, 724_431_152),
}


@pytest.mark.parametrize("name", MATCHED)
def test_a_network_of_another_depth_costs_as_much_as_the_base_and_says_so(name: str) -> None:
    varied = VARIATIONS[name].of(AS_RUN_2012)
    network, base = varied.network, AS_RUN_2012.network

    convs = [stage.maps for stage in network.stages if stage.kind == "conv"]

    assert (convs, network.parameters, network.macs) == MATCHED[name]
    assert max(abs(network.parameters / base.parameters - 1), abs(network.macs / base.macs - 1)) < 0.01
    assert f"{network.parameters:,} parameters" in varied.description
    assert f"{network.macs:,} multiply-adds" in varied.description


def test_parameters_are_held_where_multiply_adds_cannot_be_and_the_description_says_so() -> None:
    varied = replace(VARIATIONS["without-conv4-wider"], matches=[["fc7"]]).of(AS_RUN_2012)

    assert varied.network.parameters == pytest.approx(AS_RUN_2012.network.parameters, rel=1e-3)
    assert varied.network.macs < 0.9 * AS_RUN_2012.network.macs
    assert varied.description.endswith("parameters are held, as both cannot be")


def test_a_wider_network_keeps_its_signal_and_divides_between_the_towers() -> None:
    quarter, double = (VARIATIONS[name].of(TINY).network.stages for name in ("quarter-width", "double-width"))

    assert [stage.maps for stage in quarter] == [4, 8, 12, 12, 8, 128, 128, 20]  # 12 / 4 maps are not even
    deviations = [two.weight_std / one.weight_std for one, two in zip(TINY.network.stages, double, strict=True)]
    assert deviations == pytest.approx([1.0] + [0.5**0.5] * 7, rel=2e-3)  # conv1 reads the image


def test_half_of_the_images_are_shown_in_as_many_steps() -> None:
    varied = VARIATIONS["half-images"].of(AS_RUN_2012)

    assert (varied.training.images_fraction, varied.training.epochs) == (0.5, 180)
    before, after = (recipe.training.schedule.at for recipe in (AS_RUN_2012, varied))  # type: ignore[union-attr]
    assert [line.epoch - 1 for line in after] == [2 * (line.epoch - 1) for line in before]


def test_a_variation_of_testing_takes_the_base_as_it_is() -> None:
    of_testing = {name: found.crops for name, found in VARIATIONS.items() if found.is_of_testing}

    assert of_testing == {"average-logits": "ten-logits"}
    assert VARIATIONS["average-logits"].of(TINY) is TINY


@pytest.mark.parametrize(
    ("name", "changes"),
    [(name, {}) for name in catalog()] + list(product(["as-run-2012", "net-146-2011", "one-weird-trick"], OTHER_BASES)),
    ids=str,
)
def test_a_variation_is_another_network_that_can_be_built_or_is_refused(name: str, changes: Mapping[str, Any]) -> None:
    for variation in VARIATIONS.values():
        with suppress(UserError):
            (base, _), (varied, _) = trials_of(find_recipe(name).but(changes), [variation])
            assert (varied.digest != base.digest) is not variation.is_of_testing
            if name in ALL_BUILT or crc32(f"{name} {variation.name}".encode()) % 3 == 0:  # one of three elsewhere
                assert_can_be_built(varied.network)


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
