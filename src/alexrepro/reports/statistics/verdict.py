"""Whether a measurement is comparable with a published number, and whether it reproduces it.

A published number is reproduced if it lies in the measured 95 % interval and no further from the measurement than
repeated runs of one network differ. If only one of the two holds, it is within noise, as is a difference that cannot be
distinguished from zero: a wide interval, from few images or seeds, confirms nothing. A slip of the paper is a printed
number that contradicts what the paper itself describes: nothing could reproduce it.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

from alexrepro.errors import UserError
from alexrepro.paper.results import CLASSES, IMAGES, release_of
from alexrepro.recipes.catalog import TOLERANCE, catalog, find_recipe
from alexrepro.recipes.variations import VARIATIONS
from alexrepro.reports.statistics.intervals import Estimate
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.run import Run

Verdict = Literal["reproduced", "within noise", "not reproduced", "slip of the paper", "not comparable", "not run"]
ORDER: tuple[Verdict, ...] = (
    "not reproduced", "within noise", "reproduced", "slip of the paper", "not comparable", "not run"
)  # fmt: skip
ROUNDING = 0.001 / 2  # published with one digit of a percent
LEAST = 0.99  # of the training images: a few unreadable files do not make it another training
Pair = tuple[float | None, float | None]


def judged(published: Pair, measured: tuple[Estimate, Estimate], *, is_difference: bool = False) -> Verdict:
    """The verdict on a published top-1 and top-5 number, at least one of them given: that of the worse one."""
    return strongest(
        _judge(number, estimate, tolerance, is_difference=is_difference)
        for number, estimate, tolerance in zip(published, measured, TOLERANCE, strict=True)
        if number is not None
    )


def strongest(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that counts of several on one claim: a measurement before none, the worse before the better."""
    return min(verdicts, key=ORDER.index)


def departure(evaluation: Evaluation) -> str:
    """How a run, or members of an ensemble, differ from the catalog's recipe on all images; empty if not."""
    return notes(text for one in _singles(evaluation) for text in (_lacks(one), _change(one)))


def shortfall(evaluation: Evaluation) -> str:
    """Which test images, classes or training images of the official data set are missing; empty on other data."""
    return notes(map(_lacks, _singles(evaluation)))


def notes(texts: Iterable[str]) -> str:
    """Several remarks as one, each once and without the empty ones."""
    return "; ".join(dict.fromkeys(filter(None, texts)))


def trained_on(images: int, dataset: str, *, bound: str = "") -> str:
    """How few of the official training images a run has seen; empty if (nearly) all, or on other data."""
    official = IMAGES.get(f"{release_of(dataset)}-train")
    if official is None or images >= LEAST * official:
        return ""
    return f"trained on {bound}{images:,} of {official:,} images"


def _judge(published: float, measured: Estimate, tolerance: float, *, is_difference: bool) -> Verdict:
    assert measured.low is not None
    assert measured.high is not None
    is_inside = measured.low - ROUNDING <= published <= measured.high + ROUNDING
    is_near = abs(measured.mean - published) <= tolerance
    if not (is_inside or is_near):
        return "not reproduced"
    settles = is_inside and is_near and not (is_difference and measured.low <= 0 <= measured.high)
    return "reproduced" if settles else "within noise"


def _singles(evaluation: Evaluation) -> list[Evaluation]:
    """The evaluation of a run itself; of an ensemble one for each member."""
    members = [
        replace(evaluation, run=m.run, recipe=m.recipe, digest=m.digest, epochs=m.epochs) for m in evaluation.members
    ]
    return members or [evaluation]


def _lacks(evaluation: Evaluation) -> str:
    """What is missing of a released data set; a run has seen at most its batches per epoch times the batch."""
    split, dataset = release_of(evaluation.split), release_of(evaluation.dataset)
    counts = (
        (evaluation.images, IMAGES.get(split), "images"),
        (evaluation.classes, CLASSES.get(dataset), "classes"),
    )
    lacks = [
        f"{'an unknown number' if n is None else f'{n:,}'} of {official:,} {what}"
        for n, official, what in counts
        if official not in (None, n)
    ]
    run = Run(Path(evaluation.run))
    with suppress(UserError, OSError):  # an evaluation may have lost its run, and a member is somewhere else
        seen, data = run.environment["steps_per_epoch"] * run.recipe.training.batch, run.environment["dataset"]
        is_other = dataset in CLASSES and release_of(data) != dataset
        lacks.append(f"trained on {data}" if is_other else trained_on(seen, dataset, bound="at most "))
    return ", ".join(filter(None, lacks))


def _change(evaluation: Evaluation) -> str:
    if evaluation.recipe not in catalog():
        base, *variations = evaluation.recipe.split("+")
        is_known = variations and base in catalog() and all(name in VARIATIONS for name in variations)
        return f"{base} with {' and '.join(variations)}" if is_known else f"not in the catalog: {evaluation.recipe}"
    recipe = find_recipe(evaluation.recipe)
    recipe = recipe.for_classes(evaluation.classes or recipe.network.classes)
    is_short = evaluation.epochs < recipe.training.epochs
    asked = {recipe.digest, recipe.shortened(evaluation.epochs).digest if is_short else ""}
    return notes([
        f"shortened to {evaluation.epochs} of {recipe.training.epochs} epochs" if is_short else "",
        "" if evaluation.digest in asked else f"changed: {evaluation.digest} is not {recipe.name}-{recipe.digest}",
    ])  # fmt: skip
