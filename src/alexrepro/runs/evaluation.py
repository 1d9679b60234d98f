"""Evaluations: the record of exact counts of a run, or of an ensemble, on a split."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import get_args

from alexrepro.errors import UserError, first_line
from alexrepro.files import read_json, write_json
from alexrepro.paper.results import Crops
from alexrepro.progress import say
from alexrepro.runs.paths import ENSEMBLES, RunPaths

LOWER_FIRST = "lower class first"
TOP = 5  # §2: top-5; a submission has as many classes an image


@dataclass(frozen=True)
class Member:
    """One network of an ensemble and its weight in the average; the weights sum to 1."""

    run: str
    recipe: str
    digest: str
    seed: int
    epochs: int
    weight: float


@dataclass(frozen=True)
class Evaluation:
    """Exact counts of one run, or of one ensemble, on one split; loss is the mean of -log p of the true class, in nats.

    ties: how equal probabilities are ranked; tied_images: images whose result depends on it. store: its digest.
    preprocessing: the digest of everything between a stored image and the network. classes: the number of classes.
    The last five are None in files that lack them. An ensemble has members; its recipe is `ensemble`, its seed 0, and
    its epochs the fewest of a member.
    """

    run: str
    recipe: str
    digest: str
    seed: int
    epochs: int
    dataset: str
    split: str
    crops: Crops
    images: int
    top1_correct: int
    top5_correct: int
    loss: float
    ties: str = LOWER_FIRST
    tied_images: int | None = None
    store: str | None = None
    preprocessing: str | None = None
    classes: int | None = None
    members: tuple[Member, ...] = ()

    @property
    def top1_error(self) -> float:
        """Fraction of images whose most probable class is wrong (§2)."""
        return (self.images - self.top1_correct) / self.images

    @property
    def top5_error(self) -> float:
        """Fraction of images whose class is not among the five most probable (§2)."""
        return (self.images - self.top5_correct) / self.images


def save_evaluation(evaluation: Evaluation) -> None:
    """Write an evaluation into the folder of its run; the newest of a split and its crops replaces the one before."""
    write_json(RunPaths(Path(evaluation.run)).evaluation(evaluation.split, evaluation.crops), asdict(evaluation))


def evaluations_in(folder: Path) -> list[Evaluation]:
    """Every evaluation saved in a folder, which becomes its run, wherever it was; damaged ones are skipped."""
    found = filter(None, map(_read, RunPaths(folder).all_evaluations))
    return [replace(evaluation, run=str(folder)) for evaluation in found]


def find_ensembles(runs: Path) -> list[Evaluation]:
    """Every evaluation of an ensemble saved below a folder of runs, by digest, split and crops."""
    return [evaluation for folder in sorted((runs / ENSEMBLES).glob("*/")) for evaluation in evaluations_in(folder)]


def _read(path: Path) -> Evaluation | None:
    """The evaluation in a file; None, saying why, if it is damaged or another version wrote it."""
    try:
        written = read_json(path)
        members = tuple(Member(**member) for member in written.pop("members", ()))
        found = Evaluation(**written, members=members)
        if not 0 <= found.top1_correct <= found.top5_correct <= found.images > 0:
            raise TypeError("its counts contradict each other")
        if found.crops not in get_args(Crops):
            raise TypeError(f"its crops are {found.crops!r:.80}")
    except (UserError, TypeError) as error:  # of a field that is missing, unknown or of another kind
        say(f"Skipped: {path} is damaged, or another version wrote it ({first_line(error)}).")
        return None
    return found
