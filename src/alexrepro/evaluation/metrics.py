"""Counting: from averaged probabilities to guesses, ranks, losses and exact counts of right answers (§2).

Among equal probabilities the lower class number counts as larger, so that a network that says the same of every class
earns nothing. The 2012 code shares the credit instead (layer_kernels.cu); how many images hang on it is counted.
B batch, K classes, G guesses (five, or K if that is less).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from alexrepro.runs.evaluation import GUESSES

COLUMNS = ("guesses", "chances", "ranks", "log_chances", "tied")


@dataclass(frozen=True)
class Counts:
    """Right answers among so many images, and the sum of -log p of the true classes.

    tied: images whose top-1 or top-5 answer would differ if equal probabilities counted the other way.
    """

    images: int
    top1_correct: int
    top5_correct: int
    loss_sum: float
    tied: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        """The counts of both."""
        return Counts(
            self.images + other.images, self.top1_correct + other.top1_correct, self.top5_correct + other.top5_correct,
            self.loss_sum + other.loss_sum, self.tied + other.tied,
        )  # fmt: skip


@dataclass(frozen=True)
class Answers:
    """What a network answers for some images; without labels the last four say nothing.

    guesses: (B, G) classes, the most probable first; chances: (B, G) their probabilities. ranks: (B,) how many classes
    come before the true one: 0 for a right top-1 answer, below 5 for a right top-5 answer. log_chances: (B,) float64,
    log p of the true class. tied: (B,) whether the answer hangs on the rule for equal probabilities.
    """

    guesses: Tensor
    chances: Tensor
    ranks: Tensor
    log_chances: Tensor
    tied: Tensor

    def counts(self) -> Counts:
        """Right answers and sums over these images."""
        return Counts(
            images=len(self.ranks),
            top1_correct=int((self.ranks < 1).sum()),
            top5_correct=int((self.ranks < GUESSES).sum()),
            loss_sum=-float(self.log_chances.sum()),
            tied=int(self.tied.sum()),
        )

    def cpu(self) -> "Answers":
        """The same in host memory."""
        return joined([self], device=torch.device("cpu"))


def answers(probabilities: Tensor, labels: Tensor) -> Answers:
    """The answers that lie in probabilities (B, K); labels: (B,), -1 where unlabeled."""
    labels = labels.clamp_min(0)[:, None]
    ordered = probabilities.sort(dim=1, descending=True, stable=True)
    guesses = ordered.indices[:, :GUESSES]
    true = probabilities.gather(1, labels)
    ahead, level = (probabilities > true).sum(1), (probabilities == true).sum(1) - 1
    floor = torch.finfo(torch.float32).tiny
    return Answers(
        guesses=guesses,
        chances=ordered.values[:, :GUESSES],
        ranks=(ordered.indices == labels).int().argmax(1),
        log_chances=true[:, 0].double().clamp_min(floor).log(),
        tied=_hangs_on_ties(ahead, level, 1) | _hangs_on_ties(ahead, level, GUESSES),
    )


def joined(parts: Sequence[Answers], device: torch.device | None = None) -> Answers:
    """The answers for the images of several parts, in their order, on a device."""
    columns = {name: torch.cat([getattr(part, name) for part in parts]).to(device) for name in COLUMNS}
    return Answers(**columns)


def _hangs_on_ties(ahead: Tensor, level: Tensor, top: int) -> Tensor:
    """Whether the true class is among the `top` for some orders of the classes level with it, but not for all, (B,)."""
    return (ahead < top) & (ahead + level >= top)
