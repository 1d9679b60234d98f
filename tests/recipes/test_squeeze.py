"""A squeezed schedule trains each epoch at the rates with which the whole one begins that share of the way."""

from itertools import pairwise

import pytest

from alexrepro.paper.training import Decay, Plateau, Script
from alexrepro.recipes.as_printed_and_run import AS_PRINTED, AS_RUN_2012
from alexrepro.recipes.catalog import catalog
from alexrepro.recipes.recipe import Recipe, differences
from alexrepro.training.schedule import Rates, described, drops_after, rates_at

RECIPES = [entry.recipe for entry in catalog().values()]
SCRIPTED = [recipe for recipe in RECIPES if isinstance(recipe.training.schedule, Script)]
BY_LEVELS = [r for r in RECIPES if isinstance(r.training.schedule, Decay) and r.training.schedule.levels]
DECAYING = [r for r in RECIPES if isinstance(r.training.schedule, Decay) and not r.training.schedule.levels]


def rates(recipe: Recipe, epoch: int) -> Rates:
    return rates_at(recipe.training, recipe.network.stages, epoch=epoch, errors=())


def lengths(recipe: Recipe) -> range:
    return range(1, recipe.training.epochs + 1)


@pytest.mark.parametrize("recipe", SCRIPTED, ids=lambda recipe: recipe.name)
def test_an_epoch_has_the_rates_with_which_its_share_of_the_script_begins(recipe: Recipe) -> None:
    whole = [rates(recipe, epoch) for epoch in lengths(recipe)]
    for epochs in lengths(recipe):
        short = recipe.shortened(epochs)

        found = [rates(short, epoch) for epoch in lengths(short)]

        assert found == [whole[epoch * len(whole) // epochs] for epoch in range(epochs)]


@pytest.mark.parametrize("recipe", [*SCRIPTED, *BY_LEVELS, *DECAYING], ids=lambda recipe: recipe.name)
def test_lines_keep_their_order_and_what_they_say_and_none_moves_to_epoch_1(recipe: Recipe) -> None:
    lines = recipe.training.schedule.at  # type: ignore[union-attr]
    for epochs in lengths(recipe):
        short = recipe.shortened(epochs).training.schedule.at  # type: ignore[union-attr]

        assert [(n.learning_rate, n.bias_learning_rate, n.color_shift, n.stages) for n in short] == [
            (n.learning_rate, n.bias_learning_rate, n.color_shift, n.stages) for n in lines
        ]
        assert all(one.epoch <= other.epoch for one, other in pairwise(short))
        assert [n.epoch == 1 for n in short] == [n.epoch == 1 for n in lines]


@pytest.mark.parametrize("recipe", BY_LEVELS, ids=lambda recipe: recipe.name)
def test_an_epoch_has_the_level_in_which_it_begins(recipe: Recipe) -> None:
    levels = recipe.training.schedule.levels  # type: ignore[union-attr]
    start, end = recipe.training.learning_rate, recipe.training.schedule.end  # type: ignore[union-attr]
    of_levels = [start * (end / start) ** (level / (levels - 1)) for level in range(levels)]
    for epochs in lengths(recipe):
        short = recipe.shortened(epochs)

        found = [rates(short, epoch).general for epoch in lengths(short)]

        assert found == pytest.approx([of_levels[levels * epoch // epochs] for epoch in range(epochs)])


@pytest.mark.parametrize("recipe", DECAYING, ids=lambda recipe: recipe.name)
def test_a_rate_that_falls_every_epoch_is_that_of_the_moment_where_the_epoch_begins(recipe: Recipe) -> None:
    first, second = (rates(recipe, epoch).general for epoch in (1, 2))
    for epochs in lengths(recipe):
        short = recipe.shortened(epochs)
        passed = [epoch * recipe.training.epochs / epochs for epoch in range(epochs)]  # epochs of the whole schedule

        found = [rates(short, epoch).general for epoch in lengths(short)]

        assert found == pytest.approx([first * (second / first) ** share for share in passed])


@pytest.mark.parametrize("recipe", [*BY_LEVELS, *DECAYING], ids=lambda recipe: recipe.name)
def test_biases_whose_rate_falls_every_epoch_have_that_of_the_moment_where_the_epoch_begins(recipe: Recipe) -> None:
    falling = recipe.but({"training.schedule.bias_levels": None, "training.schedule.at": ()})
    start, end = falling.training.bias_learning_rate, falling.training.schedule.bias_end  # type: ignore[union-attr]
    whole = recipe.training.epochs
    for epochs in lengths(recipe):
        short = falling.shortened(epochs)
        passed = [epoch * whole / epochs for epoch in range(epochs)]  # epochs of the whole schedule

        found = [next(iter(rates(short, epoch).biases.values())) for epoch in lengths(short)]

        assert found == pytest.approx([start * (end / start) ** (share / (whole - 1)) for share in passed])


@pytest.mark.parametrize(("epochs", "patience"), [(1, 1), (9, 1), (18, 1), (19, 2), (90, 5)])
def test_the_patience_of_a_plateau_is_squeezed_and_rounded_up(epochs: int, patience: int) -> None:
    short = AS_PRINTED.shortened(epochs)

    assert short.training.schedule == Plateau(patience_epochs=patience)
    assert set(differences(AS_PRINTED, short)) <= {"training.epochs", "training.schedule.patience_epochs"}


def test_nine_epochs_without_improvement_drop_the_rate_three_times() -> None:
    schedule = AS_PRINTED.shortened(9).training.schedule
    assert isinstance(schedule, Plateau)

    assert drops_after(schedule, [0.5] * 8) == 3


def test_one_epoch_trains_at_the_first_rate() -> None:
    short = AS_RUN_2012.shortened(1)

    assert rates(short, 1) == rates(AS_RUN_2012, 1)
    assert described(short.training, short.network.stages) == "epoch 1: rate 0.01"


@pytest.mark.parametrize(
    ("name", "epochs", "text"),
    [
        ("as-run-2012", 9, "epoch 1: rate 0.01; epoch 4: rate 0.001; epoch 6: rate 0.0001; epoch 9: rate 1e-05"),
        ("as-printed", 9, "epoch 1: rate 0.01; divided by 10 after 1 epoch without improvement"),
    ],
)
def test_the_rates_of_a_schedule_are_told(name: str, epochs: int, text: str) -> None:
    short = catalog()[name].recipe.shortened(epochs)

    assert described(short.training, short.network.stages) == text
