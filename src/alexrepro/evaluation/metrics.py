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
    """Right answers among so many images, and the sums of -log p of the true classes and of the hierarchical costs.

    tied: images whose top-1 or top-5 answer would differ if equal probabilities counted the other way.
    """

    images: int
    top1_correct: int
    top5_correct: int
    loss_sum: float
    cost_sum: int | None = None
    tied: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        """The counts of both; costs where both have them."""
        costs = None if self.cost_sum is None or other.cost_sum is None else self.cost_sum + other.cost_sum
        return Counts(
            self.images + other.images, self.top1_correct + other.top1_correct, self.top5_correct + other.top5_correct,
            self.loss_sum + other.loss_sum, costs, self.tied + other.tied,
        )  # fmt: skip


@dataclass(frozen=True)
class Answers:
    """What a network answers for some images; without labels the last four say nothing.

    guesses: (B, G) classes, the most probable first; chances: (B, G) their probabilities. ranks: (B,) how many classes
    come before the true one: 0 for a right top-1 answer, below 5 for a right top-5 answer. log_chances: (B,) float64,
    log p of the true class. tied: (B,) whether the answer hangs on the rule for equal probabilities. costs: (B,) least
    hierarchical cost among the guesses (ILSVRC-2010's devkit), where the data set has costs.
    """

    guesses: Tensor
    chances: Tensor
    ranks: Tensor
    log_chances: Tensor
    tied: Tensor
    costs: Tensor | None

    def counts(self) -> Counts:
        """Right answers and sums over these images."""
        return Counts(
            images=len(self.ranks),
            top1_correct=int((self.ranks < 1).sum()),
            top5_correct=int((self.ranks < GUESSES).sum()),
            loss_sum=-float(self.log_chances.sum()),
            cost_sum=None if self.costs is None else int(self.costs.sum(dtype=torch.int64)),
            tied=int(self.tied.sum()),
        )

    def cpu(self) -> "Answers":
        """The same in host memory."""
        return joined([self], device=torch.device("cpu"))


def answers(probabilities: Tensor, labels: Tensor, costs: Tensor | None = None) -> Answers:
    """The answers that lie in probabilities (B, K); labels: (B,), -1 where unlabeled.

    costs: (K, K), the hierarchical cost of each guess for each true class, where the data set has them.
    """
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
        costs=None if costs is None else costs[guesses, labels].amin(1),
    )


def joined(parts: Sequence[Answers], device: torch.device | None = None) -> Answers:
    """The answers for the images of several parts, in their order, on a device."""
    costs = [part.costs for part in parts if part.costs is not None]
    columns = {name: torch.cat([getattr(part, name) for part in parts]).to(device) for name in COLUMNS}
    return Answers(**columns, costs=torch.cat(costs).to(device) if costs else None)


def _hangs_on_ties(ahead: Tensor, level: Tensor, top: int) -> Tensor:
    """Whether the true class is among the `top` for some orders of the classes level with it, but not for all, (B,)."""
    return (ahead < top) & (ahead + level >= top)
