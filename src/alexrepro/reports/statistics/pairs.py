"""Pairs of runs of the same seed: how much more often one of each pair is wrong. N images, S pairs."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from alexrepro.reports.statistics.comparison import TOPS
from alexrepro.reports.statistics.difference import Difference
from alexrepro.reports.statistics.intervals import mean_and_std, seeds_interval, unpaired_interval
from alexrepro.reports.tables.answers import sample, wrong_by_image
from alexrepro.runs.evaluation import Evaluation

Pairs = Sequence[tuple[Evaluation, Evaluation]]
Differences = Mapping[int, NDArray[np.float64]]


def image_differences(pairs: Pairs) -> Differences | None:
    """For top 1 and top 5, by how much the first of each pair was wrong where the second was not: (N, S), in -1..1.

    None unless all were tested on the same images and still have their predictions.
    """
    wrong = wrong_by_image([evaluation for pair in pairs for evaluation in pair])
    if wrong is None:
        return None
    return {top: wrong[top][:, ::2].astype(np.float64) - wrong[top][:, 1::2] for top in TOPS}


def pooled_difference(pairs: Pairs, top: int, by_image: Differences | None) -> Difference:
    """The mean over pairs, with a paired interval where the answers to the same images are known, else an unpaired one.

    The unpaired interval is that of two samples of images.
    """
    groups = [[pair[i] for pair in pairs] for i in (0, 1)]
    if by_image is not None:
        low, high = seeds_interval(by_image[top])
    else:
        one, other = (sample(group, top, wrong_by_image(group) if len(group) > 1 else None) for group in groups)
        low, high = unpaired_interval(one, other)
    deltas = [getattr(e, f"top{top}_error") - getattr(b, f"top{top}_error") for e, b in pairs]
    (images, wrong), (base_images, base_wrong) = (_counts(group, top) for group in groups)
    mean = (wrong * base_images - base_wrong * images) / (images * base_images)  # of whole numbers, rounded once
    return Difference(mean, low, high, mean_and_std(deltas)[1])


def _counts(evaluations: Sequence[Evaluation], top: int) -> tuple[int, int]:
    """Images, and those that were answered wrongly."""
    images = sum(e.images for e in evaluations)
    return images, images - sum(getattr(e, f"top{top}_correct") for e in evaluations)
