"""The named recipes hold the values of the released configuration files, and every value has a source."""

from dataclasses import fields
from typing import Any

import pytest

from alexrepro.errors import Exit, UserError
from alexrepro.paper.citation import citations
from alexrepro.paper.logbook import logged
from alexrepro.paper.network import Network, Norm, Pool, SameMapNorm, SideInput, Stage
from alexrepro.paper.training import At, Augmentation, ColorShift, Plateau, Script, Training
from alexrepro.recipes.as_printed_and_run import AS_PRINTED, AS_RUN_2010, AS_RUN_2012, TINY
from alexrepro.recipes.catalog import catalog, default_recipe, find_recipe
from alexrepro.recipes.ledger import ledger, shown
from alexrepro.recipes.recipe import Recipe, differences

CITED = (Network, Norm, SameMapNorm, SideInput, Pool, Training, Plateau, ColorShift, Augmentation)

# What a stage is made of: §3.5 and Figure 2 as a whole, cited above the table of stages.
STRUCTURE = {"name", "kind", "maps", "kernel_px", "stride_px", "pad_px", "reads", "order"}

# layers-145.cfg: maps of both towers, kernel, stride, zeros around, which towers it reads, what follows, std, bias
STAGES_145: dict[str, tuple[Any, ...]] = {
    "conv1": (96, 11, 4, 0, "both", ("norm", "pool", "activation"), 0.01, 0.0),
    "conv2": (256, 5, 1, 2, "own", ("activation", "norm", "same_map_norm", "pool"), 0.01, 1.0),
    "conv3": (384, 3, 1, 1, "both", ("activation",), 0.03, 0.0),
    "conv4": (384, 3, 1, 1, "own", ("activation",), 0.03, 1.0),
    "conv5": (256, 3, 1, 1, "own", ("pool", "activation"), 0.03, 1.0),
    "fc6": (4096, 0, 1, 0, "both", ("activation", "dropout"), 0.01, 1.0),
    "fc7": (4096, 0, 1, 0, "both", ("activation", "dropout"), 0.01, 1.0),
    "fc8": (1000, 0, 1, 0, "both", (), 0.01, 0.0),
}


@pytest.mark.parametrize("name", STAGES_145)
def test_a_stage_as_run_is_that_of_layers_145(name: str) -> None:
    s = AS_RUN_2012.network.stage(name)

    found = (s.maps, s.kernel_px, s.stride_px, s.pad_px, s.reads, s.order, s.weight_std, s.bias)

    assert found == STAGES_145[name]


def test_no_stage_as_run_has_a_rate_or_decay_of_its_own() -> None:
    factors = {(stage.learning_rate_factor, stage.decay_factor) for stage in AS_RUN_2012.network.stages}

    assert factors == {(1.0, 1.0)}


def test_the_norms_as_run_are_those_of_layer_params_145() -> None:
    assert AS_RUN_2012.network.norm == Norm(
        k=2.0, n=5, alpha=1e-4, beta=0.75, divide_alpha_by_n=True, per_tower=True
    )  # fmt: skip
    assert AS_RUN_2012.network.same_map_norm == SameMapNorm(size_px=5, k=1.0, alpha=1e-3, beta=0.75)


def test_pooling_towers_and_dropout_as_run_are_the_printed_ones() -> None:
    network = AS_RUN_2012.network

    assert (network.pool, network.towers, network.dropout) == (Pool(size_px=3, stride_px=2), 2, 0.5)


def test_the_training_as_run_is_that_of_layer_params_145() -> None:
    assert AS_RUN_2012.training == Training(
        batch=128,
        momentum=0.9,
        weight_decay=5e-4,
        bias_decay=0.0,
        learning_rate=0.01,
        bias_learning_rate=0.02,
        epochs=90,
        schedule=AS_RUN_2012.training.schedule,
        shuffle_every_epoch=False,
        precision="float32",
    )


def test_the_schedule_of_2012_has_the_epochs_of_the_notebook() -> None:
    assert AS_RUN_2012.training.schedule == Script(
        (
            At(25, learning_rate=1e-3),
            At(51, learning_rate=1e-4),
            At(67, color_shift=False),
            At(67, learning_rate=1e-5, bias_learning_rate=0.02, stages=("conv1",)),
            At(72, learning_rate=0.0, bias_learning_rate=0.0, stages=("conv1",)),
            At(79, learning_rate=1e-5),
        )
    )


def test_the_schedule_of_2010_has_the_epochs_of_its_notebook() -> None:
    assert AS_RUN_2010.training.schedule == Script(
        (
            At(23, learning_rate=1e-3, bias_learning_rate=0.002),
            At(51, learning_rate=1e-4),
            At(68, color_shift=False),
            At(68, learning_rate=1e-5, bias_learning_rate=0.002, stages=("conv1",)),
            At(72, learning_rate=0.0, bias_learning_rate=0.0, stages=("conv1",)),
            At(78, learning_rate=1e-5),
        )
    )


def test_the_crops_as_run_are_those_of_convdata_jpeg() -> None:
    assert AS_RUN_2012.augmentation == Augmentation(
        crops=True, flips=True, last_offset_px=32, images_per_crop=32, mean="central",
        color_shift=ColorShift(std=0.1, reading="deviation", divide_by=1.1),
    )  # fmt: skip


def test_as_run_2010_differs_from_2012_in_length_and_schedule_only() -> None:
    assert set(differences(AS_RUN_2012, AS_RUN_2010)) == {"training.epochs", "training.schedule.at"}
    assert AS_RUN_2010.training.epochs == 92


def test_the_defaults_are_the_text() -> None:
    assert Recipe() == AS_PRINTED


@pytest.mark.parametrize("cls", CITED, ids=lambda cls: cls.__name__)
def test_every_field_has_a_citation(cls: type[Any]) -> None:
    without = {item.name for item in fields(cls)} - set(citations(cls)) - {"stages"}  # stages cite field by field

    assert without == set()


def test_every_field_of_a_stage_has_a_citation_except_its_structure() -> None:
    assert {item.name for item in fields(Stage)} - set(citations(Stage)) == STRUCTURE


def test_every_citation_names_a_section_or_a_file_or_says_that_it_is_chosen() -> None:
    sources = {row["source"] for row in ledger()["fields"]}

    odd = {s for s in sources if not s.startswith(("§", "silent, chosen", "lay", "convdata", "cuda-convnet"))}

    assert odd == set()


def test_the_ledger_has_one_row_for_each_cited_field() -> None:
    paths = [row["path"] for row in ledger()["fields"]]

    assert len(set(paths)) == len(paths) == sum(len(citations(cls)) for cls in (*CITED, Stage))


def test_the_ledger_shows_the_printed_and_the_run_value() -> None:
    rows = {row["path"]: row for row in ledger()["fields"]}

    assert (rows["augmentation.images_per_crop"]["printed"], rows["augmentation.images_per_crop"]["as_run"]) == (1, 32)
    assert (rows["network.same_map_norm.k"]["printed"], rows["network.same_map_norm.k"]["as_run"]) == (None, 1.0)
    assert shown(rows["network.<stage>.weight_std"]["as_run"]) == "0.01; 0.03 in conv3, conv4, conv5"


def test_recipes_are_found_by_the_name_they_bear() -> None:
    assert [find_recipe(name).name for name in catalog()] == list(catalog())


def test_an_unknown_recipe_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean as-run-2012") as caught:
        find_recipe("as-run-2021")

    assert caught.value.exit_code == Exit.USAGE


def test_expected_results_are_the_noted_ones() -> None:
    assert catalog()["as-run-2012"].expected == (logged("145"),)
    assert catalog()["as-run-2010"].expected == (logged("145-2010"), logged("145-2010", crops="center"))


def test_every_recipe_is_like_one_of_the_catalog() -> None:
    assert {entry.like for entry in catalog().values()} - {None} <= set(catalog())


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("ilsvrc2010", "as-run-2010"),
        ("ilsvrc2012", "as-run-2012"),
        ("ilsvrc2010-miniature", "tiny"),
        ("my-photos", "as-run-2012"),
    ],
)
def test_the_data_set_chooses_the_recipe(dataset: str, name: str) -> None:
    assert default_recipe(dataset).name == name


def test_tiny_keeps_the_order_of_every_stage() -> None:
    assert [s.order for s in TINY.network.stages] == [s.order for s in AS_RUN_2012.network.stages]


def test_tiny_keeps_the_strength_of_the_signal() -> None:
    wide, thin = AS_RUN_2012.network.stages[1:], TINY.network.stages[1:]

    ratios = [t.weight_std / w.weight_std for w, t in zip(wide, thin, strict=True)]

    assert ratios == pytest.approx([8**0.5] * 7, rel=2e-3)  # an eighth of the fan-in; deviations have four decimals
