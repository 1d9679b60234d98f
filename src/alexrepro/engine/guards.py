"""What ends a run that cannot come to anything: a loss that is no number, one that stays at chance, too little memory.

Each says what it saw and what to do, since a run that stalls at ln(classes) tells nothing of its own.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import log

import torch
from torch import Tensor

from alexrepro.engine.probe import signals
from alexrepro.errors import Exit, Refusal
from alexrepro.model.alexnet import AlexNet
from alexrepro.recipes.recipe import Recipe

PATIENCE = 2_000  # updates before a loss may be called flat; #145 has left chance after some hundred
WINDOW = 500  # updates whose mean is compared
NEAR = 0.995  # of ln(classes)
SHOWN_IMAGES = 5
WEAK_SIGNAL = 0.025  # deviation over the images as a share of the mean, at the last hidden stage; 0.13 in #145


class FlatLoss:
    """Watches losses for one that stays at chance, ln(classes) in nats."""

    def __init__(self, classes: int) -> None:
        self.chance = log(classes)
        self.losses: deque[float] = deque(maxlen=WINDOW)

    def add(self, losses: Iterable[float]) -> None:
        """Take the next losses in."""
        self.losses.extend(losses)

    @property
    def mean(self) -> float:
        """The mean over the window."""
        return sum(self.losses) / max(1, len(self.losses))

    def is_flat(self, step: int) -> bool:
        """Whether a whole window of a run of so many updates lies at chance."""
        return step >= PATIENCE and len(self.losses) == WINDOW and self.mean >= NEAR * self.chance


def flat_refusal(found: FlatLoss, step: int, *, recipe: Recipe, model: AlexNet, views: Tensor, labels: Tensor,
                 rate: float) -> Refusal:  # fmt: skip
    """The refusal of a flat loss, with the cause as far as a batch shows it (§5; response and gradient by stage)."""
    seen = signals(model, views, labels)
    hidden, first = seen.stages[-2], seen.stages[0]
    share = hidden.response_std / abs(hidden.response_mean) if hidden.response_mean else 0.0
    facts = [
        f"views have a deviation of {views.float().std().item():.3g} (raw pixels: about 70)",
        f"{hidden.stage} answers {hidden.response_mean:.3g} on average and changes by {hidden.response_std:.2g} from "
        f"image to image ({share:.1%})",
        f"an update moves {first.stage} by {first.update_ratio(rate):.1e} of its weights at the rate {rate:g}",
    ]
    fix = "Try as-run-2012, or go on with --allow-flat-loss."
    if share < WEAK_SIGNAL:
        fix = "The constant hides the images: raise network.conv3.weight_std to 0.03, as as-run-2012 has it. " + fix
    return Refusal(
        f"After {step:,} updates the loss is {found.mean:.4f}, as for guessing among {recipe.network.classes:,} "
        f"classes ({found.chance:.4f}): {'; '.join(facts)}.",
        fix=fix,
        exit_code=Exit.BAD_DATA,
    )


def not_finite(loss: float, step: int, *, rate: float, images: Sequence[str]) -> Refusal:
    """The refusal of a loss that is no number, with the first images of its batch."""
    more = f" and {len(images) - SHOWN_IMAGES} more" if len(images) > SHOWN_IMAGES else ""
    shown = ", ".join(images[:SHOWN_IMAGES])
    return Refusal(
        f"The loss became {loss} at update {step:,}, at the rate {rate:g}, on {shown}{more}.",
        fix="Continue from the last checkpoint with a lower rate: --set training.rate=0.005.",
        exit_code=Exit.BAD_DATA,
    )


@contextmanager
def enough_memory(device: torch.device, *, batch: int) -> Iterator[None]:
    """Turn a device that is out of memory into a refusal that names a batch that would fit."""
    before = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
    try:
        yield
    except torch.OutOfMemoryError as error:
        advice = "Give a smaller one: --batch N."
        if device.type == "cuda":
            total = torch.cuda.mem_get_info(device)[1]
            advice = (
                f"One of {fitting(batch, before, torch.cuda.max_memory_allocated(device), total)} should: --batch N."
            )
        reason = str(error).partition(". ")[0].rstrip(".")
        raise Refusal(
            f"A batch of {batch} does not fit into the memory of {device}: {reason}.",
            fix=f"{advice} It changes the training; the paper's is 128.",
            exit_code=Exit.OUT_OF_MEMORY,
        ) from None


def fitting(batch: int, fixed: int, peak: int, total: int) -> int:
    """The largest power of two below a batch that should fit, from the bytes that it needed beyond the fixed ones.

    Memory beyond weights and velocities grows with the batch; a tenth of the total is left free.
    """
    an_image = max(1.0, (peak - fixed) / batch)
    most = max(1, min(batch - 1, int((total - total // 10 - fixed) / an_image)))
    return int(2 ** (most.bit_length() - 1))
