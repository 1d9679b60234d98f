"""Two errors of one network, one minus the other: of two kinds of crops, or of two splits.

Gaps are fractions; measured ones carry a 95 % interval: paired by image where both networks' answers for the same
images are there, else of two independent samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from alexrepro.reports.statistics.comparison import TOPS
from alexrepro.reports.statistics.pairs import image_differences, pooled_difference
from alexrepro.reports.tables.error_rows import beyond_verdict
from alexrepro.reports.tables.table import COUNT, FRACTION, TEXT, Cell, Record
from alexrepro.runs.evaluation import Evaluation

COLUMNS = {
    **dict.fromkeys(("label", "source", "split", "crops"), TEXT),
    **dict.fromkeys(("seeds", "images"), COUNT),
    **dict.fromkeys(("top1_gap", "top1_low", "top1_high"), FRACTION),
    **dict.fromkeys(("top5_gap", "top5_low", "top5_high"), FRACTION),
    **dict.fromkeys(("claim", "verdict", "note", "cites"), TEXT),
}
Range = tuple[float | None, float | None]


@dataclass(frozen=True)
class Gap:
    """The difference of two top-1 errors and of two top-5 errors, with the ends of their intervals where measured."""

    top1: float
    top5: float
    top1_range: Range = (None, None)
    top5_range: Range = (None, None)

    def record(self, **facts: Cell) -> "GapRow":
        """A row of a table; facts: the other columns."""
        values = {
            "top1_gap": self.top1, "top1_low": self.top1_range[0], "top1_high": self.top1_range[1],
            "top5_gap": self.top5, "top5_low": self.top5_range[0], "top5_high": self.top5_range[1],
        }  # fmt: skip
        return GapRow(COLUMNS, {**facts, **values})


@dataclass(frozen=True)
class GapRow(Record):
    """A row with a gap, or one that says that it was not measured."""

    def shown(self) -> dict[str, str]:
        """What people read; gaps in points with their sign."""
        found = super().shown()
        for top in ("top1", "top5"):
            gap, low, high = (self.values.get(f"{top}_{end}") for end in ("gap", "low", "high"))
            found[f"{top} gap"] = _points(gap) + (f" ({_points(low)} to {_points(high)})" if low is not None else "")
        found["note"] = beyond_verdict(found["note"], found["verdict"])
        names = {"top1 gap": "top-1 gap, points", "top5 gap": "top-5 gap, points"}
        return {names.get(name, name): text for name, text in found.items()}


def printed_gap(one: tuple[float | None, float | None], other: tuple[float | None, float | None]) -> Gap:
    """The difference of two printed or noted pairs of top-1 and top-5 errors."""
    assert one[0] is not None
    assert one[1] is not None
    assert other[0] is not None
    assert other[1] is not None
    return Gap(round(one[0] - other[0], 6), round(one[1] - other[1], 6))


def measured_gap(one: Sequence[Evaluation], other: Sequence[Evaluation]) -> Gap:
    """The difference over the same seeds."""
    pairs = list(zip(one, other, strict=True))
    by_image = image_differences(pairs) if one[0].split == other[0].split else None
    top1, top5 = (pooled_difference(pairs, top, by_image) for top in TOPS)
    return Gap(top1.mean, top5.mean, (top1.low, top1.high), (top5.low, top5.high))


def _points(gap: Cell) -> str:
    return "" if gap is None else f"{100 * float(gap):+.2f}"


def same_seeds(one: Sequence[Evaluation], other: Sequence[Evaluation]) -> tuple[list[Evaluation], list[Evaluation]]:
    """Of two groups the evaluations whose seeds both have, in one order."""
    by_seed = {e.seed: e for e in other}
    shared = [e for e in one if e.seed in by_seed]
    return shared, [by_seed[e.seed] for e in shared]
