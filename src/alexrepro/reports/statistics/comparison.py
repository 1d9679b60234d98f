"""Two runs or ensembles on the same images: how many only one of them gets right, and whether that is chance."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alexrepro.errors import Exit, UserError
from alexrepro.reports.statistics.intervals import McNemar, mcnemar, paired_interval
from alexrepro.runs.evaluation import EvaluationFiles
from alexrepro.runs.predictions import Predictions, read_predictions

TOPS = (1, 5)


@dataclass(frozen=True)
class Comparison:
    """Two networks on the same images of one split: their errors are fractions, the difference is second minus first.

    Images are split by who is wrong; the interval of 95 % is paired.
    """

    first: str
    second: str
    split: str
    crops: str
    top: int
    images: int
    both_wrong: int
    only_first_wrong: int
    only_second_wrong: int

    @property
    def errors(self) -> tuple[float, float]:
        """The error of each, as fractions."""
        first, second = self.both_wrong + self.only_first_wrong, self.both_wrong + self.only_second_wrong
        return first / self.images, second / self.images

    @property
    def difference(self) -> float:
        """The second error minus the first, as a fraction."""
        return (self.only_second_wrong - self.only_first_wrong) / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference, as fractions."""
        return paired_interval(self.only_first_wrong, self.only_second_wrong, self.images)

    @property
    def test(self) -> McNemar:
        """Whether the difference could be chance."""
        return mcnemar(self.only_first_wrong, self.only_second_wrong)

    def as_dict(self) -> dict[str, Any]:
        """Counts, errors, difference, interval and p-values under plain names."""
        (first_error, second_error), (low, high) = self.errors, self.interval
        return asdict(self) | {
            "first_error": first_error, "second_error": second_error, "difference": self.difference,
            "difference_low": low, "difference_high": high, **asdict(self.test),
        }  # fmt: skip


def compare(first: Path, second: Path) -> list[Comparison]:
    """Top-1 and top-5 errors of two folders of runs or ensembles, for every split and crops that both were tested on.

    Raises UserError if they share no labeled split and crops, or were tested on different images.
    """
    tested, other = (EvaluationFiles(folder).all_predictions for folder in (first, second))
    shared = [name for name in tested if name in other]
    if not shared:
        has = (f"{folder} has {', '.join(names) or 'none'}" for folder, names in ((first, tested), (second, other)))
        raise UserError(
            f"These have no predictions of the same split and crops: {'; '.join(has)}.",
            fix="Test both alike: alexrepro evaluate RUN, with or without --ten-crop.",
            exit_code=Exit.MISSING_INPUT,
        )
    found = []
    for name in shared:
        pair = [read_predictions(files[name]) for files in (tested, other)]
        found += [_compared(pair[0], pair[1], top, first=first, second=second) for top in TOPS]
    return found


def what_differs(one: Predictions, two: Predictions) -> str | None:
    """What tells the images of two predictions apart, or None where they are the same in the same order."""
    for name in ("split", "store", "classes"):
        if getattr(one.about, name) != getattr(two.about, name):
            return name
    return "file names" if one.names != two.names or (one.labels != two.labels).any() else None


def _compared(one: Predictions, two: Predictions, top: int, *, first: Path, second: Path) -> Comparison:
    differing = "crops" if one.about.crops != two.about.crops else what_differs(one, two)
    if differing:
        raise UserError(
            f"{first} and {second} were tested on different images: the {differing} differs.",
            fix="Test both on the same store: alexrepro evaluate RUN --store STORE.",
        )
    if (one.labels < 0).any():
        raise UserError(f"{one.about.split} has no labels.", fix="Compare on a labeled split.")
    wrong, also = one.wrong(top), two.wrong(top)
    return Comparison(
        str(first), str(second), one.about.split, one.about.crops, top, len(wrong),
        both_wrong=int((wrong & also).sum()), only_first_wrong=int((wrong & ~also).sum()),
        only_second_wrong=int((also & ~wrong).sum()),
    )  # fmt: skip
