"""How the network was trained and what it was shown: §4.1, §4.2 and §5 as data.

Epochs count from 1, as in the 2012 notebook: a switch at epoch 25 holds from the first update of epoch 25 on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from alexrepro.paper.citation import cited
from alexrepro.paper.network import Stage

ResizeRule = Literal["crop", "stretch", "pad"]
STORED_PX = 256  # §2: shorter side 256, then the central 256×256 patch, from which crops are cut


@dataclass(frozen=True)
class Rates:
    """What holds during one epoch: the learning rates of each stage's weights and biases, and the color shift."""

    weights: dict[str, float]
    biases: dict[str, float]
    has_color_shift: bool = True

    @property
    def can_all_learn(self) -> bool:
        """Whether no stage is frozen."""
        return all(rate > 0 for rate in (*self.weights.values(), *self.biases.values()))

    @property
    def general(self) -> float:
        """The learning rate of the last stage, which follows every general line of a schedule."""
        return list(self.weights.values())[-1]


@dataclass(frozen=True)
class At:
    """One line of a schedule: from this epoch on, these rates, for these stages (all when none is named).

    A stage that was named follows only the lines that name it, as conv1 does in the 2012 notebook.
    """

    epoch: int
    learning_rate: float | None = None
    bias_learning_rate: float | None = None
    color_shift: bool | None = None
    stages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Script:
    """A schedule written down in advance: the changes that the 2012 author made by hand, with their epochs."""

    at: tuple[At, ...] = ()
    needs_validation: ClassVar[bool] = False

    def rates(self, training: "Training", stages: Sequence[Stage], *, epoch: int, errors: Sequence[float]) -> Rates:  # noqa: ARG002 -- does not follow the errors
        """The rates of an epoch, counted from 1."""
        lines = [line for line in self.at if line.epoch <= epoch]
        rates = {s.name: _last(lines, s.name, "learning_rate", training.learning_rate) for s in stages}
        biases = {s.name: _last(lines, s.name, "bias_learning_rate", training.bias_learning_rate) for s in stages}
        shifts = [line.color_shift for line in lines if line.color_shift is not None]
        factor = training.learning_rate_factor
        weights = {s.name: factor * rates[s.name] * s.learning_rate_factor for s in stages}
        return Rates(weights, {n: factor * rate for n, rate in biases.items()}, shifts[-1] if shifts else True)

    def squeezed(self, epochs: int, *, of: int) -> "Script":
        """The same script for another number of epochs, rounded up: 9 in place of 90 train the third as epoch 21."""
        return Script(tuple(replace(line, epoch=1 + _scaled_up(line.epoch - 1, epochs, of)) for line in self.at))

    def description(self, training: "Training", stages: Sequence[Stage]) -> str:
        """The general learning rates in words: `learning rate 0.01; from epoch 4: 0.001`."""
        rates = [self.rates(training, stages, epoch=n, errors=()).general for n in range(1, training.epochs + 1)]
        changes = [n for n in range(1, len(rates)) if rates[n] != rates[n - 1]]
        return "; ".join([f"learning rate {rates[0]:.3g}", *(f"from epoch {n + 1}: {rates[n]:.3g}" for n in changes)])


@dataclass(frozen=True)
class Plateau:
    """Divide the rate when the validation error stops improving, a fixed number of times (§5)."""

    factor: float = cited(10.0, "§5", "divide the learning rate by 10", above=1)
    drops: int = cited(3, "§5", "reduced three times prior to termination", at_least=0)
    patience_epochs: int = cited(5, "silent, chosen", "the paper does not say how long the error must stall")
    needs_validation: ClassVar[bool] = True

    def rates(self, training: "Training", stages: Sequence[Stage], *, epoch: int, errors: Sequence[float]) -> Rates:  # noqa: ARG002 -- follows the errors alone
        """The rates of an epoch, given the validation errors of the epochs before it."""
        fraction = training.learning_rate_factor * self.factor ** -self.drops_after(errors)
        weights = {s.name: training.learning_rate * s.learning_rate_factor * fraction for s in stages}
        return Rates(weights, {s.name: training.bias_learning_rate * fraction for s in stages})

    def drops_after(self, errors: Sequence[float]) -> int:
        """How often the rate has been divided after these validation errors, at most `drops` times.

        A drop comes when the best error is `patience_epochs` old; then the waiting starts anew.
        """
        drops, best, waited = 0, float("inf"), 0
        for error in errors:
            waited = 0 if error < best else waited + 1
            best = min(best, error)
            if waited == self.patience_epochs:
                drops, waited = drops + 1, 0
        return min(drops, self.drops)

    def squeezed(self, epochs: int, *, of: int) -> "Plateau":
        """The same rule for another number of epochs: its patience is squeezed, too."""
        return replace(self, patience_epochs=_scaled_up(self.patience_epochs, epochs, of))

    def description(self, training: "Training", stages: Sequence[Stage]) -> str:
        """The rule in words: `learning rate 0.01, divided by 10 after 5 epochs without improvement`."""
        rate = self.rates(training, stages, epoch=1, errors=()).general
        patience = f"{self.patience_epochs} epoch{'s' if self.patience_epochs > 1 else ''}"
        return f"learning rate {rate:.3g}, divided by {self.factor:g} after {patience} without improvement"


def _last(lines: Sequence[At], stage: str, kind: str, start: float) -> float:
    """The last value for a stage: of the lines that name it, or, if none does, of the general ones."""
    changes = [line for line in lines if getattr(line, kind) is not None]
    following = [line for line in changes if stage in line.stages] or [line for line in changes if not line.stages]
    return float(getattr(following[-1], kind)) if following else start


def _scaled_up(epochs: int, into: int, of: int) -> int:
    """The part of `into` epochs that these are of `of`, rounded up."""
    return -(-epochs * into // of)


@dataclass(frozen=True)
class Training:
    """Stochastic gradient descent with momentum; the defaults are the paper's text (§5)."""

    batch: int = cited(128, "§5", "batch size of 128 examples")
    optimizer: Literal["momentum"] = cited("momentum", "§5", "stochastic gradient descent with momentum")
    momentum: float = cited(0.9, "§5", "momentum of 0.9", below=1)
    weight_decay: float = cited(0.0005, "§5", "weight decay of 0.0005")
    bias_decay: float = cited(0.0, "layer.cu WeightLayer", "the rule is printed for weights; biases have none")
    learning_rate: float = cited(0.01, "§5", "initialized at 0.01")
    bias_learning_rate: float = cited(0.01, "§5", "an equal learning rate for all layers")
    learning_rate_factor: float = cited(1.0, "silent, chosen", "times every rate; lower after divergence", above=0)
    epochs: int = cited(90, "§5", "roughly 90 cycles through the training set")
    schedule: Plateau | Script = cited(Plateau(), "§5", "divide by 10 when the validation error stopped improving")
    init_from_stages: tuple[str, ...] = cited(
        (), "§7", "no pre-training; initw.py copies the named stages from an earlier run, which §6 fine-tunes"
    )
    continues: bool = cited(False, "silent, chosen", "begins with all state of an earlier run, at its update")
    images_fraction: float = cited(1.0, "§2", "all of the training images", above=0, at_most=1)
    shuffle_every_epoch: bool = cited(True, "silent, chosen", "a new order each epoch; the 2012 code kept one order")
    precision: Literal["float32", "tf32", "bf16"] = cited(
        "float32", "silent, chosen", "what 2012 hardware computed in; tf32 and bf16 shorten what is multiplied"
    )

    def rates(self, stages: Sequence[Stage], *, epoch: int, errors: Sequence[float] = ()) -> Rates:
        """The learning rates of an epoch, counted from 1, given the validation errors of the epochs before it (§5)."""
        return self.schedule.rates(self, stages, epoch=epoch, errors=errors)


@dataclass(frozen=True)
class ColorShift:
    """A multiple of each principal component of the training pixels, added to the whole image (§4.1)."""

    std: float = cited(0.1, "§4.1", "standard deviation 0.1")
    reading: Literal["deviation", "unit_variance", "variance"] = cited(
        "deviation",
        "convdata_jpeg.py",
        "what λ is: the code multiplies by standard deviations; printed are eigenvalues, of pixels 0-255 or 0-1",
    )
    divide_by: float = cited(1.0, "§4.1", "no rescaling is printed; convdata_jpeg.py divides by 1.1", above=0)


@dataclass(frozen=True)
class Augmentation:
    """What happens to an image on its way into training; the defaults are the paper's text (§4.1)."""

    crops: bool = cited(True, "§4.1", "random 224×224 patches")
    flips: bool = cited(True, "§4.1", "and their horizontal reflections")
    last_offset_px: int = cited(32, "convdata_jpeg.py", "0..32 per axis; the printed 2048 needs 0..31", at_least=0)
    images_per_crop: int = cited(1, "silent, chosen", "images that share a crop and a flip; convdata_jpeg.py: 32")
    stored_px: int = cited(STORED_PX, "§2", "shorter side 256; the networks for CIFAR-10 see its 32")
    resize: ResizeRule = cited(
        "crop", "§2", "then the central patch; stretch: both sides alike; pad: the whole image (convdata_jpeg.py)"
    )
    mean: Literal["aligned", "central", "channel", "scalar"] = cited(
        "aligned",
        "§2",
        "each pixel minus its mean; convdata_jpeg.py subtracts the central part from every crop, or one number from "
        "every pixel (scalar); channel: one mean a channel, as torchvision",
    )
    color_shift: ColorShift | None = cited(ColorShift(), "§4.1", "alter the intensities of the RGB channels")
