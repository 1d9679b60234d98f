"""The row of every table of errors or differences: what was published and what was measured, never mixed up.

A published number appears only next to a measurement on all images of the same split with the same crops; a row that
breaks this rule cannot be built.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from alexrepro.paper.citation import Citation
from alexrepro.paper.results import ALL_REPORTED, IMAGES, QUOTED, Logged, Reported, ReportedDelta
from alexrepro.reports.statistics.intervals import Estimate
from alexrepro.reports.statistics.verdict import Pair, Verdict
from alexrepro.reports.tables.table import COUNT, FRACTION, TEXT, Cell

Quantity = Literal["error", "delta"]
IntervalKind = Literal["one seed", "by image", "counts only", "paired", "unpaired"]
INTERVALS: Mapping[IntervalKind, str] = {
    "one seed": "95 % (Wilson)",
    "by image": "95 %, by image",
    "counts only": "at least 95 %, from counts",
    "paired": "95 %, paired by image (Bonett and Price)",
    "unpaired": "at least 95 %, unpaired (Newcombe)",
}
ONE_SEED = "other seeds are not included"
SEVERAL_SEEDS = "images clustered over seeds, spread of the seeds (Student's t)"


def _columns(quantity: Quantity) -> dict[str, str]:
    numbers = [f"{top}_{name}" for top in ("top1", "top5") for name in (quantity, "low", "high", "std")]
    others = ("reported", "logged") if quantity == "delta" else ("reported",)
    columns = dict.fromkeys(("label", "source", "dataset", "split", "crops", "recipe"), TEXT)
    columns |= {**dict.fromkeys(("seeds", "images"), COUNT), **dict.fromkeys(numbers, FRACTION), "interval": TEXT}
    for other in others:
        columns |= dict.fromkeys((f"{other}_top1_{quantity}", f"{other}_top5_{quantity}"), FRACTION)
        columns[f"{other}_cites"] = TEXT
    return columns | dict.fromkeys(("claim", "verdict", "note", "cites"), TEXT)


COLUMNS: Mapping[Quantity, Mapping[str, str]] = {"error": _columns("error"), "delta": _columns("delta")}


@dataclass(frozen=True, kw_only=True)
class Row:
    """Top-1 and top-5 errors of a network, or their differences from a base, as fractions on one split.

    recipe: of the network, or of the base. images: of the split, whatever the number of seeds. reported: the published
    numbers of a reported row, or those next to a measurement; logged: those of the 2012 logs next to it. claim: the
    published numbers in words, if the row answers them. cites: a section, a file, or the run folders.
    """

    quantity: Quantity
    label: str
    source: Literal["reported", "2012 log", "measured"] = "measured"
    split: str | None = None
    crops: str | None = None
    recipe: str | None = None
    seeds: int | None = None
    images: int | None = None
    top1: Estimate | None = None
    top5: Estimate | None = None
    interval: IntervalKind | None = None
    reported: Reported | ReportedDelta | None = None
    logged: ReportedDelta | None = None
    claim: str = ""
    verdict: Verdict | None = None
    note: str = ""
    cites: str = ""

    def __post_init__(self) -> None:
        reported = self.reported
        if isinstance(reported, Reported) and reported not in (*ALL_REPORTED, *QUOTED.values()):
            raise ValueError(f"{self.label}: {reported.name} is not a number of paper/results.py")
        published: list[Reported | ReportedDelta] = [one for one in (reported, self.logged) if one]
        for one in published:
            if (one.split, one.crops) != (self.split, self.crops):
                raise ValueError(
                    f"{self.label}: {one.name} was published for {one.split}, {one.crops} crops; "
                    f"this row is {self.split}, {self.crops} crops"
                )
        if self.source == "reported":
            means = tuple(estimate and estimate.mean for estimate in (self.top1, self.top5))
            if reported is None or means != pair_of(reported):
                raise ValueError(f"{self.label}: a reported row holds exactly what was published")
        if self.source == "measured":
            self._check_measured()

    def _check_measured(self) -> None:
        ends = [end for estimate in (self.top1, self.top5) if estimate for end in (estimate.low, estimate.high)]
        parts = (self.seeds, self.images, self.top1, self.top5, self.interval, *ends)
        if any(part is None for part in parts) and any(part is not None for part in parts):
            raise ValueError(f"{self.label}: a measurement needs its seeds, images and intervals")
        if self.seeds and self.top1 and (self.seeds > 1) != (self.top1.std is not None):
            raise ValueError(f"{self.label}: a spread over seeds needs several seeds, and several seeds need a spread")
        if self.reported is None and not (self.note or self.verdict):
            raise ValueError(f"{self.label}: without a published number the note must say why")
        if self.reported is not None and self.images is None:
            raise ValueError(f"{self.label}: a published number needs a measurement, and there is none")
        if self.reported is not None and self.images != IMAGES.get(self.reported.split or "", self.images):
            raise ValueError(f"{self.label}: {self.reported.name} was not published for {self.images} images")

    @property
    def COLUMNS(self) -> Mapping[str, str]:  # noqa: N802 (as in every row)
        """The columns of the saved files and their pandas types."""
        return COLUMNS[self.quantity]

    @property
    def dataset(self) -> str | None:
        """The data set of the split."""
        return self.split.rpartition("-")[0] if self.split else None

    def cells(self) -> dict[str, Cell]:
        """The value of each column; published numbers appear in their columns next to a measurement only."""
        values = {name: getattr(self, name, None) for name in self.COLUMNS}
        for top, estimate in (("top1", self.top1), ("top5", self.top5)):
            values[f"{top}_{self.quantity}"] = estimate.mean if estimate else None
            values |= {f"{top}_{name}": getattr(estimate, name, None) for name in ("low", "high", "std")}
        others = {"reported": self.reported if self.source == "measured" else None, "logged": self.logged}
        for name, other in others.items():
            if f"{name}_cites" in values:
                top1, top5 = pair_of(other) if other else (None, None)
                values |= {f"{name}_top1_{self.quantity}": top1, f"{name}_top5_{self.quantity}": top5}
                values[f"{name}_cites"] = str(other.cites) if other else None
        if self.interval:
            values["interval"] = f"{INTERVALS[self.interval]}; {ONE_SEED if self.seeds == 1 else SEVERAL_SEEDS}"
        return values

    def shown(self) -> dict[str, str]:
        """What is printed: intervals in parentheses, the spread over seeds after ±; differences in points."""
        is_delta, where = self.quantity == "delta", split_and_crops(self.split, self.crops)
        subject = f"{self.label}, {self.recipe}" if is_delta else self.label
        images = "" if self.images is None else f"{self.images:,}"
        unit = ", points" if is_delta else " error"
        source = self.source if self.source == "2012 log" else "published"
        remarks = (self.verdict, self.note) if self.source == "measured" else (source, self.note or self.cites)
        return {
            "difference" if is_delta else "network": f"{subject} on {where}" if where else subject,
            "images": images if self.seeds in (None, 1) else f"{images} × {self.seeds} seeds",
            f"top-1{unit}": self._text(self.top1),
            f"top-5{unit}": self._text(self.top5),
            "published": both(self.reported) if self.reported and self.source == "measured" else "",
            "2012 log": both(self.logged, digits=2) if self.logged else "",
            "verdict": "; ".join(filter(None, remarks)),
        }

    def _text(self, estimate: Estimate | None) -> str:
        if estimate is None:
            return ""
        is_delta = self.quantity == "delta"
        digits, sign, unit, to = (2, "+", "", " to ") if is_delta else (1, "", " %", "–")
        mean, low, high = (100 * value for value in (estimate.mean, estimate.low or 0, estimate.high or 0))
        spread = "" if estimate.std is None else f" ± {100 * estimate.std:.{digits}f}"
        interval = "" if estimate.low is None else f" ({low:{sign}.{digits}f}{to}{high:{sign}.{digits}f})"
        return f"{mean:{sign}.{digits}f}{spread}{unit}{interval}"


def split_and_crops(split: str | None, crops: str | None) -> str:
    """Where a number was measured: the split, and the crops if known."""
    return ", ".join(filter(None, (split, crops))) if split else ""


def published_row(
    numbers: Reported | ReportedDelta, *, label: str, source: Literal["reported", "2012 log"] = "reported"
) -> Row:
    """A row of published or logged numbers, which have no intervals."""
    top1, top5 = (None if number is None else Estimate(number) for number in pair_of(numbers))
    return Row(
        quantity="error" if isinstance(numbers, Reported) else "delta", label=label, source=source,
        split=numbers.split, crops=numbers.crops, top1=top1, top5=top5, cites=str(numbers.cites),
        reported=numbers if source == "reported" else None,
    )  # fmt: skip


def pair_of(numbers: Reported | ReportedDelta) -> Pair:
    """The top-1 and top-5 number, as fractions."""
    if isinstance(numbers, Reported):
        return numbers.top1_error, numbers.top5_error
    return numbers.top1_delta, numbers.top5_delta


def both(numbers: Reported | ReportedDelta, *, digits: int = 1) -> str:
    """The top-1 and top-5 number: `37.5 % / 17.0 %`, or `+1.4 / +1.2` points."""
    sign, unit = ("", " %") if isinstance(numbers, Reported) else ("+", "")
    return " / ".join("–" if n is None else f"{100 * n:{sign}.{digits}f}{unit}" for n in pair_of(numbers))


def logged_delta(variation: Logged, base: Logged) -> ReportedDelta:
    """The difference of two results in the 2012 logs, which have at most six digits."""
    return ReportedDelta(
        f"{variation.config} - {base.config}", round(variation.top1_error - base.top1_error, 6),
        round(variation.top5_error - base.top5_error, 6), Citation(f"{variation.cites} - {base.cites}"),
        variation.split, variation.crops or "ten",
    )  # fmt: skip
