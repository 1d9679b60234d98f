"""Rates by epoch: the notebook of #145 line by line, the plateau of the text, and both squeezed into fewer epochs."""

import pytest

from alexrepro.paper.training import Plateau, Rates, Script
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2010, AS_RUN_2012, catalog
from alexrepro.recipes.recipe import Recipe

SCRIPTED = [e.recipe for e in catalog().values() if isinstance(e.recipe.training.schedule, Script)]


def at(recipe: Recipe, epoch: int, errors: tuple[float, ...] = ()) -> Rates:
    return recipe.training.rates(recipe.network.stages, epoch=epoch, errors=errors)


# fidelity of the 2012 notebook: epoch, weights general, weights conv1, biases general, biases conv1, color shift
TABLE_2012 = [
    (1, 0.01, 0.01, 0.02, 0.02, True),
    (24, 0.01, 0.01, 0.02, 0.02, True),
    (25, 0.001, 0.001, 0.02, 0.02, True),
    (51, 0.0001, 0.0001, 0.02, 0.02, True),
    (66, 0.0001, 0.0001, 0.02, 0.02, True),
    (67, 0.0001, 0.00001, 0.02, 0.02, False),
    (72, 0.0001, 0.0, 0.02, 0.0, False),
    (78, 0.0001, 0.0, 0.02, 0.0, False),
    (79, 0.00001, 0.0, 0.02, 0.0, False),
    (90, 0.00001, 0.0, 0.02, 0.0, False),
]
TABLE_2010 = [
    (22, 0.01, 0.01, 0.02, 0.02, True),
    (23, 0.001, 0.001, 0.002, 0.002, True),
    (51, 0.0001, 0.0001, 0.002, 0.002, True),
    (68, 0.0001, 0.00001, 0.002, 0.002, False),
    (72, 0.0001, 0.0, 0.002, 0.0, False),
    (78, 0.00001, 0.0, 0.002, 0.0, False),
]


@pytest.mark.parametrize(
    ("recipe", "row"),
    [(AS_RUN_2012, row) for row in TABLE_2012] + [(AS_RUN_2010, row) for row in TABLE_2010],
    ids=lambda value: getattr(value, "name", None) or str(value[0]),
)
def test_rates_follow_the_notebook(recipe: Recipe, row: tuple[int, float, float, float, float, bool]) -> None:
    epoch, weights, conv1, biases, conv1_biases, has_color_shift = row

    rates = at(recipe, epoch)

    assert rates.weights == {s.name: conv1 if s.name == "conv1" else weights for s in recipe.network.stages}
    assert rates.biases == {s.name: conv1_biases if s.name == "conv1" else biases for s in recipe.network.stages}
    assert rates.has_color_shift is has_color_shift


def test_the_printed_recipe_divides_by_ten_when_the_error_stalls() -> None:
    stalled = (0.9, 0.8, *[0.8] * 5)

    assert at(AS_PRINTED, 8, stalled).general == pytest.approx(0.001)
    assert at(AS_PRINTED, 7, stalled[:-1]).general == pytest.approx(0.01)
    assert Plateau().drops_after([0.5] * 100) == 3  # at most
    assert Plateau().drops_after([1 / n for n in range(1, 90)]) == 0  # while the error improves


@pytest.mark.parametrize("recipe", [AS_PRINTED, AS_RUN_2012, AS_RUN_2010], ids=lambda recipe: recipe.name)
def test_a_factor_scales_every_rate_at_every_point_of_a_schedule(recipe: Recipe) -> None:
    halved = recipe.but({"training.learning_rate_factor": 0.5})
    for epoch in (1, 25, 51, 70, 90):
        whole, half = (at(chosen, epoch, (0.5,) * (epoch - 1)) for chosen in (recipe, halved))

        assert half.weights == {name: rate / 2 for name, rate in whole.weights.items()}
        assert half.biases == {name: rate / 2 for name, rate in whole.biases.items()}
        assert half.general > 0


@pytest.mark.parametrize("recipe", SCRIPTED, ids=lambda recipe: recipe.name)
def test_an_epoch_of_a_squeezed_script_has_the_rates_of_the_full_one_at_its_beginning(recipe: Recipe) -> None:
    epochs = recipe.training.epochs
    full = [at(recipe, epoch) for epoch in range(1, epochs + 1)]
    for fewer in {*range(1, epochs, 1 + epochs // 40), epochs}:  # about forty, down to a single one
        short = recipe.shortened(fewer)

        found = [at(short, epoch) for epoch in range(1, fewer + 1)]

        assert found == [full[epoch * epochs // fewer] for epoch in range(fewer)]


@pytest.mark.parametrize(("epochs", "patience"), [(1, 1), (9, 1), (18, 1), (19, 2), (90, 5)])
def test_the_patience_of_a_plateau_is_squeezed_and_rounded_up(epochs: int, patience: int) -> None:
    assert AS_PRINTED.shortened(epochs).training.schedule == Plateau(patience_epochs=patience)


@pytest.mark.parametrize(
    ("recipe", "epochs", "text"),
    [
        (AS_RUN_2012, 1, "learning rate 0.01"),
        (AS_RUN_2012, 9, "learning rate 0.01; from epoch 4: 0.001; from epoch 6: 0.0001; from epoch 9: 1e-05"),
        (AS_PRINTED, 9, "learning rate 0.01, divided by 10 after 1 epoch without improvement"),
    ],
)
def test_a_schedule_describes_its_rates(recipe: Recipe, epochs: int, text: str) -> None:
    short = recipe.shortened(epochs)

    assert short.training.schedule.description(short.training, short.network.stages) == text
