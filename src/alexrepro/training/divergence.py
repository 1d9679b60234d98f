"""What ends a run that cannot come to anything: a loss that is no number, one that stays at chance, too little memory.

Each says what it saw and what to do, since a run that stalls at ln(classes) tells nothing of its own.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log

from torch import Tensor

from alexrepro.errors import Exit, UserError
from alexrepro.model.alexnet import AlexNet
from alexrepro.paper.network import Network
from alexrepro.progress import first_few
from alexrepro.recipes.as_printed_and_run import AS_RUN_2012
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.activation_stats import signals
from alexrepro.training.advice import changes_that_show_images

PATIENCE, WINDOW = 2_000, 500  # updates before a loss may be called flat, whose mean is compared; #145 needs some 100
EARLY, EARLY_WINDOW = 250, 100  # the same, where the images are hidden from the last hidden stage
NEAR = 0.995  # of ln(classes)
SHOWN_IMAGES = 5
WEAK = 0.025  # deviation over the images as a share of the mean, at the last hidden stage; 0.13 in #145
HIDDEN = WEAK / 10  # of the same share; 0.01 in the printed recipe, 0.0003 with its pixels divided by their deviation


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
        """Whether a whole window of a run of so many updates lies at chance."""
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
    """What a few images show of a network (§5; response and gradient by stage).

    crops_std: deviation of the crops, in gray levels. hidden, mean, deviation: the last hidden stage, its mean response
    and the deviation of a unit over the images. first, movement: the first stage, and the share of its weights that an
    update at this rate moves.
    """

    crops_std: float
    hidden: str
    mean: float
    deviation: float
    first: str
    movement: float
    learning_rate: float

    @property
    def share(self) -> float:
        """Deviation over the images as a share of the mean at the last hidden stage."""
        return self.deviation / abs(self.mean) if self.mean else 0.0

    @property
    def is_hidden(self) -> bool:
        """Whether the constant hides the images so far that the loss will stay at chance."""
        return self.share < HIDDEN

    @property
    def facts(self) -> str:
        """The numbers, in words."""
        return (
            f"crops have a deviation of {self.crops_std:.3g} (raw pixels: about 70); {self.hidden} answers "
            f"{self.mean:.3g} on average and changes by {self.deviation:.2g} from image to image ({self.share:.2%}); "
            f"an update moves {self.first} by {self.movement:.1e} of its weights at the rate {self.learning_rate:g}"
        )

    def fix(self, network: Network) -> str:
        """What may help this network, or nothing where the images come through."""
        if self.share >= WEAK:
            return ""
        what = "The images do not come through" if self.is_hidden else "The constant hides the images"
        changes = changes_that_show_images(network)
        return f"{what}; change it with: {' '.join(f'--set {change}' for change in changes)}" if changes else f"{what}."


def diagnose(model: AlexNet, crops: Tensor, labels: Tensor, *, learning_rate: float) -> Diagnosis:
    """Look at what some crops, (B, 3, S, S), change in the network, and how their loss moves its first stage."""
    seen = signals(model, crops, labels)
    hidden, first = seen.stages[-2], seen.stages[0]
    deviation = (crops / model.input_std).float().std().item()
    return Diagnosis(
        deviation,
        hidden.stage,
        hidden.response_mean,
        hidden.response_std,
        first.stage,
        first.update_ratio(learning_rate),
        learning_rate,
    )


def flat_refusal(step: int, found: Diagnosis, *, loss: float, recipe: Recipe) -> UserError:
    """The refusal of a loss, in nats, that stays at chance, with the cause as far as a few images show it."""
    classes, known = recipe.network.classes, AS_RUN_2012.for_classes(recipe.network.classes)
    fits = recipe.augmentation.stored_px == known.augmentation.stored_px and recipe.digest != known.digest
    others = f"Try {known.name}, or go on with --allow-flat-loss." if fits else "Go on with --allow-flat-loss."
    return UserError(
        f"After {step:,} updates the loss is {loss:.4f}, as for guessing among {classes:,} classes "
        f"({log(classes):.4f}): {found.facts}.",
        fix=f"{others} {found.fix(recipe.network)}".rstrip(),
        exit_code=Exit.BAD_DATA,
    )


def not_finite(loss: float, step: int, *, learning_rate: float, images: Sequence[str], fix: str) -> UserError:
    """The refusal of a loss that is not finite, with the first images of its batch; fix: how to train on."""
    shown = first_few(images, SHOWN_IMAGES)
    return UserError(
        f"The loss became {loss} at update {step:,}, at the rate {learning_rate:g}, on {shown}.",
        fix=fix,
        exit_code=Exit.BAD_DATA,
    )


def not_finite_weights(names: Sequence[str], step: int, *, fix: str) -> UserError:
    """The refusal to save weights or velocities that are not finite, before a loss has shown it."""
    return UserError(
        f"After update {step:,} {', '.join(names)} are not finite; the last checkpoint is kept.",
        fix=fix,
        exit_code=Exit.BAD_DATA,
    )
