"""A recipe is checked as a whole, once: what cannot be computed with is refused by name, whatever the order."""

from dataclasses import replace
from pathlib import Path

import pytest

from alexrepro.errors import Refusal
from alexrepro.paper.network import Network, Stage
from alexrepro.recipes.alexnet_2012 import AS_RUN_2012
from alexrepro.recipes.catalogue import find_recipe
from alexrepro.recipes.recipe import Recipe, from_toml

IMPOSSIBLE = [
    ("network.towers", 0, "be 1 or more"),
    ("network.dropout", 1.0, "below 1"),
    ("network.conv4.dropout", 1.0, "below 1, or none"),
    ("network.norm.n", 4, "be odd"),
    ("network.pool.stride_px", 0, "be 1 or more"),
    ("network.conv1.stride_px", 0, "be 1 or more"),
    ("network.conv1.maps", -2, "be 1 or more"),
    ("network.conv1.order", ["pool", "pool"], "once"),
    ("network.conv1.name", "fc6", "different names"),
    ("network.conv2.maps", 255, "do not divide between 2 towers"),
    ("network.input_px", 30, "too small"),
    ("network.input_px", 257, "at most 256"),
    ("training.batch", 0, "be 1 or more"),
    ("training.epochs", 0, "be 1 or more"),
    ("training.rate", float("nan"), "be 0 or more"),
    ("training.momentum", 1.0, "below 1"),
    ("augmentation.shared_by", 0, "be 1 or more"),
    ("augmentation.last_offset_px", 33, "the room around a view"),
]


@pytest.mark.parametrize(
    ("path", "value", "must"), IMPOSSIBLE, ids=[f"{path}={value}" for path, value, _ in IMPOSSIBLE]
)
def test_an_impossible_value_is_refused(path: str, value: object, must: str) -> None:
    with pytest.raises(Refusal, match=must):
        AS_RUN_2012.but({path: value})


@pytest.mark.parametrize(
    ("path", "value", "must"),
    [
        ("training.schedule.end", 0.0, r"training\.schedule\.end must be above 0, as training\.rate"),
        ("training.bias_rate", 0.0, r"training\.schedule\.bias_end must be above 0, as training\.bias_rate"),
        ("training.schedule.bias_levels", 1, r"training\.schedule\.bias_levels must be 2 or more, or none"),
    ],
)
def test_a_formula_needs_a_way_to_fall(path: str, value: object, must: str) -> None:
    with pytest.raises(Refusal, match=must):
        find_recipe("net-170").but({path: value})


def test_changes_are_checked_together_not_one_by_one() -> None:
    small = {"network.conv1.stride_px": 1, "network.input_px": 32, "network.conv1.kernel_px": 5}

    forth, back = AS_RUN_2012.but(small), AS_RUN_2012.but(dict(reversed(small.items())))

    assert forth == back
    assert [layer.output[1] for layer in forth.network.layers()][:2] == [28, 14]


def test_a_recipe_with_a_small_input_or_another_stage_is_read_back(tmp_path: Path) -> None:
    sixth = Stage("conv6", maps=256, kernel_px=3, pad_px=1, reads="both", weight_std=0.03, bias=1.0)
    stages = (*AS_RUN_2012.network.stages[:5], sixth, *AS_RUN_2012.network.stages[5:])
    recipe = replace(AS_RUN_2012, network=replace(AS_RUN_2012.network, stages=stages))
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())

    assert from_toml(tmp_path / "recipe.toml") == recipe
    assert recipe.network.parameters == 61_555_304  # 145 with conv6 adds 590,080 (layers-146-2009.cfg)


def test_a_network_may_have_as_many_classes_as_it_likes() -> None:
    assert Recipe(network=Network()).for_classes(37).network.classes == 37
