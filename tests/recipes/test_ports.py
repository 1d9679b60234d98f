"""Networks of later years as recipes: their sizes, and that their fields leave the recipes of 2012 as they were."""

from pathlib import Path

import pytest

from alexrepro.errors import UserError
from alexrepro.recipes.catalog import catalog, find_recipe
from alexrepro.recipes.recipe import differences, from_toml


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("caffe-2013", 60_965_224), ("caffenet-2013", 60_965_224), ("one-weird-trick", 61_100_840)],
)
def test_a_successor_has_the_parameters_of_its_published_weights(name: str, parameters: int) -> None:
    assert catalog()[name].recipe.network.parameters == parameters


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("as-printed", "7674a7"), ("as-run-2012", "4d6414"), ("as-run-2010", "6865bf"), ("tiny", "0f57e4"),
        ("cifar-18pct", "1357c5"), ("cifar-13pct", "bf6e24"), ("cifar-13pct-norm", "982dda"), ("cifar-11pct", "8f5aba"),
        ("figure-1-relu", "41e904"), ("figure-1-tanh", "dea9a9"), ("figure-1-relu-b", "1e0c78"),
        ("figure-1-tanh-b", "51cb66"),
    ],
)  # fmt: skip
def test_run_folders_of_2012_keep_their_names(name: str, digest: str) -> None:
    assert catalog()[name].recipe.digest == digest


def test_caffenet_is_bvlc_alexnet_with_another_order_and_other_biases() -> None:
    fields = {path.rpartition(".")[2] for path in differences(find_recipe("caffe-2013"), find_recipe("caffenet-2013"))}

    assert fields == {"order", "bias"}


def test_caffe_reads_227_pixels_and_its_first_map_has_55() -> None:
    network = find_recipe("caffe-2013").network

    assert (network.input_px, network.layers()[0].output[1]) == (227, 55)
    assert network.pad_after_px(network.stage("conv1"), 227) == 0


def test_rounding_down_adds_no_zeros_where_rounding_up_would() -> None:
    network = find_recipe("one-weird-trick").network
    conv1 = network.stage("conv1")

    assert (network.conv_output_px(conv1, 224), network.pad_after_px(conv1, 224)) == (55, 0)
    assert find_recipe("one-weird-trick").but({"network.rounding": "up"}).network.conv_output_px(conv1, 224) == 56


def test_torchs_default_deviation_is_that_of_a_uniform_draw_within_one_over_the_root_of_the_inputs() -> None:
    conv2 = find_recipe("one-weird-trick").network.stage("conv2")

    assert conv2.weight_std == pytest.approx(1 / (3 * 64 * 25) ** 0.5, abs=5e-7)  # six decimals


@pytest.mark.parametrize("deviations", [(58.0, 57.0), (58.0, 57.0, 0.0)])
def test_deviations_of_the_input_are_one_a_channel_and_above_0(deviations: tuple[float, ...]) -> None:
    with pytest.raises(UserError, match=r"network\.input_std must (have a number above 0 for each|be above 0)"):
        find_recipe("one-weird-trick").but({"network.input_std": deviations})


@pytest.mark.parametrize("name", ["caffe-2013", "caffenet-2013", "one-weird-trick"])
def test_a_successor_written_as_toml_reads_back_the_same(tmp_path: Path, name: str) -> None:
    (tmp_path / "copy.toml").write_text(catalog()[name].recipe.to_toml(), encoding="utf-8")

    assert from_toml(tmp_path / "copy.toml") == catalog()[name].recipe
