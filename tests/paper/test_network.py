"""The audit of print: the fields of the recipe as printed, and what follows from them, are what the paper says."""

from dataclasses import replace
from typing import Any

import pytest

from alexrepro.paper.network import Network, Norm, Pool, SameMapNorm
from alexrepro.paper.results import CAPTION_NEURONS
from alexrepro.paper.training import STORED_PX, Augmentation
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012
from alexrepro.recipes.variations import VARIATIONS

TEXT = {
    "network.input_px": 224, "network.channels": 3, "network.towers": 2,  # §3.5, §3.2
    "network.input_std": None, "network.rounding": "up", "network.activation": "relu",  # §2, §3.1
    "network.norm.k": 2.0, "network.norm.n": 5, "network.norm.alpha": 1e-4, "network.norm.beta": 0.75,  # §3.3
    "network.norm.divide_alpha_by_n": False, "network.norm.per_tower": False,
    "network.same_map_norm": None, "network.side_input": None,
    "network.pool.size_px": 3, "network.pool.stride_px": 2,  # §3.4
    "network.dropout": 0.5, "network.dropout_scales": "testing", "network.initial": "gaussian",  # §4.2, §5
    "training.optimizer": "momentum",
    "training.batch": 128, "training.momentum": 0.9, "training.weight_decay": 0.0005, "training.bias_decay": 0.0,  # §5
    "training.learning_rate": 0.01, "training.bias_learning_rate": 0.01, "training.learning_rate_factor": 1.0,
    "training.epochs": 90, "training.schedule.kind": "plateau", "training.schedule.factor": 10.0,
    "training.schedule.drops": 3, "training.schedule.patience_epochs": 5,  # how long to wait is chosen
    "training.init_from_stages": [], "training.continues": False,  # §7: no pre-training
    "training.shuffle_every_epoch": True, "training.precision": "float32",  # chosen
    "augmentation.crops": True, "augmentation.flips": True, "augmentation.last_offset_px": 32,  # §4.1
    "augmentation.images_per_crop": 1, "augmentation.stored_px": 256,  # §2
    "augmentation.resize": "crop", "augmentation.mean": "aligned",  # §2
    "augmentation.color_shift.std": 0.1, "augmentation.color_shift.reading": "deviation",  # §4.1
    "augmentation.color_shift.divide_by": 1.0,
}  # fmt: skip
# §3.5 and Figure 2: maps, kernel, stride, padding, maps read, what follows, initial bias (§5)
STAGES: dict[str, tuple[Any, ...]] = {
    "conv1": (96, 11, 4, 0, "both", ("activation", "norm", "pool"), 0.0),
    "conv2": (256, 5, 1, 2, "own", ("activation", "norm", "pool"), 1.0),
    "conv3": (384, 3, 1, 1, "both", ("activation",), 0.0),
    "conv4": (384, 3, 1, 1, "own", ("activation",), 1.0),
    "conv5": (256, 3, 1, 1, "own", ("activation", "pool"), 1.0),
    "fc6": (4096, 0, 1, 0, "both", ("activation", "dropout"), 1.0),
    "fc7": (4096, 0, 1, 0, "both", ("activation", "dropout"), 1.0),
    "fc8": (1000, 0, 1, 0, "both", (), 0.0),
}
# name, output, weights, biases, multiply-adds, neurons, percent of the parameters
TABLE = (
    ("conv1", (96, 55, 55), 34_848, 96, 105_415_200, 290_400, 0.06),
    ("conv2", (256, 27, 27), 307_200, 256, 223_948_800, 186_624, 0.50),
    ("conv3", (384, 13, 13), 884_736, 384, 149_520_384, 64_896, 1.45),
    ("conv4", (384, 13, 13), 663_552, 384, 112_140_288, 64_896, 1.09),
    ("conv5", (256, 13, 13), 442_368, 256, 74_760_192, 43_264, 0.73),
    ("pool5", (256, 6, 6), 0, 0, 0, 0, 0.0),
    ("fc6", (4096, 1, 1), 37_748_736, 4_096, 37_748_736, 4096, 61.93),
    ("fc7", (4096, 1, 1), 16_777_216, 4_096, 16_777_216, 4096, 27.53),
    ("fc8", (1000, 1, 1), 4_096_000, 1_000, 4_096_000, 1000, 6.72),
)


def test_the_recipe_as_printed_is_the_text() -> None:
    stages = tuple(f"network.{name}." for name in STAGES)

    fields = {path: value for path, value in AS_PRINTED.fields().items() if not path.startswith(stages)}

    assert fields == TEXT | {"network.stages": list(STAGES)}


def test_each_stage_is_that_of_the_text() -> None:
    stages = AS_PRINTED.network.stages

    found = {s.name: (s.maps, s.kernel_px, s.stride_px, s.pad_px, s.reads, s.order, s.bias) for s in stages}

    assert found == STAGES
    assert {(s.weight_std, s.learning_rate_factor, s.decay_factor) for s in stages} == {(0.01, 1.0, 1.0)}
    assert [s.name for s in stages if s.kind == "full"] == ["fc6", "fc7", "fc8"]


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


def test_non_overlapping_pools_round_up() -> None:
    assert Pool(size_px=2, stride_px=2).output_px(55) == 28


def test_sizes_and_parameters_of_the_variations() -> None:
    one_tower, pooling = (VARIATIONS[n].of(AS_PRINTED).network for n in ("one-tower", "non-overlapping-pooling"))

    assert AS_RUN_2012.network.layers() == AS_PRINTED.network.layers()
    assert (one_tower.parameters, replace(Network(), towers=1).parameters) == (59_798_312, 62_378_344)
    assert pooling.parameters == 60_965_224
    assert [layer.output[1] for layer in pooling.layers()] == [55, 26, 13, 13, 11, 6, 1, 1, 1]


def test_norms_divide_their_scale_by_the_window_where_the_released_code_does() -> None:
    assert Norm().coefficient == 1e-4
    assert Norm(divide_alpha_by_n=True).coefficient == pytest.approx(2e-5, rel=1e-12)  # one division in float64
    assert SameMapNorm().coefficient == pytest.approx(4e-5, rel=1e-12)


def test_crops_and_mirrors_number_2178_where_2048_is_printed() -> None:
    offsets = Augmentation().last_offset_px + 1

    assert STORED_PX - Network().input_px == Augmentation().last_offset_px == 32
    assert (2 * offsets**2, 2 * (offsets - 1) ** 2) == (2178, 2048)
