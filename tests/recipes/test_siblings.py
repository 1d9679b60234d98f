"""The networks beside #145: sizes that the files give, schedules that the notes give, and one sentence each."""

from itertools import pairwise

import pytest

from alexrepro.engine.schedule import rates_at
from alexrepro.recipes.catalogue import CATALOGUE
from alexrepro.recipes.recipe import Recipe


def of(name: str) -> Recipe:
    return CATALOGUE[name].recipe


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
        ("net-170", 60_965_224),
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
        ("net-146-2009", 3, 1e-3, 1e-3, True),
        ("net-141-2009-half", 26, 1e-5, 0.0, False),
    ],
)
def test_rates_are_those_of_the_notes(name: str, epoch: int, general: float, conv1: float, shift: bool) -> None:
    recipe = of(name)

    found = rates_at(recipe.training, recipe.network.stages, epoch=epoch, errors=())

    assert found.general == pytest.approx(general, rel=1e-12)
    assert found.weights["conv1"] == pytest.approx(conv1, rel=1e-12)
    assert found.has_color_shift is shift


def test_the_levels_of_170_are_its_quarters() -> None:
    recipe = of("net-170")
    rates = [
        rates_at(recipe.training, recipe.network.stages, epoch=epoch, errors=()).general
        for epoch in range(1, recipe.training.epochs + 1)
    ]

    assert rates[0] == 0.01
    assert [round(rate, 6) for rate in dict.fromkeys(rates)] == [0.01, 0.001587, 0.000252, 0.00004]  # 250^(1/3) = 6.30
    assert [rates.count(rate) for rate in dict.fromkeys(rates)] == [24, 24, 24, 23]


def test_an_exponential_rate_falls_by_the_same_factor_each_epoch_to_its_end() -> None:
    recipe = of("net-155")
    rates = [
        rates_at(recipe.training, recipe.network.stages, epoch=epoch, errors=()).general
        for epoch in range(1, recipe.training.epochs + 1)
    ]
    factors = [after / before for before, after in pairwise(rates)]

    assert (rates[0], rates[-1]) == (0.02, pytest.approx(5e-6, rel=1e-12))
    assert factors == pytest.approx([factors[0]] * len(factors), rel=1e-12)


def test_every_network_of_the_files_is_like_another_one_and_keeps_its_notes() -> None:
    for name, entry in CATALOGUE.items():
        if name.startswith("net-"):
            assert entry.like in CATALOGUE, name
            assert all(note.config == name.removeprefix("net-") for note in entry.expected), name  # type: ignore[union-attr]
    without = {name for name, entry in CATALOGUE.items() if name.startswith("net-") and not entry.expected}
    # Of 145f no result was noted, nor on ImageNet of 2009 and 2011.
    assert without == {"net-145f", "net-146-2009", "net-146-2011", "net-141-2009-half"}
