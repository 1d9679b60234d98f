"""Rows of error rates: what the authors printed, and what was measured, never mixed up.

A printed number stands only beside a measurement on all images of the same split with the same crops; a row that
breaks the rule cannot be built. Errors are fractions except where people read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from alexrepro.paper.results import ALL_REPORTED, IMAGES, QUOTED, Crops, Reported
from alexrepro.reports.statistics.comparison import TOPS
from alexrepro.reports.statistics.intervals import Interval, mean_and_std, wilson_interval
from alexrepro.reports.statistics.verdict import Verdict, judged
from alexrepro.reports.tables.answers import sample, wrong_by_image
from alexrepro.reports.tables.table import COUNT, FRACTION, TEXT, Cell, images_and_seeds, place
from alexrepro.runs.evaluation import Evaluation

IntervalKind = Literal["one seed", "by image", "counts only"]
INTERVALS: Mapping[IntervalKind, str] = {
    "one seed": "95 % over images (Wilson); other seeds are not included",
    "by image": "95 % over images and seeds: images clustered over seeds, spread of the seeds (Student's t)",
    "counts only": "at least 95 % over images and seeds, from counts: the images of one seed, spread of the seeds "
    "(Student's t)",
}


@dataclass(frozen=True)
class Row:
    """Errors of one network, as fractions: printed by the authors, or measured on runs that differ in the seed only.

    images: of the split, each counted once, however many seeds were tested on them. interval: where the ends come from.
    printed: of a reported row the numbers it shows; of a measured row those that stand beside it.
    cites: a section of the paper, or the run folders. claim: the printed numbers in words, where the row answers them.
    """

    label: str
    source: Literal["reported", "measured"]
    dataset: str
    split: str
    crops: Crops | None
    recipe: str | None = None
    seeds: int | None = None
    images: int | None = None
    top1_error: float | None = None
    top5_error: float | None = None
    top1_low: float | None = None
    top1_high: float | None = None
    top5_low: float | None = None
    top5_high: float | None = None
    top1_std: float | None = None
    interval: IntervalKind | None = None
    note: str = ""
    cites: str = ""
    printed: Reported | None = None
    claim: str = ""
    verdict: Verdict | None = None

    COLUMNS: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("label", "source", "dataset", "split", "crops", "recipe"), TEXT),
        **dict.fromkeys(("seeds", "images"), COUNT),
        **dict.fromkeys(("top1_error", "top1_low", "top1_high", "top1_std"), FRACTION),
        **dict.fromkeys(("top5_error", "top5_low", "top5_high"), FRACTION),
        "interval": TEXT,
        **dict.fromkeys(("reported_top1_error", "reported_top5_error"), FRACTION),
        **dict.fromkeys(("reported_cites", "claim", "verdict", "note", "cites"), TEXT),
    }

    def __post_init__(self) -> None:
        if self.printed is not None and self.printed not in (*ALL_REPORTED, *QUOTED.values()):
            raise ValueError(f"{self.label}: {self.printed.name} is not a number of paper/results.py")
        if self.source == "reported":
            self._check_reported()
        else:
            self._check_measured()

    def cells(self) -> dict[str, Cell]:
        """A plain value for each column; the reported columns are filled beside a comparable measurement only."""
        beside = self.printed if self.source == "measured" else None
        values = {name: getattr(self, name) for name in self.COLUMNS if hasattr(self, name)}
        values["interval"] = INTERVALS[self.interval] if self.interval else None
        values["reported_top1_error"] = beside.top1_error if beside else None
        values["reported_top5_error"] = beside.top5_error if beside else None
        values["reported_cites"] = str(beside.cites) if beside else None
        return {name: values[name] for name in self.COLUMNS}

    def shown(self) -> dict[str, str]:
        """What people read; intervals in parentheses, the spread over seeds after ±."""
        beside = self.printed if self.source == "measured" else None
        return {
            "network": self.label,
            "source": self.source,
            "split, crops": place(self.split, self.crops),
            "images": images_and_seeds(self.images, self.seeds),
            "top-1 error": _error(self.top1_error, self.top1_low, self.top1_high, std=self.top1_std),
            "top-5 error": _error(self.top5_error, self.top5_low, self.top5_high),
            "interval": self.interval or "",
            "printed": f"{_error(beside.top1_error)} / {_error(beside.top5_error)}" if beside else "",
            "verdict": self.verdict or "",
            "note": beyond_verdict(self.note, self.verdict),
        }

    def _check_reported(self) -> None:
        if self.printed is None:
            raise ValueError(f"{self.label}: a reported row needs the numbers the authors printed")
        same = ("split", "crops", "top1_error", "top5_error")
        if any(getattr(self, name) != getattr(self.printed, name) for name in same):
            raise ValueError(f"{self.label}: differs from the printed {self.printed.name}")

    def _check_measured(self) -> None:
        numbers = (
            self.seeds, self.images, self.top1_error, self.top5_error,
            self.top1_low, self.top1_high, self.top5_low, self.top5_high, self.interval,
        )  # fmt: skip
        if any(number is None for number in numbers) and any(number is not None for number in numbers):
            raise ValueError(f"{self.label}: a measured error needs its seeds, images and intervals")
        if self.seeds is not None and (self.seeds > 1) != (self.top1_std is not None):
            raise ValueError(f"{self.label}: a spread belongs to several seeds, and only to them")
        if self.printed is None and not self.note:
            raise ValueError(f"{self.label}: no printed number stands beside it, so the note must say why")
        if self.printed is not None and self.images is None:
            raise ValueError(f"{self.label}: a printed number stands beside a measurement, and there is none")
        if self.printed is not None and (self.printed.split, self.printed.crops) != (self.split, self.crops):
            raise ValueError(
                f"{self.label}: {self.printed.name} was printed for {self.printed.split}, {self.printed.crops} crops; "
                f"this row is {self.split}, {self.crops} crops"
            )
        if self.printed is not None and self.images != IMAGES.get(self.printed.split, self.images):
            raise ValueError(f"{self.label}: {self.printed.name} was not printed for {self.images} images")


def beyond_verdict(note: str, verdict: str | None) -> str:
    """What a note says that the verdict beside it does not say already."""
    return note.removeprefix(verdict).removeprefix(": ") if verdict else note


def reported_row(printed: Reported) -> Row:
    """A row of what the authors printed."""
    return Row(
        printed.label, "reported", dataset=printed.split.rpartition("-")[0], split=printed.split, crops=printed.crops,
        top1_error=printed.top1_error, top5_error=printed.top5_error, cites=str(printed.cites), printed=printed,
    )  # fmt: skip


def claim_of(printed: Reported) -> str:
    """Printed errors in words: what, how much, where."""
    errors = f"{_error(printed.top1_error) or '–'} / {_error(printed.top5_error) or '–'}"
    return f"{printed.label}: {errors} on {place(printed.split, printed.crops)}"


def judged_row(row: Row) -> Row:
    """The row of a full run with its verdict on the printed numbers beside it."""
    assert row.printed is not None
    top1 = (row.printed.top1_error, row.top1_error, row.top1_low, row.top1_high)
    top5 = (row.printed.top5_error, row.top5_error, row.top5_low, row.top5_high)
    return replace(row, claim=claim_of(row.printed), verdict=judged(top1, top5))


def measured_row(evaluations: Sequence[Evaluation], *, label: str, printed: Reported | None, note: str) -> Row:
    """A row of evaluations that differ in the seed only: mean errors, their spread, and intervals.

    Raises ValueError if they differ in more, or if the printed numbers are of another split or other crops.
    """
    first = evaluations[0]
    kinds = {(e.recipe, e.digest, e.epochs, e.split, e.crops, e.images) for e in evaluations}
    seeds = {e.seed for e in evaluations}
    if len(kinds) > 1 or len(seeds) < len(evaluations):
        raise ValueError(f"{label}: these evaluations differ in more than their seeds")
    shown = first.images * len(evaluations)
    kind, ((top1_low, top1_high), (top5_low, top5_high)) = _intervals(evaluations)
    return Row(
        label, "measured", dataset=first.dataset, split=first.split, crops=first.crops, recipe=first.recipe,
        seeds=len(seeds), images=first.images,
        top1_error=(shown - sum(e.top1_correct for e in evaluations)) / shown,
        top5_error=(shown - sum(e.top5_correct for e in evaluations)) / shown,
        top1_low=top1_low, top1_high=top1_high, top5_low=top5_low, top5_high=top5_high, interval=kind,
        top1_std=mean_and_std([e.top1_error for e in evaluations])[1],
        note=note, cites="; ".join(e.run for e in evaluations), printed=printed,
    )  # fmt: skip


def _intervals(evaluations: Sequence[Evaluation]) -> tuple[IntervalKind, list[Interval]]:
    """The intervals of the top-1 and top-5 errors: by image where the answers of all seeds are known."""
    if len(evaluations) == 1:
        (only,) = evaluations
        return "one seed", [
            wilson_interval(only.images - right, only.images) for right in (only.top1_correct, only.top5_correct)
        ]
    wrong = wrong_by_image(evaluations)
    ends = [sample(evaluations, top, wrong).interval for top in TOPS]
    return "counts only" if wrong is None else "by image", ends


def _error(error: float | None, low: float | None = None, high: float | None = None, std: float | None = None) -> str:
    if error is None:
        return ""
    spread = "" if std is None else f" ± {100 * std:.1f}"
    interval = "" if low is None or high is None else f" ({100 * low:.1f}–{100 * high:.1f})"
    return f"{100 * error:.1f}{spread} %{interval}"
