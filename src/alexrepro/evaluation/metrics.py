"""From averaged probabilities to top-5 classes, ranks, losses and exact counts of correct images (§2).

Ties: the lower class index wins, so a network with uniform outputs gets no credit.
The 2012 code shares the credit between equals (layer_kernels.cu); `tied` counts the images for which this matters.
B batch, K classes, G = min(5, K).
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from alexrepro.runs.evaluation import TOP


class Counts(NamedTuple):
    """Correct images, and the sum of -log p of their true classes.

    tied: images that would count differently if equal probabilities were ordered differently.
    """

    images: int
    top1_correct: int
    top5_correct: int
    loss_sum: float
    tied: int = 0


class Scores(NamedTuple):
    """The result for each image of a batch; the last three are undefined without labels.

    top5: (B, G) classes, the most probable first; probabilities: (B, G) theirs. ranks: (B,) the number of classes
    ahead of the true one: 0 if the top-1 prediction is correct, below 5 if the top-5 prediction is. log_probs: (B,)
    float64, log p of the true class. tied: (B,) whether the order of equal probabilities decides about the image.
    """

    top5: Tensor
    probabilities: Tensor
    ranks: Tensor
    log_probs: Tensor
    tied: Tensor

    def counts(self) -> Counts:
        """Correct images and sums over this batch."""
        return Counts(
            images=len(self.ranks),
            top1_correct=int((self.ranks < 1).sum()),
            top5_correct=int((self.ranks < TOP).sum()),
            loss_sum=-float(self.log_probs.sum()),
            tied=int(self.tied.sum()),
        )


def score(probabilities: Tensor, labels: Tensor) -> Scores:
    """The scores of probabilities (B, K); labels: (B,), -1 where unlabeled."""
    labels = labels.clamp_min(0)[:, None]
    ordered = probabilities.sort(dim=1, descending=True, stable=True)
    true = probabilities.gather(1, labels)
    ahead, equal = (probabilities > true).sum(1), (probabilities == true).sum(1) - 1
    # Some orders of the equal classes put the true one among the first, or the first five, and others do not.
    tied = [(ahead < top) & (ahead + equal >= top) for top in (1, TOP)]
    floor = torch.finfo(torch.float32).tiny
    return Scores(
        top5=ordered.indices[:, :TOP],
        probabilities=ordered.values[:, :TOP],
        ranks=(ordered.indices == labels).int().argmax(1),
        log_probs=true[:, 0].double().clamp_min(floor).log(),
        tied=tied[0] | tied[1],
    )


def total(parts: Iterable[Counts]) -> Counts:
    """The counts of all parts together."""
    return Counts(*map(sum, zip(*parts, strict=True)))
