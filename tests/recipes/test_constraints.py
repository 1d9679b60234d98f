"""A recipe is checked as a whole, once: what cannot be computed with is refused by name, whatever the order."""

from contextlib import suppress
from itertools import product
from math import inf, nan
from pathlib import Path

import pytest

from alexrepro.errors import UserError
from alexrepro.paper.training import At, Plateau, Script
from alexrepro.recipes.catalog import AS_RUN_2012, catalog
from alexrepro.recipes.constraints import numbers
from alexrepro.recipes.recipe import Recipe, from_text

from .test_variations import assert_can_be_built

IMPOSSIBLE = [
    ("network.input_std", [58.0, 57.0], "have a number above 0 for each"),
    ("network.input_std", [58.0, 57.0, 0.0], "be above 0"),
    ("network.towers", 0, "be 1 or more"),
    ("network.dropout", 1.0, "below 1"),
    ("network.norm.n", 4, "be odd"),
    ("network.pool.stride_px", 0, "be 1 or more"),
    ("network.conv1.maps", -2, "be 1 or more"),
    ("network.conv1.order", ["pool", "pool"], "once"),
    ("network.conv1.name", "fc6", "different names"),
    ("network.conv2.maps", 255, "divide between 2 towers"),
    ("network.input_px", 30, "be larger: "),
    ("network.input_px", 257, "at most 256"),
    ("training.learning_rate", float("nan"), "be 0 or more"),
    ("training.momentum", 1.0, "below 1"),
    ("augmentation.last_offset_px", 33, "the margin around a crop"),
    ("network.channels", 1, "be 3, as images are RGB"),
    ("network.norm.k", 0.0, "be above 0"),
    ("network.conv2.bias", float("inf"), "be a finite number, not inf"),
    ("network.conv2.learning_rate_factor", -1.0, "be 0 or more"),
    ("network.conv2.pad_px", 5, "be below 5, the side of a kernel"),
    ("network.conv1.order", ["pool", "average_pool"], "pool once"),
    ("network.fc6.order", ["norm"], "hold only activation and dropout"),
    ("network.pool.stride_px", 4, "be at most 3, the side of a window"),
    ("network.fc6.kind", "conv", "hold only dropout|be 1 or more"),
    ("network.conv4.kind", "full", "have full connections after all others"),
    ("network.conv1.name", "conv1.weight", "be named conv, local or fc"),
    ("network.side_input.stage", "x", r"name stages of the network \(conv1, .*\), not 'x'"),
    ("network.side_input.stage", "fc6", "not 'fc6'"),
    ("network.side_input.first_px", 224, "be below network.input_px, 224"),
    ("network.side_input.taps", 8, "be odd"),
    ("training.batch", 10**7, "at most 1,000,000"),
    ("training.init_from_stages", ["conv9"], "not 'conv9'"),
    ("training.schedule", Script((At(3, stages=("convv1",)),)), "not 'convv1'"),
    ("training.schedule", Script((At(-3, learning_rate=0.1),)), "be 1 or more and at most 1,000,000, not -3"),
    ("training.schedule", Script((At(5), At(3))), "in the order of the epochs"),
    ("training.schedule", Script((At(5, bias_learning_rate=float("nan")),)), "not nan"),
    ("training.schedule", Plateau(factor=1.0), "be above 1"),
    ("description", "two\nlines", "be one line of text"),
]


@pytest.mark.parametrize(("path", "value", "must"), IMPOSSIBLE, ids=lambda value: str(value)[:40])
def test_an_impossible_value_is_refused(path: str, value: object, must: str) -> None:
    with pytest.raises(UserError, match=must):
        AS_RUN_2012.but({path: value})


def test_every_number_of_a_recipe_has_a_range() -> None:
    recipe = AS_RUN_2012.but({"network.side_input.stage": "conv2", "network.input_std": [58.0, 57.0, 57.0]})
    parts = {"network": recipe.network, "training": recipe.training, "augmentation": recipe.augmentation}
    ranges = {path: limits for part, value in parts.items() for path, _, limits in numbers(value, part)}
    numeric = {path for path, leaf in recipe.fields().items() if type(leaf) in (int, float)}

    assert numeric - set(ranges) == set()
    assert {"training.schedule.at.learning_rate", "network.input_std"} <= set(ranges)
    assert [path for path, limits in ranges.items() if any(map(limits.holds, (nan, inf, -inf, 1e39)))] == []
    assert [path for path, limits in ranges.items() if limits.holds(-1) and not path.endswith(".bias")] == []


def test_changes_are_checked_together_not_one_by_one() -> None:
    small = {"network.conv1.stride_px": 1, "network.input_px": 32, "network.conv1.kernel_px": 5}

    forth, back = AS_RUN_2012.but(small), AS_RUN_2012.but(dict(reversed(small.items())))

    assert forth == back
    assert [layer.output[1] for layer in forth.network.layers()][:2] == [28, 14]


ODD_VALUES = (
    -1, 0, 1, 2, 7, 10**6, 10**19, 10**400, -0.5, 0.0, 0.25, 1.5, 1e300, float("nan"), float("inf"), True, None,
    "", "x", "conv1", "fc6", "type", "conv", "full", "local", "own", "tanh", "decay", "script", "\x1b[31m",
    [], ["x"], [-1.0], [1], ["conv1", "fc6"], ["pool", "norm"], ["dropout", "activation"], ["average_pool"],
    {}, {"epoch": 0}, [{"learning_rate": 0.1}], [{"epoch": -3}], [{"epoch": 1, "stages": ["convv1"]}],
    [{"epoch": 3, "learning_rate": float("nan")}], [{"epoch": 3}, {"epoch": 2}], [{"epoch": 2, "learning_rate": 0.5}],
)  # fmt: skip
EVERY = 29  # of all pairs of a field and a value, one in so many, which is no divisor of either


def paths_of(recipe: Recipe) -> list[str]:
    """Every field, every part above one, and paths that lead nowhere."""
    fields = list(recipe.fields())
    parts = [path.rpartition(".")[0] for path in fields]
    side = [f"network.side_input.{name}" for name in ("stage", "every_px", "taps", "sigma_px", "stride_px")]
    return list(dict.fromkeys([*fields, *parts, *side, "", ".", "network.", "network..x"]))


@pytest.mark.parametrize("name", ["as-run-2012", "net-131", "cifar-13pct"])
def test_any_field_with_any_value_is_refused_or_gives_a_network_that_is_read_back(name: str) -> None:
    wide = catalog()[name].recipe
    base = wide.but({f"network.{stage.name}.maps": 2 * wide.network.towers for stage in wide.network.stages})
    changes = list(product(paths_of(base), ODD_VALUES))
    for path, value in changes[::EVERY]:
        with suppress(UserError):
            recipe = base.but({path: value})
            assert from_text(recipe.to_toml(), Path("recipe.toml")) == recipe
            assert_can_be_built(recipe.network)


@pytest.mark.parametrize(
    "name", ["", " ", "..", "/elsewhere/x", "a\\b", "a\nb", "\x1b[31m", "-x", "x ", "x" * 201, "\udcff"]
)
def test_a_name_that_cannot_be_a_folders_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="name must be one that a folder can have"):
        Recipe(name=name)
    assert Recipe(name="größer 2, zweimal").name == "größer 2, zweimal"
