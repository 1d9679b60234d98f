"""The saved answers behind evaluations: who was wrong on which image, for runs tested on the same images.

N images, S seeds.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexrepro.errors import UserError
from alexrepro.progress import say
from alexrepro.reports.statistics.comparison import TOPS, what_differs
from alexrepro.reports.statistics.intervals import Sample, sample_of, sample_of_counts
from alexrepro.runs.evaluation import Evaluation, EvaluationFiles
from alexrepro.runs.predictions import Predictions, read_predictions

Wrong = Mapping[int, NDArray[np.bool_]]


def wrong_by_image(evaluations: Sequence[Evaluation]) -> Wrong | None:
    """For top 1 and top 5, whether each evaluation is wrong on each image, (N, S).

    None unless all were tested on the same images and still have their predictions.
    """
    found: list[Predictions] = []
    for evaluation in evaluations:
        answers = known_answers(evaluation)
        if answers is None or (found and what_differs(found[0], answers)):
            return None
        found.append(answers)
    return {top: np.stack([answers.wrong(top) for answers in found], axis=1) for top in TOPS}


def sample(evaluations: Sequence[Evaluation], top: int, wrong: Wrong | None) -> Sample:
    """The errors of evaluations that differ in the seed only: from their answers, or from counts if those are gone."""
    if wrong is not None:
        return sample_of(wrong[top])
    images = evaluations[0].images
    return sample_of_counts([images - getattr(e, f"top{top}_correct") for e in evaluations], images)


def known_answers(evaluation: Evaluation) -> Predictions | None:
    """The predictions behind an evaluation; None if they are gone, or are older or newer than its counts."""
    path = EvaluationFiles(Path(evaluation.run)).predictions(evaluation.split, evaluation.crops)
    if not path.exists():
        return None
    try:
        found = read_predictions(path)
    except UserError as refusal:
        say(f"Passed over: {refusal.what}")
        return None
    counted = (evaluation.store, evaluation.epochs, evaluation.top1_correct, evaluation.top5_correct)
    right = [int((~found.wrong(top)).sum()) for top in TOPS]
    return found if (found.about.store, found.about.epochs, *right) == counted else None
