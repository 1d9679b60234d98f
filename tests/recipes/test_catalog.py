"""The named recipes hold the values of the released configuration files, and every value has a source."""

from dataclasses import fields
from pathlib import Path

import pytest

from alexrepro.errors import UserError
from alexrepro.paper.citation import citations
from alexrepro.paper.network import Network, Norm, Pool, SameMapNorm, SideInput, Stage
from alexrepro.paper.results import logged
from alexrepro.paper.training import Augmentation, ColorShift, Plateau, Training
from alexrepro.recipes.catalog import (
    AS_PRINTED,
    AS_RUN_2010,
    AS_RUN_2012,
    MAIN,
    TINY,
    catalog,
    default_recipe,
    find_recipe,
)
from alexrepro.recipes.ledger import ledger, shown
from alexrepro.recipes.recipe import differences

CITED = (Network, Norm, SameMapNorm, SideInput, Pool, Training, Plateau, ColorShift, Augmentation)
# What a stage is made of: §3.5 and Figure 2 as a whole, cited above the table of stages.
STRUCTURE = {"name", "kind", "maps", "kernel_px", "stride_px", "pad_px", "reads", "order"}

# digest, which names run folders; parameters, counted from the layer files by hand; epochs
CATALOG = {
    "as-printed": ("7674a7", 60_965_224, 90), "as-run-2012": ("4d6414", 60_965_224, 90),
    "as-run-2010": ("6865bf", 60_965_224, 92), "tiny": ("0f57e4", 903_684, 13),
    "net-145-half": ("417eea", 59_798_312, 95), "net-147": ("c596ac", 60_965_224, 89),
    "net-148": ("1aacc6", 60_965_224, 96), "net-150": ("75dfc1", 60_714_408, 91),
    "net-131": ("d6ceca", 60_870_376, 99), "net-135": ("4f1694", 60_870_376, 95),
    "net-137": ("cdd2b8", 60_870_376, 98), "net-137-2010": ("0ce5c9", 60_870_376, 102),
    "net-145f": ("1568f1", 60_965_224, 90), "net-146-2009": ("e46d04", 61_555_304, 6),
    "net-146-2011": ("2970c4", 67_897_960, 8), "net-146-2012-2009": ("ce89fb", 61_555_304, 51),
    "net-146-2012-2011": ("129c69", 61_555_304, 53), "net-141-2009-2012": ("b46506", 61_460_456, 53),
    "net-141-2009-half": ("8b57c5", 61_460_456, 55), "cifar-19pct": ("9c3a99", 89_578, 140),
    "cifar-80sec": ("30ba32", 145_578, 10), "cifar-18pct": ("1357c5", 89_578, 140),
    "cifar-13pct": ("bf6e24", 1_116_490, 160), "cifar-13pct-norm": ("982dda", 1_116_490, 160),
    "cifar-11pct": ("8f5aba", 2_112_970, 520), "figure-1-relu": ("41e904", 89_578, 15),
    "figure-1-tanh": ("dea9a9", 89_578, 50), "figure-1-relu-b": ("1e0c78", 1_901_386, 15),
    "figure-1-tanh-b": ("51cb66", 1_901_386, 25), "caffe-2013": ("fde433", 60_965_224, 90),
    "caffenet-2013": ("f0ed2d", 60_965_224, 90), "one-weird-trick": ("3ef9fd", 61_100_840, 90),
    "cuda-convnet2-1gpu": ("e886a2", 61_100_840, 90),
}  # fmt: skip


def test_recipes_keep_their_digests_parameters_and_epochs() -> None:
    found = {
        name: (entry.recipe.digest, entry.recipe.network.parameters, entry.recipe.training.epochs)
        for name, entry in catalog().items()
    }

    assert found == CATALOG
    assert len({digest for digest, *_ in found.values()}) == len(found)
    assert set(MAIN) <= set(found)


def test_as_run_2012_departs_from_the_text_in_these_fields_only() -> None:
    changed = differences(AS_PRINTED, AS_RUN_2012)

    assert {path for path in changed if "schedule" not in path and "same_map_norm" not in path} == {
        "network.norm.divide_alpha_by_n", "network.norm.per_tower",
        "network.conv1.order", "network.conv2.order", "network.conv5.order",
        "network.conv3.weight_std", "network.conv4.weight_std", "network.conv5.weight_std",
        "training.bias_learning_rate", "training.shuffle_every_epoch",
        "augmentation.images_per_crop", "augmentation.mean", "augmentation.color_shift.divide_by",
    }  # fmt: skip
    assert AS_RUN_2012.digest == CATALOG["as-run-2012"][0]  # of their values


def test_as_run_2010_differs_from_2012_in_length_and_schedule_only() -> None:
    assert set(differences(AS_RUN_2012, AS_RUN_2010)) == {"training.epochs", "training.schedule.at"}
    assert AS_RUN_2010.digest == CATALOG["as-run-2010"][0]


def test_tiny_keeps_every_order_and_the_strength_of_the_signal() -> None:
    wide, thin = AS_RUN_2012.network.stages, TINY.network.stages

    ratios = [t.weight_std / w.weight_std for w, t in zip(wide[1:], thin[1:], strict=True)]

    assert [s.order for s in thin] == [s.order for s in wide]
    assert ratios == pytest.approx([8**0.5] * 7, rel=2e-3)  # an eighth of the fan-in; deviations have four decimals


def test_every_field_has_a_citation() -> None:
    without = {f"{cls.__name__}.{f.name}" for cls in CITED for f in fields(cls) if f.name not in citations(cls)}

    assert without == {"Network.stages"}  # which cite field by field
    assert {item.name for item in fields(Stage)} - set(citations(Stage)) == STRUCTURE


def test_the_ledger_has_a_row_for_each_cited_field_with_a_section_a_file_or_that_it_is_chosen() -> None:
    rows = ledger()["fields"]

    assert len({row["path"] for row in rows}) == len(rows) == sum(len(citations(cls)) for cls in (*CITED, Stage))
    known = ("§", "silent, chosen", "lay", "convdata", "cuda-convnet")
    assert [row["source"] for row in rows if not row["source"].startswith(known)] == []


def test_the_ledger_shows_the_printed_and_the_run_value() -> None:
    shows = {row["path"]: (shown(row["printed"]), shown(row["as_run"])) for row in ledger()["fields"]}

    assert shows["network.same_map_norm.k"] == ("none", "1.0")
    assert shows["network.<stage>.weight_std"] == ("0.01", "0.01; 0.03 in conv3, conv4, conv5")


def test_expected_results_are_the_logged_ones() -> None:
    assert catalog()["as-run-2012"].expected == (logged("145"),)
    assert catalog()["as-run-2010"].expected == (logged("145-2010"), logged("145-2010", crops="center"))
    without = {name for name, entry in catalog().items() if name.startswith("net-") and not entry.expected}
    # Of 145f no result was logged, nor on ImageNet of 2009 and 2011.
    assert without == {"net-145f", "net-146-2009", "net-146-2011", "net-141-2009-half"}


def test_the_data_set_chooses_the_recipe() -> None:
    datasets = ("ilsvrc2010", "ilsvrc2012", "ilsvrc2010-miniature", "cifar10", "my-photos", "cifar10-partial")

    names = [default_recipe(dataset).name for dataset in datasets]

    assert names == ["as-run-2010", "as-run-2012", "tiny", "cifar-18pct", "as-run-2012", "cifar-18pct"]


# epoch, rate of fc8 and of conv1, whether colors are shifted: the lines of each run in the notes
@pytest.mark.parametrize(
    ("name", "epoch", "general", "conv1", "shift"),
    [
        ("net-148", 21, 1e-2, 1e-2, True), ("net-148", 44, 1e-4, 1e-4, True), ("net-148", 69, 1e-4, 1e-5, False),
        ("net-148", 86, 1e-5, 0.0, False), ("net-131", 74, 1e-4, 1e-5, False), ("net-131", 75, 1e-4, 0.0, False),
        ("net-137", 75, 1e-4, 0.0, False), ("net-146-2012-2011", 1, 1e-2, 1e-4, True),
        ("net-146-2012-2011", 9, 1e-3, 0.0, True), ("net-146-2012-2011", 22, 1e-4, 0.0, True),
        ("net-146-2012-2011", 42, 1e-5, 0.0, False), ("net-146-2009", 1, 1e-2, 1e-3, True),
        ("net-146-2009", 2, 1e-3, 1e-3, True),  # 2.1600: the 1,600th of some 8,700 batch files of epoch 2
        ("net-141-2009-half", 26, 1e-5, 0.0, False), ("net-141-2009-half", 28, 1e-5, 0.0, False),
        ("net-141-2009-half", 29, 1e-3, 1e-3, True), ("net-141-2009-half", 55, 1e-4, 1e-4, True),
    ],
)  # fmt: skip
def test_rates_are_those_of_the_notes(name: str, epoch: int, general: float, conv1: float, shift: bool) -> None:
    recipe = find_recipe(name)

    found = recipe.training.rates(recipe.network.stages, epoch=epoch)

    assert (found.general, found.weights["conv1"]) == pytest.approx((general, conv1), rel=1e-12)
    assert found.has_color_shift is shift


def test_145f_sees_whole_images_minus_one_number_and_follows_145_where_its_notes_end() -> None:
    recipe = find_recipe("net-145f")

    assert (recipe.augmentation.resize, recipe.augmentation.mean) == ("pad", "scalar")
    assert [line["epoch"] for line in recipe.fields()["training.schedule.at"]] == [19, 47, 67, 67, 72, 79]


@pytest.mark.parametrize("name", ["net-146-2009", "net-146-2011", "net-141-2009-2012"])
def test_a_sixth_conv_layer_reads_the_pooled_maps_of_the_fifth(name: str) -> None:
    sizes = {stage.name: size for stage, size in find_recipe(name).network.inputs()}

    assert list(sizes)[4:7] == ["conv5", "conv6", "fc6"]
    assert sizes["conv6"] == sizes["fc6"] == (256, 6, 6)


def test_a_network_of_the_chain_begins_with_all_of_the_one_before_but_its_last_stages() -> None:
    convs = ("conv1", "conv2", "conv3", "conv4", "conv5")

    assert {n: find_recipe(f"net-146-{n}").training.init_from_stages for n in ("2009", "2011", "2012-2011")} == {
        "2009": convs,  # of #145, which has no conv6
        "2011": (*convs, "conv6"),
        "2012-2011": (*convs, "conv6", "fc6", "fc7"),
    }


def test_the_clean_test_on_cifar_10_changes_the_norms_only() -> None:
    changed = differences(find_recipe("cifar-13pct"), find_recipe("cifar-13pct-norm"))

    assert {path.split(".")[1] for path in changed} == {"norm", "conv1", "conv2"}
    assert {path for path in changed if "conv" in path} == {"network.conv1.order", "network.conv2.order"}


@pytest.mark.parametrize("reading", ["", "-b"])
def test_relu_and_tanh_of_figure_1_differ_in_the_activation_its_best_rates_and_the_length_only(reading: str) -> None:
    changed = differences(find_recipe(f"figure-1-relu{reading}"), find_recipe(f"figure-1-tanh{reading}"))

    assert changed.pop("training.epochs")
    assert changed == {
        "network.activation": ("relu", "tanh"),
        "training.learning_rate": (2e-3, 8e-3),  # docs/results/figure-1.md
        "training.bias_learning_rate": (4e-3, 1.6e-2),
    }


@pytest.mark.parametrize("name", ["figure-1-relu", "figure-1-tanh", "figure-1-relu-b", "figure-1-tanh-b"])
def test_the_networks_of_figure_1_are_trained_without_regularization(name: str) -> None:
    fields = find_recipe(name).fields()

    off = (
        "training.weight_decay",
        "training.bias_decay",
        "network.dropout",
        "augmentation.crops",
        "augmentation.flips",
    )
    assert not any(fields[path] for path in (*off, "augmentation.color_shift"))


def test_a_recipe_file_may_name_a_base(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('base = "net-147"\nnetwork.dropout = 0.25\n')
    (tmp_path / "odd.toml").write_text('base = "net-174"\n')

    recipe = find_recipe(str(tmp_path / "mine.toml"))

    assert differences(find_recipe("net-147"), recipe) == {"network.dropout": (0.5, 0.25)}
    assert recipe.name == "mine"
    with pytest.raises(UserError, match="There is no recipe net-174; did you mean net-14"):
        find_recipe(str(tmp_path / "odd.toml"))
