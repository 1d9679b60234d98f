"""What ends a training that cannot succeed: a loss that is not finite, or one that stays at chance."""

import shlex
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import log
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from alexrepro.data.loading.crops import Pixels, evaluation_crops
from alexrepro.data.store.store import Store
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.inference import hidden_activations, last_hidden, read_images
from alexrepro.model.alexnet import AlexNet
from alexrepro.paper.network import Network
from alexrepro.recipes.catalog import AS_RUN_2012
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.job import TrainingJob

PATIENCE, WINDOW = 2_000, 500  # steps before a loss may be called flat, whose mean is compared; #145 needs some 100
NEAR = 0.995  # of ln(classes)
WEAK = 0.025  # deviation over the images relative to the mean, at the last hidden stage; 0.13 in #145
HIDDEN = WEAK / 10  # the same; 0.01 in the printed recipe, 0.0003 with its pixels divided by their deviation


class FlatLoss:
    """Watches losses for one that stays at chance, ln(classes) in nats."""

    def __init__(self, classes: int) -> None:
        self.chance = log(classes)
        self.losses: deque[float] = deque(maxlen=WINDOW)

    @property
    def mean(self) -> float:
        """The mean of the last losses; raises ZeroDivisionError where there is none."""
        return sum(self.losses) / len(self.losses)

    def is_flat(self, step: int, losses: Iterable[float]) -> bool:
        """Whether a full window of losses up to a step lies at chance; losses: those since the last question."""
        self.losses.extend(losses)
        return step >= PATIENCE and len(self.losses) == WINDOW and self.mean >= NEAR * self.chance


@dataclass(frozen=True)
class Diagnosis:
    """What a few images show of a network: whether its activations depend on them.

    crops_std: deviation of the crops, in gray levels. hidden: the last hidden stage, with the mean of its activations
    and a unit's deviation over the images, averaged over the units. advice: what may help a network whose activations
    do not.
    """

    crops_std: float
    hidden: str
    mean: float
    deviation: float
    advice: str

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
            f"have a mean of {self.mean:.3g} and vary by {self.deviation:.2g} over the images ({self.relative_std:.2%})"
        )

    @property
    def fix(self) -> str:
        """What may help; nothing where the activations depend on the images."""
        return self.advice if self.relative_std < WEAK else ""


@torch.no_grad()
def diagnose(model: AlexNet, crops: Tensor) -> Diagnosis:
    """How far the activations depend on some crops, (B, 3, S, S), B >= 2; scaled units stand for dropout."""
    with hidden_activations(model) as seen:
        model(crops)
    crops_std = (crops / model.input_std).float().std().item()
    mean, deviation = seen[0].mean().item(), seen[0].std(0).mean().item()
    return Diagnosis(crops_std, last_hidden(model.network), mean, deviation, advice_for(model.network))


def advice_for(network: Network) -> str:
    """What may help a network whose activations hardly depend on the images: how it differs from `as-run-2012`."""
    standard = {stage.name: stage.weight_std for stage in AS_RUN_2012.network.stages}
    hidden = network.stages[:-1]
    weak = [s.name for s in hidden if s.weight_std < standard.get(s.name, 0)]
    biased = [s.name for s in hidden if s.bias > 0 and network.activation == "tanh"]
    fixes = {
        "raw pixels": ["--set network.input_std=none"] if network.input_std is not None else [],
        "larger weights, as in as-run-2012": [f"--set network.{n}.weight_std={standard[n]:g}" for n in weak],
        "biases of 0, with tanh": [f"--set network.{name}.bias=0" for name in biased],
    }
    helps = [f"{what}: {' '.join(changes)}" for what, changes in fixes.items() if changes]
    return f"The activations hardly depend on the images. What may help: {'; '.join(helps) or 'as-run-2012'}."


def center_crops(store: Store, *, recipe: Recipe, pixels: Pixels, most: int = 64) -> Tensor:
    """Center crops of images spread evenly over a store, on the device of the mean image."""
    rows = np.linspace(0, len(store) - 1, num=min(most, len(store)), dtype=np.int64)
    images = torch.from_numpy(read_images(store, rows.tolist())).permute(0, 3, 1, 2).to(pixels.mean_image.device)
    (crops,) = evaluation_crops(
        images, crops="center", side_px=recipe.network.input_px, pixels=pixels, augmentation=recipe.augmentation
    )
    return crops


def flat_loss(step: int, found: Diagnosis, *, loss: float, classes: int) -> UserError:
    """The error for a loss, in nats, that stays at chance, with the cause as far as a few images show it."""
    return UserError(
        f"After step {step:,} the loss is {loss:.4f}, that of guessing among {classes:,} classes "
        f"({log(classes):.4f}): {found.facts}.",
        fix=f"Type the same command again to train on regardless. {found.fix}".rstrip(),
        exit_code=Exit.BAD_DATA,
    )


@contextmanager
def failure_recorded(job: TrainingJob) -> Iterator[None]:
    """Record why a training fails in environment.json, where reports find it."""
    try:
        yield
    except UserError as error:
        if job.group.is_first and error.exit_code is Exit.BAD_DATA and not job.run.failure:
            job.run.record({"failure": error.what.rstrip(".")})
        raise


def at_half_the_rates(job: TrainingJob) -> str:
    """What to type after divergence: a new run at half of all learning rates, from the last checkpoint if there is one.

    Empty on ranks that do not print it.
    """
    if not job.group.is_first:
        return ""
    run, began_with = job.run, job.run.environment.get("began_with")
    source: list[str | Path] = [run.folder] if run.has_begun else [run.recipe_file]
    if began_with and not run.has_begun:
        source.append(began_with["run"])
    factor = f"training.learning_rate_factor={run.recipe.training.learning_rate_factor / 2:g}"
    words = ["alexrepro", "train", *source, "--store", job.store.path, "--seed", job.seed, "--runs", job.runs]
    start = " from its last checkpoint" if run.has_begun else ""
    return f"Begin a new run{start} with all learning rates halved: {shlex.join(map(str, [*words, '--set', factor]))}"
