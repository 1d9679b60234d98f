"""A difference in error between a variation and its base, and what may stand beside it.

A printed or noted difference stands beside a measured one only on the same split with the same crops. Differences
are fractions, variation minus base, except where people read points.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from alexrepro.paper.logbook import LOGGED, Logged
from alexrepro.paper.results import ALL_DELTAS, Crops, ReportedDelta
from alexrepro.reports.statistics.verdict import Verdict
from alexrepro.reports.tables.error_rows import beyond_verdict
from alexrepro.reports.tables.table import COUNT, FRACTION, TEXT, Cell, images_and_seeds, place

# The printed differences are those of the notes on ten crops, rounded; footnote 5 says where the paper means another.
PRINTED_CROPS: Crops = "ten"
IntervalKind = Literal["paired", "unpaired"]
ONE_SEED = "other seeds are not included"
SEVERAL_SEEDS = "images clustered over seeds, spread of the seeds (Student's t)"
INTERVALS: Mapping[IntervalKind, str] = {
    "paired": "95 %, paired by image (Bonett and Price)",
    "unpaired": "at least 95 %, unpaired (Newcombe)",
}


@dataclass(frozen=True)
class LoggedDelta:
    """The difference of two results in the 2012 notes, as fractions: a variation's minus the base's."""

    variation: Logged
    base: Logged

    @property
    def top1_delta(self) -> float:
        """Difference in top-1 error; the notes have six digits."""
        return round(self.variation.top1_error - self.base.top1_error, 6)

    @property
    def top5_delta(self) -> float:
        """Difference in top-5 error; the notes have six digits."""
        return round(self.variation.top5_error - self.base.top5_error, 6)


@dataclass(frozen=True)
class Difference:
    """A measured difference in error, as fractions: mean over seeds, 95 % interval, and spread over paired seeds."""

    mean: float
    low: float
    high: float
    std: float | None


@dataclass(frozen=True)
class DeltaRow:
    """One variation against its base on one split; without numbers where it was not run.

    seeds: trained for both. images: of the split. interval: paired where all have predictions. printed, logged: what
    stands beside the measurement. claim: the printed difference in words, where there is one.
    """

    variation: str
    description: str
    base: str
    note: str
    dataset: str | None = None
    split: str | None = None
    crops: Crops | None = None
    seeds: int | None = None
    images: int | None = None
    top1: Difference | None = None
    top5: Difference | None = None
    interval: IntervalKind | None = None
    printed: ReportedDelta | None = None
    logged: LoggedDelta | None = None
    cites: str = ""
    claim: str = ""
    verdict: Verdict | None = None
    source: Literal["reported", "measured"] = "measured"

    COLUMNS: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("variation", "description", "base", "source", "dataset", "split", "crops"), TEXT),
        **dict.fromkeys(("seeds", "images"), COUNT),
        **dict.fromkeys(("top1_delta", "top1_low", "top1_high", "top1_std"), FRACTION),
        **dict.fromkeys(("top5_delta", "top5_low", "top5_high", "top5_std"), FRACTION),
        "interval": TEXT,
        **dict.fromkeys(("reported_top1_delta", "reported_top5_delta"), FRACTION),
        "reported_cites": TEXT,
        **dict.fromkeys(("logged_top1_delta", "logged_top5_delta"), FRACTION),
        **dict.fromkeys(("logged_cites", "claim", "verdict", "note", "cites"), TEXT),
    }

    def __post_init__(self) -> None:
        if self.source == "reported":
            if self.printed is None or self.top1 is not None or self.split != self.printed.split:
                raise ValueError(f"{self.variation}: a reported row holds what was printed, and where")
            return
        measured = (self.dataset, self.split, self.crops, self.seeds, self.images, self.top1, self.top5, self.interval)
        if any(part is None for part in measured) and any(part is not None for part in measured):
            raise ValueError(f"{self.variation}: a measured difference needs its split, seeds, images and intervals")
        if self.printed is not None and not is_printed_for(self.printed, self.split, self.crops):
            raise ValueError(f"{self.variation}: {self.printed.name} was not printed for {self.split}, {self.crops}")
        if self.logged is not None and not is_logged_for(self.logged, self.split, self.crops):
            raise ValueError(f"{self.variation}: no difference was noted for {self.split}, {self.crops} crops")
        if self.printed is None and not self.note:
            raise ValueError(f"{self.variation}: no printed number stands beside it, so the note must say why")

    def cells(self) -> dict[str, Cell]:
        """A plain value for each column; differences are fractions."""
        values: dict[str, Cell] = {name: getattr(self, name) for name in self.COLUMNS if hasattr(self, name)}
        seeds = ONE_SEED if self.seeds == 1 else SEVERAL_SEEDS
        values["interval"] = f"{INTERVALS[self.interval]}; {seeds}" if self.interval else None
        for top, measured in (("top1", self.top1), ("top5", self.top5)):
            values[f"{top}_delta"] = measured.mean if measured else None
            values |= {f"{top}_{part}": getattr(measured, part, None) for part in ("low", "high", "std")}
            values[f"reported_{top}_delta"] = getattr(self.printed, f"{top}_delta", None)
            values[f"logged_{top}_delta"] = getattr(self.logged, f"{top}_delta", None)
        values["reported_cites"] = str(self.printed.cites) if self.printed else None
        values["logged_cites"] = f"{self.logged.variation.cites} - {self.logged.base.cites}" if self.logged else None
        return {name: values[name] for name in self.COLUMNS}

    def shown(self) -> dict[str, str]:
        """What people read: points of error, 95 % intervals in parentheses, the spread over seeds after ±."""
        return {
            "variation": self.variation,
            "description": self.description,
            "source": self.source,
            "split, crops": place(self.split or "", self.crops),
            "images": images_and_seeds(self.images, self.seeds),
            "top-1, points (95 %)": points_with_interval(self.top1),
            "top-5, points (95 %)": points_with_interval(self.top5),
            "interval": self.interval or "",
            "printed": both_points(self.printed),
            "noted in 2012": both_points(self.logged),
            "claim": self.claim,
            "verdict": self.verdict or "",
            "note": beyond_verdict(self.note, self.verdict),
        }


def is_printed_for(printed: ReportedDelta, split: str | None, crops: str | None) -> bool:
    """Whether a difference was printed for this split and these crops."""
    return printed in ALL_DELTAS and printed.split is not None and (printed.split, PRINTED_CROPS) == (split, crops)


def is_logged_for(logged: LoggedDelta, split: str | None, crops: str | None) -> bool:
    """Whether both results of a difference were noted for this split and these crops."""
    return all(
        noted in LOGGED and (noted.split, noted.crops) == (split, crops) for noted in (logged.variation, logged.base)
    )


def points_with_interval(found: Difference | None) -> str:
    """What people read of a measured difference: points, spread over seeds, interval."""
    if found is None:
        return ""
    spread = "" if found.std is None else f" ± {100 * found.std:.1f}"
    return f"{_points(found.mean)}{spread} ({_points(found.low)} to {_points(found.high)})"


def both_points(delta: ReportedDelta | LoggedDelta | None) -> str:
    """Points of top-1 and top-5 error as the paper prints them, `+1.4 / +1.2`; noted ones have a digit more."""
    if delta is None:
        return ""
    digits = 2 if isinstance(delta, LoggedDelta) else 1
    return f"{_points(delta.top1_delta, digits)} / {_points(delta.top5_delta, digits)}"


def _points(delta: float | None, digits: int = 1) -> str:
    return "–" if delta is None else f"{100 * delta:+.{digits}f}"
