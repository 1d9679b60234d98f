"""How the network was trained and what it was shown: §4.1, §4.2 and §5 as data.

Epochs count from 1, as in the 2012 notebook: a switch at epoch 25 holds from the first update of epoch 25 on.
"""

from dataclasses import dataclass
from typing import Literal

from alexrepro.paper.citation import cited

Fit = Literal["cropped", "warped", "padded"]
STORED_PX = 256  # §2: shorter side 256, then the central 256×256 patch, from which crops are cut


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


@dataclass(frozen=True)
class Decay:
    """The author's later schedules: the rates fall by equal factors, the rest is written down as in a Script.

    A rate reaches its end in as many levels of equal length, or, with no number of levels, by a little every epoch.
    """

    end: float = cited(4e-5, "layer-params-170.cfg schedW", "base 0.01, in all divided by 250")
    levels: int | None = cited(4, "layer-params-170.cfg schedW", "dexp: 4 levels, the last one the end; none: exp")
    bias_end: float = cited(2e-3, "layer-params-170.cfg schedB", "base 0.02, in all divided by 10")
    bias_levels: int | None = cited(2, "layer-params-170.cfg schedB", "dexp: 2 levels, the last one the end; none: exp")
    at: tuple[At, ...] = ()

    def rate_at(self, epoch: int, *, start: float, epochs: int) -> float:
        """The general rate of the weights in an epoch, counted from 1."""
        return _decayed(start, self.end, self.levels, (epoch - 1, epochs))

    def bias_rate_at(self, epoch: int, *, start: float, epochs: int) -> float:
        """The general rate of the biases in an epoch, counted from 1."""
        return _decayed(start, self.bias_end, self.bias_levels, (epoch - 1, epochs))


def _decayed(start: float, end: float, levels: int | None, progress: tuple[int, int]) -> float:
    """A rate after so many of all epochs, on its way from the start to the end (lr.cu ExpLRS, DiscreteExpLRS)."""
    done, epochs = progress
    if levels is None:
        share = done / max(1, epochs - 1)
    else:
        share = min(done * levels // epochs, levels - 1) / max(1, levels - 1)
    learning_rate: float = start * (end / start) ** share
    return learning_rate


@dataclass(frozen=True)
class Plateau:
    """Divide the rate when the validation error stops improving, a fixed number of times (§5)."""

    factor: float = cited(10.0, "§5", "divide the learning rate by 10", above=1)
    drops: int = cited(3, "§5", "reduced three times prior to termination", at_least=0)
    patience_epochs: int = cited(5, "silent, chosen", "the paper does not say how long the error must stall")


@dataclass(frozen=True)
class Training:
    """Stochastic gradient descent with momentum; the defaults are the paper's text (§5)."""

    batch: int = cited(128, "§5", "batch size of 128 examples")
    momentum: float = cited(0.9, "§5", "momentum of 0.9", below=1)
    weight_decay: float = cited(0.0005, "§5", "weight decay of 0.0005")
    bias_decay: float = cited(0.0, "layer.cu WeightLayer", "the rule is printed for weights; biases have none")
    learning_rate: float = cited(0.01, "§5", "initialized at 0.01")
    bias_learning_rate: float = cited(0.01, "§5", "an equal learning rate for all layers")
    learning_rate_factor: float = cited(
        1.0, "silent, chosen", "multiplies all rates of the schedule; lower after divergence", above=0
    )
    epochs: int = cited(90, "§5", "roughly 90 cycles through the training set")
    schedule: Plateau | Script | Decay = cited(
        Plateau(), "§5", "divide by 10 when the validation error stopped improving"
    )
    init_from_stages: tuple[str, ...] = cited(
        (), "§7", "no pre-training; initw.py copies the named stages from an earlier run, which §6 fine-tunes"
    )
    continues: bool = cited(False, "silent, chosen", "begins with all state of an earlier run, at its update")
    shuffle_every_epoch: bool = cited(True, "silent, chosen", "a new order each epoch; the 2012 code kept one order")
    precision: Literal["float32", "tf32", "bf16"] = cited(
        "float32", "silent, chosen", "what 2012 hardware computed in; tf32 and bf16 shorten what is multiplied"
    )


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
    square: Fit = cited(
        "cropped", "§2", "then the central patch; warped: both sides alike; padded: the whole image (convdata_jpeg.py)"
    )
    mean: Literal["aligned", "central", "channel", "scalar"] = cited(
        "aligned",
        "§2",
        "each pixel minus its mean; convdata_jpeg.py subtracts the central part from every crop, or one number from "
        "every pixel (scalar); channel: one mean a channel, as torchvision",
    )
    color_shift: ColorShift | None = cited(ColorShift(), "§4.1", "alter the intensities of the RGB channels")
