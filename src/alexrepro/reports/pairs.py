"""Pairs of runs on the same images: how much more often one of each pair is wrong, image by image. N images."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexrepro.engine.evaluation import Evaluation, Findings
from alexrepro.engine.predictions import Predictions, read_predictions
from alexrepro.errors import Refusal
from alexrepro.progress import say
from alexrepro.reports.comparison import TOPS, what_differs
from alexrepro.reports.difference import Difference
from alexrepro.reports.statistics import difference_interval, mean_and_std, mean_difference_interval

Pairs = Sequence[tuple[Evaluation, Evaluation]]
Differences = Mapping[int, NDArray[np.float64]]


def image_differences(pairs: Pairs) -> Differences | None:
    """For top 1 and top 5, how much more often the first of a pair was wrong than the second: (N,), in -1..1.

    Each is a mean over the pairs. None unless all were tested on the same images and have their predictions still.
    """
    answers = [(_answers(one), _answers(other)) for one, other in pairs]
    known = [(one, other) for one, other in answers if one is not None and other is not None]
    if len(known) < len(pairs) or any(what_differs(known[0][0], found) for pair in known for found in pair):
        return None
    return {
        top: np.mean([one.wrong(top).astype(np.float64) - other.wrong(top) for one, other in known], axis=0)
        for top in TOPS
    }


def pooled_difference(pairs: Pairs, top: int, by_image: Differences | None) -> Difference:
    """The mean over pairs with an interval of the same images where their answers are known, else of two samples."""
    (images, wrong), (base_images, base_wrong) = (_counts([pair[i] for pair in pairs], top) for i in (0, 1))
    if by_image is None:
        low, high = difference_interval(wrong, images, base_wrong=base_wrong, base_images=base_images)
    else:
        found = by_image[top]
        low, high = mean_difference_interval(float(found.sum()), float((found * found).sum()), len(found))
    deltas = [getattr(e, f"top{top}_error") - getattr(b, f"top{top}_error") for e, b in pairs]
    mean = (wrong * base_images - base_wrong * images) / (images * base_images)  # of whole numbers, rounded once
    return Difference(mean, low, high, mean_and_std(deltas)[1])


def _counts(evaluations: Sequence[Evaluation], top: int) -> tuple[int, int]:
    """Images, and those that were answered wrongly."""
    images = sum(e.images for e in evaluations)
    return images, images - sum(getattr(e, f"top{top}_correct") for e in evaluations)


def _answers(evaluation: Evaluation) -> Predictions | None:
    """The predictions behind an evaluation; None if they are gone, or are of another time than its counts."""
    path = Findings(Path(evaluation.run)).predictions(evaluation.split, evaluation.views)
    if not path.exists():
        return None
    try:
        found = read_predictions(path)
    except Refusal as refusal:
        say(f"Passed over: {refusal.what}")
        return None
    counted = (evaluation.store, evaluation.epochs, evaluation.top1_correct, evaluation.top5_correct)
    right = [int((~found.wrong(top)).sum()) for top in TOPS]
    return found if (found.about.store, found.about.epochs, *right) == counted else None
