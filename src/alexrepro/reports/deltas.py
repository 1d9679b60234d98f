"""Ablations as a table: what each variation adds to the base recipe's error, beside what was printed and noted.

A printed or noted difference stands beside a measured one only on the same split with the same views. Differences
are fractions, variation minus base, except where people read points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from alexrepro.engine.run import Evaluation
from alexrepro.paper.logbook import LOGGED, Logged
from alexrepro.paper.results import ALL_DELTAS, TEST_2010, VAL_2012, ReportedDelta, Views
from alexrepro.recipes.catalogue import CATALOGUE
from alexrepro.recipes.variations import Variation, find_variation
from alexrepro.reports.experiment import departure, grouped
from alexrepro.reports.statistics import difference_interval, mean_and_std
from alexrepro.reports.table import COUNT, FRACTION, TEXT, Cell, ResultTable, images_and_seeds, place

# The printed differences are those of the notes on ten views, rounded; footnote 4 says where the paper means another.
PRINTED_VIEWS: Views = "ten"
INTERVAL = "95 % binomial, unpaired (Newcombe), seeds pooled"


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

    seeds: trained for both. images: of the split. printed, logged: what stands beside the measurement.
    """

    variation: str
    says: str
    base: str
    note: str
    dataset: str | None = None
    split: str | None = None
    views: Views | None = None
    seeds: int | None = None
    images: int | None = None
    top1: Difference | None = None
    top5: Difference | None = None
    printed: ReportedDelta | None = None
    logged: LoggedDelta | None = None
    cites: str = ""

    COLUMNS: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("variation", "says", "base", "source", "dataset", "split", "views"), TEXT),
        **dict.fromkeys(("seeds", "images"), COUNT),
        **dict.fromkeys(("top1_delta", "top1_low", "top1_high", "top1_std"), FRACTION),
        **dict.fromkeys(("top5_delta", "top5_low", "top5_high", "top5_std"), FRACTION),
        "interval": TEXT,
        **dict.fromkeys(("reported_top1_delta", "reported_top5_delta"), FRACTION),
        "reported_cites": TEXT,
        **dict.fromkeys(("logged_top1_delta", "logged_top5_delta"), FRACTION),
        **dict.fromkeys(("logged_cites", "note", "cites"), TEXT),
    }

    def __post_init__(self) -> None:
        measured = (self.dataset, self.split, self.views, self.seeds, self.images, self.top1, self.top5)
        if any(part is None for part in measured) and any(part is not None for part in measured):
            raise ValueError(f"{self.variation}: a measured difference needs its split, seeds, images and intervals")
        if self.printed is not None and not _is_printed_for(self.printed, self.split, self.views):
            raise ValueError(f"{self.variation}: {self.printed.name} was not printed for {self.split}, {self.views}")
        if self.logged is not None and not _is_logged_for(self.logged, self.split, self.views):
            raise ValueError(f"{self.variation}: no difference was noted for {self.split}, {self.views} views")
        if self.printed is None and not self.note:
            raise ValueError(f"{self.variation}: no printed number stands beside it, so the note must say why")

    def cells(self) -> dict[str, Cell]:
        """A plain value for each column; differences are fractions."""
        values: dict[str, Cell] = {name: getattr(self, name) for name in self.COLUMNS if hasattr(self, name)}
        values |= {"source": "measured", "interval": INTERVAL if self.top1 else None}
        for top, measured in (("top1", self.top1), ("top5", self.top5)):
            values[f"{top}_delta"] = measured.mean if measured else None
            values |= {f"{top}_{part}": getattr(measured, part, None) for part in ("low", "high", "std")}
            values[f"reported_{top}_delta"] = getattr(self.printed, f"{top}_delta", None)
            values[f"logged_{top}_delta"] = getattr(self.logged, f"{top}_delta", None)
        values["reported_cites"] = str(self.printed.cites) if self.printed else None
        values["logged_cites"] = f"{self.logged.variation.cites} - {self.logged.base.cites}" if self.logged else None
        return {name: values[name] for name in self.COLUMNS}

    def shown(self) -> dict[str, str]:
        """What people read: points of error, 95 % unpaired intervals in parentheses, the spread over seeds after ±."""
        return {
            "variation": self.variation,
            "says": self.says,
            "split, views": place(self.split or "", self.views),
            "images": images_and_seeds(self.images, self.seeds),
            "top-1, points (unpaired 95 %)": _points_with_interval(self.top1),
            "top-5, points (unpaired 95 %)": _points_with_interval(self.top5),
            "printed": _both(self.printed),
            "noted in 2012": _both(self.logged),
            "note": self.note,
        }


def delta_table(
    base: Sequence[Evaluation],
    variations: Mapping[str, Sequence[Evaluation]],
    *,
    name: str = "ablations",
    title: str = "Ablations: error of the variation minus error of the base",
) -> ResultTable:
    """One row for each variation and split that it shares with the base, or one that says "not run".

    base, variations: evaluations of one recipe each; seeds that both have are compared, each once.
    Raises ValueError if the evaluations of one name are of several recipes, Refusal for an unknown variation.
    """
    _check_one_recipe("base", base)
    rows: list[DeltaRow] = []
    for key, found in variations.items():
        _check_one_recipe(key, found)
        rows += _rows(find_variation(key), base=base, found=found)
    return ResultTable(name, title, tuple(rows))


def _rows(variation: Variation, *, base: Sequence[Evaluation], found: Sequence[Evaluation]) -> list[DeltaRow]:
    rows = []
    bases = {_place(group[0]): {e.seed: e for e in group} for group in grouped(base)}
    for group in grouped(found):
        same_seeds = bases.get(_place(group[0]), {})
        pairs = [(e, same_seeds[e.seed]) for e in group if e.seed in same_seeds]
        if pairs:
            rows.append(_measured(variation, pairs))
    name = base[0].recipe if base else ""
    note = "nothing in common with the base: run the same seed, split and views" if found and base else "not run"
    return rows or [DeltaRow(variation.name, variation.says, name, note)]


def _measured(variation: Variation, pairs: Sequence[tuple[Evaluation, Evaluation]]) -> DeltaRow:
    """pairs: (variation, base) of the same seed, on the same split with the same views."""
    first, first_base = pairs[0]
    printed, logged = variation.tests, _logged_delta(variation, first_base)
    beside = printed if printed and _is_printed_for(printed, first.split, first.views) else None
    notes = ["" if beside else _why_empty(printed, first), departure(first_base)]
    return DeltaRow(
        variation.name, variation.says, base=first_base.recipe, note="; ".join(filter(None, notes)),
        dataset=first.dataset, split=first.split, views=first.views, seeds=len(pairs), images=first.images,
        top1=_difference(pairs, "top1"), top5=_difference(pairs, "top5"), printed=beside, logged=logged,
        cites="; ".join(e.run for pair in pairs for e in pair),
    )  # fmt: skip


def _difference(pairs: Sequence[tuple[Evaluation, Evaluation]], top: str) -> Difference:
    images = sum(e.images for e, _ in pairs)
    wrong, base_wrong = (images - sum(getattr(pair[i], f"{top}_correct") for pair in pairs) for i in (0, 1))
    low, high = difference_interval(wrong, images, base_wrong=base_wrong, base_images=images)
    deltas = [getattr(e, f"{top}_error") - getattr(b, f"{top}_error") for e, b in pairs]
    return Difference((wrong - base_wrong) / images, low, high, mean_and_std(deltas)[1])


def _logged_delta(variation: Variation, base: Evaluation) -> LoggedDelta | None:
    """The noted difference on the split and views of the base's measurement, if the notes hold both results."""
    expected = CATALOGUE[base.recipe].expected if base.recipe in CATALOGUE else ()
    for noted in expected:
        delta = LoggedDelta(variation.logged, noted) if variation.logged else None
        if delta is not None and _is_logged_for(delta, base.split, base.views):
            return delta
    return None


def _why_empty(printed: ReportedDelta | None, measured: Evaluation) -> str:
    if printed is None:
        return "no printed number"
    if printed.split is None and measured.split in (TEST_2010, VAL_2012):
        return "not comparable: printed without naming the data"
    return f"not comparable: other {'data' if printed.split != measured.split else 'views'}"


def _is_printed_for(printed: ReportedDelta, split: str | None, views: str | None) -> bool:
    return printed in ALL_DELTAS and printed.split is not None and (printed.split, PRINTED_VIEWS) == (split, views)


def _is_logged_for(logged: LoggedDelta, split: str | None, views: str | None) -> bool:
    return all(
        noted in LOGGED and (noted.split, noted.views) == (split, views) for noted in (logged.variation, logged.base)
    )


def _place(evaluation: Evaluation) -> tuple[str, Views, int, int]:
    return evaluation.split, evaluation.views, evaluation.images, evaluation.epochs


def _check_one_recipe(name: str, evaluations: Sequence[Evaluation]) -> None:
    digests = {e.digest for e in evaluations}
    if len(digests) > 1:
        raise ValueError(f"{name}: evaluations of several recipes ({', '.join(sorted(digests))}) cannot be compared")


def _points_with_interval(found: Difference | None) -> str:
    if found is None:
        return ""
    spread = "" if found.std is None else f" ± {100 * found.std:.1f}"
    return f"{_points(found.mean)}{spread} ({_points(found.low)} to {_points(found.high)})"


def _both(delta: ReportedDelta | LoggedDelta | None) -> str:
    return f"{_points(delta.top1_delta)} / {_points(delta.top5_delta)}" if delta else ""


def _points(delta: float | None) -> str:
    return "–" if delta is None else f"{100 * delta:+.1f}"
