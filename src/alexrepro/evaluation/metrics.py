"""From averaged probabilities to top-5 classes, ranks, losses and exact counts of correct images (§2).

Ties: the lower class index wins, so a network with uniform outputs gets no credit.
The 2012 code shares the credit between equals (layer_kernels.cu); `tied` counts the images for which this matters.
B batch, K classes, G = min(5, K).
"""

from collections.abc import Iterable, Sequence
from math import isfinite
from tempfile import TemporaryFile
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexrepro.errors import Exit, UserError
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


class Outcomes(NamedTuple):
    """What is counted of each image of a batch; undefined without labels.

    ranks: (B,) the number of classes ahead of the true one: 0 if the top-1 prediction is correct, below 5 if the top-5
    prediction is. log_probs: (B,) float64, log p of the true class. tied: (B,) whether the order of equal probabilities
    decides about the image.
    """

    ranks: Tensor
    log_probs: Tensor
    tied: Tensor

    def sums(self) -> Tensor:
        """What `counts_of` reads, still on the device: float64 (4,), in which the counts of any batch are exact."""
        counted = (self.ranks < 1, self.ranks < TOP, self.tied)  # a sum would take eight bytes an image
        top1, top5, tied = (each.count_nonzero().double() for each in counted)
        return torch.stack([top1, top5, -self.log_probs.sum(), tied])

    def counts(self) -> Counts:
        """Correct images and sums over this batch."""
        return counts_of(len(self.ranks), self.sums().tolist())


class Scores(NamedTuple):
    """The result for each image of a batch: its most probable classes, and the same as in its outcomes.

    top5: (B, G) classes, the most probable first; probabilities: (B, G) theirs.
    """

    top5: Tensor
    probabilities: Tensor
    ranks: Tensor
    log_probs: Tensor
    tied: Tensor

    @classmethod
    def empty(cls, images: int, *, classes: int, device: torch.device) -> "Scores":
        """Memory for the scores of so many images: of the device, or of a temporary file, not of a CPU's processes."""
        ranked = images, min(TOP, classes)
        kinds: tuple[type[np.generic], ...] = (np.int32, np.float32, np.int32, np.float64, np.bool_)
        pairs = zip(kinds, (ranked, ranked, (images,), (images,), (images,)), strict=True)
        if device.type != "cpu":
            return cls(*(torch.from_numpy(np.empty(shape, kind)).to(device) for kind, shape in pairs))
        return cls(*(torch.from_numpy(_in_file(kind, shape)) for kind, shape in pairs))

    def fill(self, first: int, scores: "Scores") -> None:
        """Take over the scores of some images, the first of which has this number."""
        for own, given in zip(self, scores, strict=True):
            own[first : first + len(given)] = given

    def counts(self) -> Counts:
        """Correct images and sums over this batch."""
        return Outcomes(self.ranks, self.log_probs, self.tied).counts()


def _in_file(kind: type[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    with TemporaryFile() as file:
        return np.memmap(file, kind, "w+", shape=shape)


def counts_of(images: int, sums: Sequence[float]) -> Counts:
    """The counts of some images from their sums. Raises UserError if the outputs were not finite.

    An output that is infinite or NaN makes those of all classes NaN in softmax, and so the loss.
    """
    top1_correct, top5_correct, loss_sum, tied = sums
    if not isfinite(loss_sum):
        raise _not_finite()
    return Counts(images, int(top1_correct), int(top5_correct), loss_sum, int(tied))


def score(probabilities: Tensor, labels: Tensor) -> Scores:
    """The scores of probabilities (B, K); labels: (B,), -1 where unlabeled."""
    return Scores(*most_probable(probabilities), *outcomes_of(probabilities, labels))


def outcomes_of(probabilities: Tensor, labels: Tensor) -> Outcomes:
    """What is counted of probabilities (B, K); labels: (B,), -1 where unlabeled."""
    labels = labels.clamp_min(0)[:, None]
    true, classes = probabilities.gather(1, labels), torch.arange(probabilities.shape[1], device=labels.device)
    is_equal = probabilities == true
    ahead, equal = (probabilities > true).sum(1), is_equal.sum(1) - 1
    # Some orders of the equal classes put the true one among the first, or the first five, and others do not.
    tied = [(ahead < top) & (ahead + equal >= top) for top in (1, TOP)]
    floor = torch.finfo(torch.float32).tiny
    return Outcomes(
        ranks=ahead + (is_equal & (classes < labels)).sum(1),
        log_probs=true[:, 0].double().clamp_min(floor).log(),
        tied=tied[0] | tied[1],
    )


def most_probable(probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """The classes (B, G) of the largest probabilities, and these: found one by one, in a seventh of a sort's time."""
    left, found = probabilities.clone(), list[Tensor]()
    for _ in range(min(TOP, left.shape[1])):
        found.append(left.argmax(1, keepdim=True))  # of equals the first
        left.scatter_(1, found[-1], -1.0)
    top5 = torch.cat(found, 1)
    return top5, probabilities.gather(1, top5)


def total(parts: Iterable[Counts]) -> Counts:
    """The counts of all parts together."""
    return Counts(*map(sum, zip(*parts, strict=True)))


def check_finite(probabilities: Tensor) -> None:
    """Raise UserError if averaged probabilities are not finite; waits for the device."""
    if not bool(probabilities.isfinite().all()):
        raise _not_finite()


def _not_finite() -> UserError:
    return UserError(
        "The network's outputs are not finite: its training diverged.",
        fix="Begin a new run at lower learning rates: alexrepro train RUN --set training.learning_rate_factor=0.5",
        exit_code=Exit.BAD_DATA,
    )
