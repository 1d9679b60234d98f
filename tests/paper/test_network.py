"""The audit of print: the fields of the recipe as printed, and what follows from them, are what the paper says."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from alexrepro.paper.network import Network, Norm, Pool, SameMapNorm
from alexrepro.paper.results import CAPTION_NEURONS
from alexrepro.paper.training import STORED_PX, Augmentation
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012
from alexrepro.recipes.variations import VARIATIONS

IN_STAGE = re.compile(r"network\.(conv|fc)\d")
TRANSCRIBED = Path(__file__).with_name("as_printed.toml").read_text(encoding="utf-8").splitlines()[1:]
TEXT = [line.partition("  # ")[0] for line in TRANSCRIBED]
# name, output, weights, biases, multiply-adds, neurons, percent of the parameters
TABLE = (
    ("conv1", (96, 55, 55), 34_848, 96, 105_415_200, 290_400, 0.06),
    ("pool1", (96, 27, 27), 0, 0, 0, 0, 0.0),
    ("conv2", (256, 27, 27), 307_200, 256, 223_948_800, 186_624, 0.50),
    ("pool2", (256, 13, 13), 0, 0, 0, 0, 0.0),
    ("conv3", (384, 13, 13), 884_736, 384, 149_520_384, 64_896, 1.45),
    ("conv4", (384, 13, 13), 663_552, 384, 112_140_288, 64_896, 1.09),
    ("conv5", (256, 13, 13), 442_368, 256, 74_760_192, 43_264, 0.73),
    ("pool5", (256, 6, 6), 0, 0, 0, 0, 0.0),
    ("fc6", (4096, 1, 1), 37_748_736, 4_096, 37_748_736, 4096, 61.93),
    ("fc7", (4096, 1, 1), 16_777_216, 4_096, 16_777_216, 4096, 27.53),
    ("fc8", (1000, 1, 1), 4_096_000, 1_000, 4_096_000, 1000, 6.72),
)


def lines_as_printed() -> list[str]:
    return AS_PRINTED.to_toml().splitlines()[3:]  # after digest, name and description


def test_the_recipe_as_printed_is_the_text() -> None:
    found = [line for line in lines_as_printed() if not IN_STAGE.match(line)]

    assert found == [line for line in TEXT if not IN_STAGE.match(line)]


def test_each_stage_is_that_of_the_text() -> None:
    found = [line for line in lines_as_printed() if IN_STAGE.match(line)]

    assert found == [line for line in TEXT if IN_STAGE.match(line)]


def test_each_layer_holds_what_the_table_says() -> None:
    network = Network()

    rows = [
        (x.name, x.output, x.weights, x.biases, x.macs, x.neurons, round(100 * x.parameters / network.parameters, 2))
        for x in network.layers()
    ]

    assert tuple(rows) == TABLE


def test_counts_that_print_as_60_million_parameters_and_650_000_neurons() -> None:
    network = Network()

    assert (network.parameters, network.neurons, network.macs) == (60_965_224, 659_272, 724_406_816)
    assert network.channels * network.input_px**2 == 150_528


def test_the_caption_of_figure_2_is_right_except_for_conv1() -> None:
    counted = {layer.name: layer.neurons for layer in Network().layers() if layer.neurons}

    wrong = {name: (printed, counted[name]) for name, printed in CAPTION_NEURONS.items() if printed != counted[name]}

    assert list(CAPTION_NEURONS) == list(counted)
    assert wrong == {"conv1": (55 * 48 * 96, 55 * 55 * 96)}


def test_conv3_and_conv4_hold_more_than_the_printed_one_percent() -> None:
    network = Network()
    convs = [layer for layer in network.layers() if layer.name.startswith("conv")]

    heavy = [layer.name for layer in convs if layer.parameters > 0.01 * network.parameters]

    assert heavy == ["conv3", "conv4"]


@pytest.mark.parametrize(("input_px", "zeros"), [(224, [3, 0, 0, 0, 0]), (227, [0, 0, 0, 0, 0])])
def test_conv1_has_55_pixels_with_three_zeros_after_an_input_of_224(input_px: int, zeros: list[int]) -> None:
    network = Network(input_px=input_px)
    convs = [(stage, size[1]) for stage, size in network.inputs() if stage.kind == "conv"]

    assert network.conv_output_px(*convs[0]) == 55
    assert [network.pad_after_px(stage, side_px) for stage, side_px in convs] == zeros


def test_non_overlapping_pools_round_up() -> None:
    assert Pool(size_px=2, stride_px=2).output_px(55) == 28


def test_sizes_and_parameters_of_the_variations() -> None:
    one_tower, pooling = (VARIATIONS[n].of(AS_PRINTED).network for n in ("one-tower", "non-overlapping-pooling"))

    assert AS_RUN_2012.network.layers() == AS_PRINTED.network.layers()
    assert (one_tower.parameters, replace(Network(), towers=1).parameters) == (59_798_312, 62_378_344)
    assert pooling.parameters == 60_965_224
    assert [layer.output[1] for layer in pooling.layers()] == [55, 28, 26, 13, 13, 13, 11, 6, 1, 1, 1]


def test_norms_divide_their_scale_by_the_window_where_the_released_code_does() -> None:
    assert Norm().coefficient == 1e-4
    assert Norm(divide_alpha_by_n=True).coefficient == pytest.approx(2e-5, rel=1e-12)  # one division in float64
    assert SameMapNorm().coefficient == pytest.approx(4e-5, rel=1e-12)


def test_crops_and_mirrors_number_2178_where_2048_is_printed() -> None:
    offsets = Augmentation().last_offset_px + 1

    assert STORED_PX - Network().input_px == Augmentation().last_offset_px == 32
    assert (2 * offsets**2, 2 * (offsets - 1) ** 2) == (2178, 2048)
