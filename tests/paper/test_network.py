"""The audit of print: what follows from the fields of the network is what the paper and the 2012 code say."""

from dataclasses import replace

import pytest

from alexrepro.paper.network import Network, Norm, Pool, SameMapNorm
from alexrepro.paper.pictures import CAPTION_NEURONS
from alexrepro.recipes.as_printed_and_run import AS_PRINTED, AS_RUN_2012
from alexrepro.recipes.variations import VARIATIONS

# name, output, weights, biases, multiply-adds, share of the parameters in percent
TABLE = (
    ("conv1", (96, 55, 55), 34_848, 96, 105_415_200, 0.06),
    ("conv2", (256, 27, 27), 307_200, 256, 223_948_800, 0.50),
    ("conv3", (384, 13, 13), 884_736, 384, 149_520_384, 1.45),
    ("conv4", (384, 13, 13), 663_552, 384, 112_140_288, 1.09),
    ("conv5", (256, 13, 13), 442_368, 256, 74_760_192, 0.73),
    ("pool5", (256, 6, 6), 0, 0, 0, 0.0),
    ("fc6", (4096, 1, 1), 37_748_736, 4_096, 37_748_736, 61.93),
    ("fc7", (4096, 1, 1), 16_777_216, 4_096, 16_777_216, 27.53),
    ("fc8", (1000, 1, 1), 4_096_000, 1_000, 4_096_000, 6.72),
)


def test_the_defaults_are_the_text_of_section_3() -> None:
    assert Network() == Network(
        input_px=224, channels=3, input_std=None, towers=2, rounding="up", activation="relu",
        norm=Norm(k=2.0, n=5, alpha=1e-4, beta=0.75, divide_alpha_by_n=False, per_tower=False), same_map_norm=None,
        side_input=None, pool=Pool(size_px=3, stride_px=2), dropout=0.5, dropout_scales="testing", initial="gaussian",
    )  # fmt: skip


def test_there_are_60_965_224_parameters_which_print_as_60_million() -> None:
    assert Network().parameters == 60_965_224


def test_there_are_659_272_neurons_which_round_to_660_000() -> None:
    assert Network().neurons == 659_272


def test_the_input_has_150_528_values() -> None:
    assert Network().channels * Network().input_px ** 2 == 150_528


def test_a_crop_takes_724_406_816_multiply_adds() -> None:
    assert Network().macs == 724_406_816


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_each_layer_holds_what_the_table_says(row: tuple[str, tuple[int, int, int], int, int, int, float]) -> None:
    network = Network()
    layer = next(layer for layer in network.layers() if layer.name == row[0])

    share = round(100 * layer.parameters / network.parameters, 2)

    assert (layer.name, layer.output, layer.weights, layer.biases, layer.macs, share) == row


def test_layers_stand_in_the_order_of_the_table() -> None:
    assert [layer.name for layer in Network().layers()] == [row[0] for row in TABLE]


def test_neurons_of_a_layer_are_its_outputs_and_pooling_adds_none() -> None:
    neurons = [layer.neurons for layer in Network().layers()]

    assert neurons == [290_400, 186_624, 64_896, 64_896, 43_264, 0, 4096, 4096, 1000]


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


def test_224_gives_55_by_rounding_up_with_three_zeros_after() -> None:
    network = Network()
    conv1 = network.stage("conv1")

    assert network.conv_output_px(conv1, 224) == 55
    assert network.pad_after_px(conv1, 224) == 3


def windows(first: int, size_px: int, *, stride_px: int, last: int) -> list[int]:
    """Where windows begin, sliding from `first` until one covers the pixel `last`."""
    starts = [first]
    while starts[-1] + size_px - 1 < last:
        starts.append(starts[-1] + stride_px)
    return starts


def test_every_size_is_that_of_windows_slid_over_the_image_one_by_one() -> None:
    """Kernels reach past the padded edge when they must; so do pools, clipped at the border."""
    network, side_px = Network(), 224

    for stage in network.stages[:5]:
        edge = side_px - 1 + stage.pad_px
        side_px = len(windows(-stage.pad_px, stage.kernel_px, stride_px=stage.stride_px, last=edge))
        assert side_px == next(layer for layer in network.layers() if layer.name == stage.name).output[1]
        if "pool" in stage.order:
            side_px = len(windows(0, 3, stride_px=2, last=side_px - 1))
    assert side_px == 6


def test_only_conv1_needs_zeros_after() -> None:
    network = Network()
    convs = [(stage, size) for stage, size in network.inputs() if stage.kind == "conv"]

    assert [network.pad_after_px(stage, size[1]) for stage, size in convs] == [3, 0, 0, 0, 0]


def test_227_needs_no_zeros_and_gives_55_too() -> None:
    network = Network(input_px=227)
    conv1 = network.stage("conv1")

    assert (network.conv_output_px(conv1, 227), network.pad_after_px(conv1, 227)) == (55, 0)


@pytest.mark.parametrize(("input_px", "output_px"), [(55, 27), (27, 13), (13, 6)])
def test_overlapping_pools_give_the_printed_sizes(input_px: int, output_px: int) -> None:
    assert Pool().output_px(input_px) == output_px


def test_non_overlapping_pools_round_up() -> None:
    assert Pool(size_px=2, stride_px=2).output_px(55) == 28


def test_the_network_as_run_has_the_sizes_of_the_printed_one() -> None:
    assert AS_RUN_2012.network.layers() == AS_PRINTED.network.layers()


def test_one_tower_has_59_798_312_parameters() -> None:
    assert VARIATIONS["one-tower"].of(AS_PRINTED).network.parameters == 59_798_312


def test_non_overlapping_pooling_keeps_every_parameter() -> None:
    network = VARIATIONS["non-overlapping-pooling"].of(AS_PRINTED).network

    assert network.parameters == 60_965_224
    assert [layer.output[1] for layer in network.layers()] == [55, 26, 13, 13, 11, 6, 1, 1, 1]


def test_full_connectivity_has_62_378_344_parameters() -> None:
    assert replace(Network(), towers=1).parameters == 62_378_344


def test_stages_that_read_their_own_tower_are_conv2_conv4_and_conv5() -> None:
    assert [stage.name for stage in Network().stages if stage.reads == "own"] == ["conv2", "conv4", "conv5"]


def test_towers_are_groups_of_the_stages_that_read_their_own() -> None:
    network = Network()

    assert [network.groups(stage) for stage in network.stages] == [1, 2, 1, 2, 2, 1, 1, 1]


def test_what_follows_each_stage_is_what_the_paper_says() -> None:
    network = Network()
    whole = ("activation", "norm", "pool")

    assert [stage.order for stage in network.stages[:5]] == [
        whole, whole, ("activation",), ("activation",), ("activation", "pool")
    ]  # fmt: skip
    assert [stage.order for stage in network.stages[5:]] == [("activation", "dropout"), ("activation", "dropout"), ()]
    assert network.activation == "relu"


def test_biases_start_at_one_where_the_paper_says() -> None:
    ones = [stage.name for stage in Network().stages if stage.bias == 1.0]

    assert ones == ["conv2", "conv4", "conv5", "fc6", "fc7"]


def test_alpha_is_divided_only_when_asked() -> None:
    assert Norm().coefficient == 1e-4
    assert Norm(divide_alpha_by_n=True).coefficient == pytest.approx(2e-5, rel=1e-12)  # one division in float64


def test_the_same_map_norm_divides_its_scale_by_25() -> None:
    assert SameMapNorm().coefficient == pytest.approx(4e-5, rel=1e-12)  # one division in float64
