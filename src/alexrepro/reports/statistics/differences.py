"""A minus B: two networks, two kinds of crops or two splits, paired by image where both predictions are saved.

N images, S seeds. Differences are fractions of images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from alexrepro.errors import Exit, UserError
from alexrepro.progress import say
from alexrepro.reports.statistics.intervals import (
    Estimate,
    Sample,
    mcnemar,
    mean_and_std,
    paired_interval,
    sample_of,
    sample_of_counts,
    seeds_interval,
    unpaired_interval,
)
from alexrepro.runs.evaluation import Evaluation, EvaluationFiles
from alexrepro.runs.predictions import Predictions, read_predictions

TOPS = (1, 5)
Pairs = Sequence[tuple[Evaluation, Evaluation]]  # A and B with the same seed
Wrong = Mapping[int, NDArray[np.bool_]]  # by top-k, (N, S)
Pairing = Literal["paired", "unpaired"]


@dataclass(frozen=True)
class Comparison:
    """Two networks on the same images; the difference is the second error minus the first, with a paired interval."""

    first: str
    second: str
    split: str
    crops: str
    top: int
    images: int
    both_wrong: int
    only_first_wrong: int
    only_second_wrong: int
    first_error: float
    second_error: float
    difference: float
    difference_low: float
    difference_high: float
    exact_p: float
    mid_p: float


def compare(first: Path, second: Path) -> list[Comparison]:
    """Top-1 and top-5 errors of two run or ensemble folders, for every split and crops that both were evaluated on.

    Raises UserError if they share no labeled split and crops, or were evaluated on different images.
    """
    one, other = (EvaluationFiles(folder).all_predictions for folder in (first, second))
    shared = [name for name in one if name in other]
    if not shared:
        has = (f"{folder} has {', '.join(names) or 'none'}" for folder, names in ((first, one), (second, other)))
        raise UserError(
            f"The two have no predictions for the same split and crops: {'; '.join(has)}.",
            fix="Evaluate both the same way: alexrepro evaluate RUN, with or without --ten-crop.",
            exit_code=Exit.MISSING_INPUT,
        )
    return [
        _compared(read_predictions(one[name]), read_predictions(other[name]), top, folders=(first, second))
        for name in shared
        for top in TOPS
    ]


def wrong_by_image(evaluations: Sequence[Evaluation]) -> Wrong | None:
    """Whether each evaluation is wrong on each image, by top-k, (N, S).

    None unless all were made on the same images and their predictions are still there.
    """
    found: list[Predictions] = []
    for evaluation in evaluations:
        predictions = _predictions_of(evaluation)
        if predictions is None or (found and _what_differs(found[0], predictions)):
            return None
        found.append(predictions)
    return {top: np.stack([predictions.wrong(top) for predictions in found], axis=1) for top in TOPS}


def sample(evaluations: Sequence[Evaluation], top: int, wrong: Wrong | None) -> Sample:
    """The errors of evaluations that differ in the seed only: by image, or from counts where `wrong` is None."""
    if wrong is not None:
        return sample_of(wrong[top])
    images = evaluations[0].images
    return sample_of_counts([images - correct(e, top) for e in evaluations], images)


def image_differences(pairs: Pairs) -> Mapping[int, NDArray[np.float64]] | None:
    """Wrong in A minus wrong in B, by top-k, (N, S) in -1..1; None where `wrong_by_image` is."""
    wrong = wrong_by_image([evaluation for pair in pairs for evaluation in pair])
    if wrong is None:
        return None
    return {top: wrong[top][:, ::2].astype(np.float64) - wrong[top][:, 1::2] for top in TOPS}


def estimate_differences(pairs: Pairs) -> tuple[Estimate, Estimate, Pairing]:
    """The mean top-1 and top-5 difference over seeds, with a paired interval where the images allow it."""
    by_image = image_differences(pairs)
    groups = [[pair[i] for pair in pairs] for i in (0, 1)]
    found = []
    for top in TOPS:
        if by_image is not None:
            low, high = seeds_interval(by_image[top])
        else:
            one, other = (sample(group, top, wrong_by_image(group) if len(group) > 1 else None) for group in groups)
            low, high = unpaired_interval(one, other)
        images, base_images = (sum(e.images for e in group) for group in groups)
        wrong, base_wrong = (sum(e.images - correct(e, top) for e in group) for group in groups)
        mean = (wrong * base_images - base_wrong * images) / (images * base_images)  # whole numbers, rounded once
        deltas = [getattr(a, f"top{top}_error") - getattr(b, f"top{top}_error") for a, b in pairs]
        found.append(Estimate(mean, low, high, mean_and_std(deltas)[1]))
    return found[0], found[1], "unpaired" if by_image is None else "paired"


def correct(evaluation: Evaluation, top: int) -> int:
    """The number of images whose class is among the top k."""
    return evaluation.top1_correct if top == 1 else evaluation.top5_correct


def _predictions_of(evaluation: Evaluation) -> Predictions | None:
    """The predictions behind an evaluation; None if they are missing, damaged, or from another checkpoint."""
    path = EvaluationFiles(Path(evaluation.run)).predictions(evaluation.split, evaluation.crops)
    if not path.exists():
        return None
    try:
        found = read_predictions(path)
    except UserError as error:
        say(f"Skipped: {error.what}")
        return None
    counted = (evaluation.store, evaluation.epochs, *(correct(evaluation, top) for top in TOPS))
    right = [int((~found.wrong(top)).sum()) for top in TOPS]
    return found if (found.about.store, found.about.epochs, *right) == counted else None


def _what_differs(one: Predictions, other: Predictions) -> str | None:
    """What distinguishes the images of two predictions; None if they are the same in the same order."""
    for name in ("split", "store", "classes"):
        if getattr(one.about, name) != getattr(other.about, name):
            return name
    return "file names" if one.names != other.names or (one.labels != other.labels).any() else None


def _compared(one: Predictions, other: Predictions, top: int, *, folders: tuple[Path, Path]) -> Comparison:
    first, second = map(str, folders)
    differing = "crops" if one.about.crops != other.about.crops else _what_differs(one, other)
    if differing:
        raise UserError(
            f"{first} and {second} were evaluated on different images: {differing}.",
            fix="Evaluate both on the same store: alexrepro evaluate RUN --store STORE.",
        )
    if (one.labels < 0).any():
        raise UserError(f"{one.about.split} has no labels.", fix="Compare on a labeled split.")
    wrong, also = one.wrong(top), other.wrong(top)
    images, both = len(wrong), int((wrong & also).sum())
    only_first, only_second = int((wrong & ~also).sum()), int((also & ~wrong).sum())
    return Comparison(
        first, second, one.about.split, one.about.crops, top, images, both, only_first, only_second,
        (both + only_first) / images, (both + only_second) / images, (only_second - only_first) / images,
        *paired_interval(only_first, only_second, images), *mcnemar(only_first, only_second),
    )  # fmt: skip
