"""Errors and their differences A minus B (two networks, two kinds of crops, two splits) with intervals.

By image where all predictions are saved, else from counts. N images, S seeds; differences are fractions of images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from alexrepro.errors import Exit, UserError
from alexrepro.progress import say
from alexrepro.reports.statistics import intervals
from alexrepro.reports.statistics.intervals import Estimate, Sample
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.paths import RunPaths
from alexrepro.runs.predictions import Predictions, read_predictions

TOPS = (1, 5)
Seeds = Sequence[tuple[Evaluation, ...]]  # for each seed an evaluation, or A and B of a difference
Wrong = Mapping[int, NDArray[np.bool_]]  # by top-k, (N, S)
IntervalKind = Literal["one seed", "by image", "counts only", "paired", "unpaired"]


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

    Raises UserError if they share no split and crops, or were evaluated on different images.
    """
    one, other = (RunPaths(folder).all_predictions for folder in (first, second))
    shared = [name for name in one if name in other]
    if not shared:
        has = (f"{folder} has {', '.join(names) or 'none'}" for folder, names in ((first, one), (second, other)))
        raise UserError(
            f"The two have no predictions for the same split and crops: {'; '.join(has)}.",
            fix="Evaluate both the same way: alexrepro evaluate RUN, with or without --ten-crop.",
            exit_code=Exit.MISSING_INPUT,
        )
    found = []
    for name in shared:
        pair = read_predictions(one[name]), read_predictions(other[name])
        if differing := _what_differs(*pair):
            raise UserError(
                f"{first} and {second} were evaluated on different images: {differing}.",
                fix="Evaluate both on the same store: alexrepro evaluate RUN --store STORE.",
            )
        found += [_compared(*pair, top, folders=(str(first), str(second))) for top in TOPS]
    return found


def estimate(seeds: Seeds) -> tuple[Estimate, Estimate, IntervalKind]:
    """The mean top-1 and top-5 error over seeds, or the mean difference A minus B of pairs of the same seed."""
    groups = list(zip(*seeds, strict=True))
    wrong = wrong_by_image([evaluation for seed in seeds for evaluation in seed])
    is_single, is_paired = len(groups) == 1, len(groups) == 2 and wrong is not None
    outcomes = [wrong] if is_single else [wrong_by_image(group) for group in groups if not is_paired]
    found = []
    for top in TOPS:
        samples = [_sample(group, top, known) for group, known in zip(groups, outcomes, strict=False)]
        if wrong is not None and is_paired:  # A and B alternate
            low, high = intervals.seeds_interval(wrong[top][:, ::2].astype(np.float64) - wrong[top][:, 1::2])
        else:
            low, high = samples[0].interval if is_single else intervals.unpaired_interval(*samples)
        rates = [Fraction(sum(e.images - correct(e, top) for e in g), sum(e.images for e in g)) for g in groups]
        errors = [[1 - correct(e, top) / e.images for e in seed] for seed in seeds]
        std = intervals.mean_and_std([first - sum(others) for first, *others in errors])[1]
        found.append(Estimate(float(rates[0] - sum(rates[1:])), low, high, std))
    kind: IntervalKind = "paired" if is_paired else "unpaired"
    if is_single:
        kind = "one seed" if len(seeds) == 1 else "counts only" if wrong is None else "by image"
    return found[0], found[1], kind


def wrong_by_image(evaluations: Sequence[Evaluation]) -> Wrong | None:
    """Whether each of several evaluations is wrong on each image, by top-k, (N, S).

    None unless all were made on the same images and their predictions are still there; None for a single one.
    """
    found: list[Predictions] = []
    for evaluation in evaluations if len(evaluations) > 1 else ():
        predictions = _predictions_of(evaluation)
        if predictions is None or (found and _what_differs(found[0], predictions)):
            return None
        found.append(predictions)
    return {top: np.stack([one.wrong(top) for one in found], axis=1) for top in TOPS} if found else None


def mean_errors(evaluations: Sequence[Evaluation]) -> tuple[float, float]:
    """The top-1 and top-5 error, each the mean over seeds."""
    return fmean(e.top1_error for e in evaluations), fmean(e.top5_error for e in evaluations)


def correct(evaluation: Evaluation, top: int) -> int:
    """The number of images whose class is among the top k."""
    return evaluation.top1_correct if top == 1 else evaluation.top5_correct


def _sample(evaluations: Sequence[Evaluation], top: int, wrong: Wrong | None) -> Sample:
    if wrong is not None:
        return intervals.sample_of(wrong[top])
    images = evaluations[0].images
    return intervals.sample_of_counts([images - correct(e, top) for e in evaluations], images)


def _predictions_of(evaluation: Evaluation) -> Predictions | None:
    """The predictions behind an evaluation; None if they are missing, damaged, or from another checkpoint."""
    path = RunPaths(Path(evaluation.run)).predictions(evaluation.split, evaluation.crops)
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


def _compared(one: Predictions, other: Predictions, top: int, *, folders: tuple[str, str]) -> Comparison:
    wrong, also = one.wrong(top), other.wrong(top)
    images, both = len(wrong), int((wrong & also).sum())
    only_first, only_second = int((wrong & ~also).sum()), int((also & ~wrong).sum())
    return Comparison(
        *folders, one.about.split, one.about.crops, top, images, both, only_first, only_second,
        (both + only_first) / images, (both + only_second) / images, (only_second - only_first) / images,
        *intervals.paired_interval(only_first, only_second, images), *intervals.mcnemar(only_first, only_second),
    )  # fmt: skip
