"""The networks beside #145: sizes that the files give, schedules that the notes give, and one sentence each."""

import pytest

from alexrepro.recipes.catalog import catalog
from alexrepro.recipes.recipe import Recipe


def of(name: str) -> Recipe:
    return catalog()[name].recipe


# Counts that follow from the layer files by hand: kernels times what each sees, and biases.
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("net-145-half", 59_798_312),
        ("net-147", 60_965_224),
        ("net-148", 60_965_224),
        ("net-150", 60_714_408),
        ("net-131", 60_870_376),
        ("net-135", 60_870_376),
        ("net-137", 60_870_376),
        ("net-146-2012-2009", 61_555_304),
        ("net-146-2012-2011", 61_555_304),
    ],
)
def test_parameters_are_those_of_the_layer_file(name: str, parameters: int) -> None:
    assert of(name).network.parameters == parameters


def test_the_network_of_2011_has_a_linear_layer_before_its_outputs() -> None:
    layers = {layer.name: layer for layer in of("net-146-2011").for_classes(21_843).network.layers()}

    assert (layers["fc8a"].output, layers["fc8"].weights) == ((2048, 1, 1), 2048 * 21_843)
    assert of("net-146-2011").network.stage("fc8a").order == ()


# epoch, rate of fc8, rate of conv1, whether colors are shifted: the lines of each run in the notes
@pytest.mark.parametrize(
    ("name", "epoch", "general", "conv1", "shift"),
    [
        ("net-148", 21, 1e-2, 1e-2, True),
        ("net-148", 44, 1e-4, 1e-4, True),
        ("net-148", 69, 1e-4, 1e-5, False),
        ("net-148", 86, 1e-5, 0.0, False),
        ("net-131", 74, 1e-4, 1e-5, False),
        ("net-131", 75, 1e-4, 0.0, False),
        ("net-137", 75, 1e-4, 0.0, False),
        ("net-146-2012-2011", 1, 1e-2, 1e-4, True),
        ("net-146-2012-2011", 9, 1e-3, 0.0, True),
        ("net-146-2012-2011", 22, 1e-4, 0.0, True),
        ("net-146-2012-2011", 42, 1e-5, 0.0, False),
        ("net-146-2009", 1, 1e-2, 1e-3, True),
        ("net-146-2009", 2, 1e-3, 1e-3, True),  # 2.1600: the 1,600th of some 8,700 batch files of epoch 2
        ("net-141-2009-half", 26, 1e-5, 0.0, False),
    ],
)
def test_rates_are_those_of_the_notes(name: str, epoch: int, general: float, conv1: float, shift: bool) -> None:
    recipe = of(name)

    found = recipe.training.rates(recipe.network.stages, epoch=epoch)

    assert found.general == pytest.approx(general, rel=1e-12)
    assert found.weights["conv1"] == pytest.approx(conv1, rel=1e-12)
    assert found.has_color_shift is shift


# epoch, rate of the biases of fc8 and of conv1: the first rate and formula of a file, or its end and the first drop
@pytest.mark.parametrize(
    ("name", "epoch", "general", "conv1"),
    [
        ("net-147", 22, 0.02, 0.02),
        ("net-147", 23, 0.002, 0.002),
        ("net-141-2009-2012", 13, 0.002, 0.002),
        ("net-145-half", 20, 0.02, 0.002),
        ("net-145-half", 72, 0.02, 0.0),
        ("net-145-half", 79, 0.02, 0.002),
    ],
)
def test_rates_of_the_biases_are_those_of_the_files(name: str, epoch: int, general: float, conv1: float) -> None:
    recipe = of(name)

    found = recipe.training.rates(recipe.network.stages, epoch=epoch).biases

    assert (found["fc8"], found["conv1"]) == (pytest.approx(general, rel=1e-12), pytest.approx(conv1, rel=1e-12))


def test_145f_follows_145_where_its_notes_end() -> None:
    ours, theirs = (of(name).training.schedule.at for name in ("net-145f", "as-run-2012"))

    assert [line.epoch for line in ours] == [19, 47, 67, 67, 72, 79]  # noted; then #145's
    assert [line.epoch for line in theirs[2:]] == [67, 67, 72, 79]


def test_145f_sees_whole_images_minus_one_number() -> None:
    shown = of("net-145f").augmentation

    assert (shown.square, shown.mean) == ("padded", "scalar")


@pytest.mark.parametrize("name", ["146-2009", "146-2011", "146-2012-2011", "146-2012-2009", "141-2009-2012"])
def test_a_sixth_conv_layer_reads_the_pooled_maps_of_the_fifth(name: str) -> None:
    sizes = {stage.name: size for stage, size in of(f"net-{name}").network.inputs()}

    assert list(sizes)[4:7] == ["conv5", "conv6", "fc6"]
    assert sizes["conv6"] == sizes["fc6"] == (256, 6, 6)


def test_a_network_of_the_chain_begins_with_all_of_the_one_before_but_its_last_stages() -> None:
    convs = ("conv1", "conv2", "conv3", "conv4", "conv5")
    begins = {
        name: of(f"net-146-{name}").training.init_from_stages for name in ("2009", "2011", "2012-2011", "2012-2009")
    }

    assert begins == {
        "2009": convs,  # of #145, which has no conv6
        "2011": (*convs, "conv6"),
        "2012-2011": (*convs, "conv6", "fc6", "fc7"),
        "2012-2009": (*convs, "conv6", "fc6", "fc7"),
    }


def test_half_of_2009_was_trained_on_from_a_higher_rate_after_28_epochs() -> None:
    recipe = of("net-141-2009-half")
    rates = {
        epoch: recipe.training.rates(recipe.network.stages, epoch=epoch) for epoch in (28, 29, recipe.training.epochs)
    }

    assert [rate.general for rate in rates.values()] == pytest.approx([1e-5, 1e-3, 1e-4], rel=1e-12)
    assert [rate.weights["conv2"] for rate in rates.values()] == pytest.approx([0.0, 1e-3, 1e-4], rel=1e-12)
    assert [rate.has_color_shift for rate in rates.values()] == [False, True, True]


def test_every_network_of_the_files_is_like_another_one_and_keeps_its_notes() -> None:
    for name, entry in catalog().items():
        if name.startswith("net-"):
            assert entry.like in catalog(), name
            assert all(note.config == name.removeprefix("net-") for note in entry.expected), name  # type: ignore[union-attr]
    without = {name for name, entry in catalog().items() if name.startswith("net-") and not entry.expected}
    # Of 145f no result was noted, nor on ImageNet of 2009 and 2011.
    assert without == {"net-145f", "net-146-2009", "net-146-2011", "net-141-2009-half"}
