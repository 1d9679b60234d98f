"""The networks for CIFAR-10: counts that follow from the layer files, decay, schedules."""

import pytest

from alexrepro.recipes.catalog import catalog, default_recipe
from alexrepro.recipes.recipe import differences


# By hand: kernels times what each sees, and for local layers 36 places, each with kernels and biases of its own.
@pytest.mark.parametrize(
    ("name", "parameters", "epochs"),
    [
        ("cifar-80sec", 145_578, 10),
        ("cifar-19pct", 89_578, 140),
        ("cifar-18pct", 89_578, 140),
        ("cifar-13pct", 1_116_490, 160),
        ("cifar-11pct", 2_112_970, 520),
        ("figure-1-relu", 89_578, 15),
    ],
)
def test_parameters_and_epochs_are_those_of_the_files(name: str, parameters: int, epochs: int) -> None:
    recipe = catalog()[name].recipe

    assert (recipe.network.parameters, recipe.training.epochs) == (parameters, epochs)


@pytest.mark.parametrize(
    ("name", "decays"),
    [
        ("cifar-80sec", (0.004, 0.004, 0.004, 0.03, 0.03)),
        ("cifar-19pct", (0.004, 0.004, 0.004, 3.0)),
        ("cifar-18pct", (0.004, 0.004, 0.004, 1.0)),
        ("cifar-13pct", (0.0, 0.0, 0.004, 0.004, 0.004)),
        ("cifar-11pct", (0.0, 0.0, 0.004, 0.004, 0.01)),
        ("figure-1-tanh", (0.0, 0.0, 0.0, 0.0)),
    ],
)
def test_weight_decay_is_that_of_each_layer(name: str, decays: tuple[float, ...]) -> None:
    recipe = catalog()[name].recipe

    found = [recipe.training.weight_decay * stage.decay_factor for stage in recipe.network.stages]

    assert found == pytest.approx(decays)


def test_both_rates_fall_at_the_end_and_no_color_is_shifted() -> None:
    recipe = catalog()["cifar-18pct"].recipe
    seen = {}
    for epoch in (120, 121, 131):
        found = recipe.training.rates(recipe.network.stages, epoch=epoch)
        seen[epoch] = (found.general, found.biases["fc10"])

    assert seen == {
        120: (1e-3, 2e-3),
        121: (pytest.approx(1e-4), pytest.approx(2e-4)),
        131: (pytest.approx(1e-5), pytest.approx(2e-5)),
    }
    assert recipe.augmentation.color_shift is None


def test_the_clean_test_changes_the_norms_only() -> None:
    changed = differences(catalog()["cifar-13pct"].recipe, catalog()["cifar-13pct-norm"].recipe)

    assert {path.split(".")[1] for path in changed} == {"norm", "conv1", "conv2"}
    assert {path for path in changed if "conv" in path} == {"network.conv1.order", "network.conv2.order"}


@pytest.mark.parametrize("reading", ["", "-b"])
def test_relu_and_tanh_of_figure_1_differ_in_the_response_its_best_rates_and_the_length_only(reading: str) -> None:
    relu, tanh = (catalog()[f"figure-1-{response}{reading}"].recipe for response in ("relu", "tanh"))

    changed = differences(relu, tanh)

    assert changed.pop("training.epochs")
    assert changed == {
        "network.activation": ("relu", "tanh"),
        "training.learning_rate": (2e-3, 8e-3),  # docs/results/figure-1.md
        "training.bias_learning_rate": (4e-3, 1.6e-2),
    }


@pytest.mark.parametrize("name", ["figure-1-relu", "figure-1-tanh", "figure-1-relu-b", "figure-1-tanh-b"])
def test_the_networks_of_figure_1_are_trained_without_regularization(name: str) -> None:
    recipe = catalog()[name].recipe
    shown = recipe.augmentation

    assert (recipe.training.weight_decay, recipe.training.bias_decay, recipe.network.dropout) == (0.0, 0.0, 0.0)
    assert (shown.crops, shown.flips, shown.color_shift) == (False, False, None)


def test_cifar_10_has_a_recipe_of_its_own() -> None:
    assert default_recipe("cifar10").name == "cifar-18pct"
