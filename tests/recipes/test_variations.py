"""Each variation is a change that means something on every network it is offered for."""

import pytest

from alexrepro.errors import Exit, UserError
from alexrepro.recipes.as_printed_and_run import AS_RUN_2010, AS_RUN_2012, TINY
from alexrepro.recipes.recipe import Recipe, differences
from alexrepro.recipes.variations import VARIATIONS, find_variation

BASES = (AS_RUN_2012, TINY, AS_RUN_2010)

# Printed in the paper or noted in the 2012 code; the others test a claim that has no number.
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
    "no-weight-decay": ({"training.weight_decay": 0.0}, set()),
}  # fmt: skip
KEEPING_THE_NETWORK = ("tanh", "no-color-shift", "no-dropout", "no-crops", "no-weight-decay", "no-norm")

every_base = pytest.mark.parametrize("base", BASES, ids=lambda base: base.name)
every_name = pytest.mark.parametrize("name", [name for name, found in VARIATIONS.items() if not found.is_of_testing])


@every_base
@every_name
def test_a_variation_changes_something(base: Recipe, name: str) -> None:
    varied = VARIATIONS[name].of(base)

    assert differences(base, varied) != {}
    assert varied.digest != base.digest


@every_base
@every_name
def test_a_variation_keeps_the_classes_and_the_training_length(base: Recipe, name: str) -> None:
    varied = VARIATIONS[name].of(base)

    assert varied.network.classes == base.network.classes
    assert varied.training.epochs == base.training.epochs


@every_base
@every_name
def test_the_full_stages_still_see_six_by_six_maps(base: Recipe, name: str) -> None:
    sizes = {stage.name: size for stage, size in VARIATIONS[name].of(base).network.inputs()}

    assert sizes["fc6"][1:] == (6, 6)


@every_base
@every_name
def test_a_variation_is_named_after_its_base_and_itself(base: Recipe, name: str) -> None:
    varied = VARIATIONS[name].of(base)

    assert varied.name == f"{base.name}+{name}"
    assert varied.description == f"like {base.name}, but {VARIATIONS[name].description}"


@pytest.mark.parametrize("name", KEEPING_THE_NETWORK)
def test_a_variation_of_training_or_response_keeps_every_layer(name: str) -> None:
    assert VARIATIONS[name].of(AS_RUN_2012).network.layers() == AS_RUN_2012.network.layers()


@pytest.mark.parametrize("name", CHANGES)
def test_a_variation_changes_what_its_claim_names_and_nothing_else(name: str) -> None:
    changes = differences(AS_RUN_2012, VARIATIONS[name].of(AS_RUN_2012))

    values = {path: new for path, (_, new) in changes.items() if new is not None and path != "network.stages"}
    gone = {path.rpartition(".")[0] for path, (_, new) in changes.items() if new is None}
    assert (values, gone - {"network.stages"}) == CHANGES[name]


@pytest.mark.parametrize("name", ["without-conv3", "without-conv4", "without-conv5"])
def test_without_a_stage_there_is_one_stage_less(name: str) -> None:
    stages = [stage.name for stage in VARIATIONS[name].of(AS_RUN_2012).network.stages]

    assert name.removeprefix("without-") not in stages
    assert len(stages) == 7


@pytest.mark.parametrize("name", ["without-conv3", "without-conv4", "without-conv5"])
def test_without_a_stage_the_towers_still_meet_before_the_full_stages(name: str) -> None:
    stages = VARIATIONS[name].of(AS_RUN_2012).network.stages

    assert [stage.name for stage in stages if stage.kind == "conv" and stage.reads == "both"][1:] != []


@pytest.mark.parametrize("name", ["without-conv3", "without-conv4", "without-conv5"])
def test_without_a_stage_three_pools_remain(name: str) -> None:
    stages = VARIATIONS[name].of(AS_RUN_2012).network.stages

    assert sum("pool" in stage.order for stage in stages) == 3


def test_printed_numbers_are_tested_where_there_are_any() -> None:
    tested = {name: v.tests.cites.source for name, v in VARIATIONS.items() if v.tests}

    assert tested == WITH_A_PRINTED_NUMBER


def test_every_variation_names_the_section_of_its_claim() -> None:
    assert [name for name, variation in VARIATIONS.items() if not variation.section.startswith("§")] == []


def test_a_variation_of_testing_takes_the_base_as_it_is() -> None:
    of_testing = {name: found.crops for name, found in VARIATIONS.items() if found.is_of_testing}

    assert of_testing == {"average-logits": "ten-logits"}
    assert VARIATIONS["average-logits"].of(TINY) is TINY


def test_an_unknown_variation_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean no-norm") as caught:
        find_variation("nonorm")

    assert caught.value.exit_code == Exit.USAGE
