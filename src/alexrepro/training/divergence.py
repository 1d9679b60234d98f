"""What ends a training that cannot succeed: a loss that is not finite, or one that stays at chance.

Each message says what was seen and what to type, since a loss stuck at ln(classes) does not explain itself.
"""

import shlex
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log, prod, sqrt
from pathlib import Path

from torch import Tensor

from alexrepro.errors import Exit, UserError
from alexrepro.model.alexnet import AlexNet
from alexrepro.paper.network import Network
from alexrepro.progress import first_few
from alexrepro.recipes.catalog import AS_RUN_2012
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.activation_stats import activation_stats
from alexrepro.training.job import TrainingJob

PATIENCE, WINDOW = 2_000, 500  # steps before a loss may be called flat, whose mean is compared; #145 needs some 100
EARLY, EARLY_WINDOW = 250, 100  # the same, where the images do not reach the last hidden stage
NEAR = 0.995  # of ln(classes)
SHOWN_IMAGES = 5
WEAK = 0.025  # deviation over the images relative to the mean, at the last hidden stage; 0.13 in #145
HIDDEN = WEAK / 10  # the same; 0.01 in the printed recipe, 0.0003 with its pixels divided by their deviation
DIGITS = 3  # of a suggested number


class FlatLoss:
    """Watches losses for one that stays at chance, ln(classes) in nats."""

    def __init__(self, classes: int) -> None:
        self.chance = log(classes)
        self.losses: deque[float] = deque(maxlen=WINDOW)
        self.has_looked = False

    def add(self, losses: Iterable[float]) -> None:
        """Take the next losses in."""
        self.losses.extend(losses)

    def mean(self, window: int) -> float:
        """The mean of the last losses; raises ZeroDivisionError where there is none."""
        last = list(self.losses)[-window:]
        return sum(last) / len(last)

    def is_flat(self, step: int) -> bool:
        """Whether a full window of losses up to a step lies at chance."""
        return step >= PATIENCE and self._is_at_chance(WINDOW)

    def is_time_to_look(self, step: int) -> bool:
        """Whether the loss is at chance early in a run, where `diagnose` can tell if that will last; once a run."""
        if step < EARLY or self.has_looked or len(self.losses) < EARLY_WINDOW:
            return False
        self.has_looked = True
        return self._is_at_chance(EARLY_WINDOW)

    def _is_at_chance(self, window: int) -> bool:
        return len(self.losses) >= window and self.mean(window) >= NEAR * self.chance


@dataclass(frozen=True)
class Diagnosis:
    """What a few images show of a network (§5).

    crops_std: deviation of the crops, in gray levels. hidden: the last hidden stage, with the mean of its activations
    and a unit's deviation over the images. first: the first stage, and how far a step moves its weights, relative to
    their length.
    """

    crops_std: float
    hidden: str
    mean: float
    deviation: float
    first: str
    movement: float
    learning_rate: float

    @property
    def relative_std(self) -> float:
        """Deviation over the images relative to the mean at the last hidden stage."""
        return self.deviation / abs(self.mean) if self.mean else 0.0

    @property
    def is_hidden(self) -> bool:
        """Whether the activations depend so little on the images that the loss will stay at chance."""
        return self.relative_std < HIDDEN

    @property
    def facts(self) -> str:
        """The numbers, in words."""
        return (
            f"crops have a deviation of {self.crops_std:.3g} (raw pixels: about 70); the activations of {self.hidden} "
            f"have a mean of {self.mean:.3g} and vary by {self.deviation:.2g} over the images "
            f"({self.relative_std:.2%}); a step moves {self.first} by {self.movement:.1e} of its weights at the "
            f"learning rate {self.learning_rate:g}"
        )

    def fix(self, network: Network) -> str:
        """What may help this network; nothing where the activations depend on the images."""
        if self.relative_std >= WEAK:
            return ""
        what = f"The activations hardly depend on the images{'' if self.is_hidden else ' yet'}"
        changes = changes_that_show_images(network)
        return f"{what}; change it with: {' '.join(f'--set {change}' for change in changes)}" if changes else f"{what}."


def diagnose(model: AlexNet, crops: Tensor, labels: Tensor, *, learning_rate: float) -> Diagnosis:
    """How far the activations depend on some crops, (B, 3, S, S), and how far a step moves the first stage."""
    stats = activation_stats(model, crops, labels)
    hidden, first = stats.stages[-2], stats.stages[0]
    return Diagnosis(
        (crops / model.input_std).float().std().item(),
        hidden.stage,
        hidden.activation_mean,
        hidden.activation_std,
        first.stage,
        first.update_ratio(learning_rate),
        learning_rate,
    )


def changes_that_show_images(network: Network) -> tuple[str, ...]:
    """Changes toward #145, which is known to learn, that make activations depend on the images, as `--set` takes them.

    Raw pixels; in hidden stages, weights that are large enough for the number of inputs of each unit; and, with tanh,
    which is flat far from zero, biases of 0.
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
    """The square root of the number of inputs of a stage's unit."""
    (layer,) = (layer for layer in network.layers() if layer.name == name)
    units = prod(layer.output) if network.stage(name).kind == "local" else layer.output[0]  # with weights of their own
    return sqrt(layer.weights / units)


def flat_loss(step: int, found: Diagnosis, *, loss: float, recipe: Recipe) -> UserError:
    """The error for a loss, in nats, that stays at chance, with the cause as far as a few images show it."""
    classes, known = recipe.network.classes, AS_RUN_2012.for_classes(recipe.network.classes)
    fits = recipe.augmentation.stored_px == known.augmentation.stored_px and recipe.digest != known.digest
    again = "type the same command again to train on regardless."
    others = f"Try {known.name}, or {again}" if fits else again.capitalize()
    return UserError(
        f"After step {step:,} the loss is {loss:.4f}, that of guessing among {classes:,} classes "
        f"({log(classes):.4f}): {found.facts}.",
        fix=f"{others} {found.fix(recipe.network)}".rstrip(),
        exit_code=Exit.BAD_DATA,
    )


def not_finite(loss: float, step: int, *, learning_rate: float, images: Sequence[str], fix: str) -> UserError:
    """The error for a loss that is not finite, with the first images of its batch; fix: how to train on."""
    where = f"step {step:,}, at the learning rate {learning_rate:g}, on {first_few(images, SHOWN_IMAGES)}"
    return UserError(f"The loss became {loss} at {where}.", fix=fix, exit_code=Exit.BAD_DATA)


def not_finite_weights(names: Sequence[str], step: int, *, fix: str) -> UserError:
    """The error for weights or optimizer state that are not finite, before a loss has shown it."""
    what = f"After step {step:,} {', '.join(names)} are not finite; the last checkpoint is kept."
    return UserError(what, fix=fix, exit_code=Exit.BAD_DATA)


def at_half_the_rates(job: TrainingJob) -> str:
    """What to type after divergence: a new run at half of all rates, from the last checkpoint where there is one."""
    run, began_with = job.run, job.run.environment.get("began_with")
    source: list[str | Path] = [run.folder] if run.has_begun else [run.recipe_file]
    if began_with and not run.has_begun:
        source.append(began_with["run"])
    factor = f"training.learning_rate_factor={run.recipe.training.learning_rate_factor / 2:g}"
    words = ["alexrepro", "train", *source, "--store", job.store.path, "--seed", job.seed, "--runs", job.runs]
    start = " from its last checkpoint" if run.has_begun else ""
    return f"Begin a new run{start} at half of all rates: {shlex.join(map(str, [*words, '--set', factor]))}"
