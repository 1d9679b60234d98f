"""Whether a run has seen the whole data set that the published numbers are about (§2)."""

from pathlib import Path

from alexrepro.errors import UserError
from alexrepro.paper.results import CLASSES, IMAGES, TRAINING_IMAGES
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.run import Run

LEAST = 0.99  # of the training images: a few that could not be read do not make it another training


def shortfall(evaluation: Evaluation) -> str:
    """What the test images, classes or training images lack of the official ones; nothing on other data."""
    lacks = [
        _part(evaluation.images, IMAGES.get(evaluation.split), "images"),
        _part(evaluation.classes, CLASSES.get(evaluation.dataset), "classes"),
        _training(Run(Path(evaluation.run)), evaluation.dataset),
    ]
    found = ", ".join(filter(None, lacks))
    return f"not comparable: {found}" if found else ""


def trained_on(images: int, dataset: str, *, bound: str = "") -> str:
    """How few of the official training images a run has seen; nothing where it saw (nearly) all, or on other data."""
    official = TRAINING_IMAGES.get(dataset)
    if official is None or images >= LEAST * official:
        return ""
    return f"trained on {bound}{images:,} of {official:,} images"


def _training(run: Run, dataset: str) -> str:
    """What the files of a run tell of its training images: the batches of an epoch, the last of which may be short."""
    try:
        batches, batch = run.environment["steps_per_epoch"], run.recipe.training.batch
    except (UserError, OSError, ValueError, KeyError):
        return ""
    return trained_on(batches * batch, dataset, bound="at most ")


def _part(found: int | None, official: int | None, what: str) -> str:
    if found is None or official is None or found == official:
        return ""
    return f"{found:,} of {official:,} {what}"
