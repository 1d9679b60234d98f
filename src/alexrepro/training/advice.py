"""What to type after a training that came to nothing: commands that do what they say, whatever the recipe.

The learning rate is lowered at every point of a schedule (`training.learning_rate_factor`), and what holds the images
back is found by comparing the recipe with #145, which is known to learn.
"""

import shlex
from math import prod, sqrt
from pathlib import Path

from alexrepro.data.store.store import Store
from alexrepro.paper.network import Network
from alexrepro.recipes.as_printed_and_run import AS_RUN_2012
from alexrepro.runs.run import Run

DIGITS = 3  # of a suggested number


def at_half_the_rates(run: Run, *, store: Store, seed: int) -> str:
    """What to do after divergence: a new run at half of all rates, from the last checkpoint where there is one."""
    words: list[str | Path] = ["alexrepro", "train"]
    began_with = run.environment.get("began_with")
    if run.has_begun:
        how = "Begin a new run from its last checkpoint at half of all rates"
        words += [run.folder]
    else:
        how = "Begin a new run at half of all rates"
        words += [run.recipe_file]
        if began_with:
            words += [began_with["run"]]
    words += ["--store", store.path, "--seed", str(seed), "--runs", run.folder.parent.parent]
    words += ["--set", f"training.learning_rate_factor={run.recipe.training.learning_rate_factor / 2:g}"]
    return f"{how}: {shlex.join(map(str, words))}"


def changes_that_show_images(network: Network) -> tuple[str, ...]:
    """What hides the images from the upper stages and is otherwise in #145, each change as `--set` takes it.

    Pixels that are divided by their deviation; hidden stages whose weights are too small for how many inputs each unit
    has; and, with tanh, which is flat far from zero, biases other than 0.
    """
    pixels = ["network.input_std=none"] if network.input_std is not None else []
    weights = []
    for stage in network.stages[1:-1]:
        least = _gain(AS_RUN_2012.network, stage.name) / _root_of_inputs(network, stage.name)
        if stage.weight_std < least * (1 - 10**-DIGITS):
            weights.append(f"network.{stage.name}.weight_std={least:.{DIGITS}g}")
    biased = [stage.name for stage in network.stages[:-1] if stage.bias and network.activation == "tanh"]
    return (*pixels, *weights, *(f"network.{name}.bias=0" for name in biased))


def _gain(network: Network, name: str) -> float:
    """Deviation of a unit's sum for inputs of size 1; 0 for a stage that the network lacks."""
    known = {stage.name: stage for stage in network.stages}
    return known[name].weight_std * _root_of_inputs(network, name) if name in known else 0.0


def _root_of_inputs(network: Network, name: str) -> float:
    """The square root of how many inputs a unit of a stage has."""
    (layer,) = (layer for layer in network.layers() if layer.name == name)
    units = prod(layer.output) if network.stage(name).kind == "local" else layer.output[0]  # with weights of their own
    return sqrt(layer.weights / units)
