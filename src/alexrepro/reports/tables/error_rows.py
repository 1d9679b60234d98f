"""Rows of error rates: what was published, what full runs reached, and what was measured on other data."""

from collections.abc import Sequence
from dataclasses import dataclass

from alexrepro.paper.results import Crops, Reported
from alexrepro.recipes.catalog import find_recipe
from alexrepro.reports.statistics.differences import TOPS, correct, sample, wrong_by_image
from alexrepro.reports.statistics.intervals import Estimate, mean_and_std
from alexrepro.reports.statistics.verdict import Verdict, departure, judged, shortfall
from alexrepro.reports.tables.row import IntervalKind, Row, both, pair_of, published_row, split_and_crops
from alexrepro.runs.evaluation import Evaluation

CHALLENGES = ("ilsvrc2010", "ilsvrc2012")  # the data sets of the paper; everything else is other data
NETWORKS = ("tiny", "as-printed", "as-run-2010", "as-run-2012")  # also shown on other data


@dataclass(frozen=True)
class Needs:
    """A measurement that an experiment asks for, and the published numbers for it."""

    recipe: str
    split: str
    crops: Crops
    reported: Reported | None = None

    @property
    def dataset(self) -> str:
        """The data set of the split."""
        return self.split.rpartition("-")[0]


def grouped(evaluations: Sequence[Evaluation]) -> list[list[Evaluation]]:
    """Evaluations that differ in the seed only, together; the first of each seed is kept."""
    groups: dict[tuple[object, ...], dict[int, Evaluation]] = {}
    for e in evaluations:
        kind = (e.recipe, e.digest, e.epochs, e.split, e.crops, e.images, shortfall(e))
        groups.setdefault(kind, {}).setdefault(e.seed, e)
    return [list(seeds.values()) for seeds in groups.values()]


def reported_row(reported: Reported) -> Row:
    """A row of published errors."""
    return published_row(reported, label=reported.label)


def measured_row(
    evaluations: Sequence[Evaluation], *, label: str, reported: Reported | None = None, note: str = ""
) -> Row:
    """A row of evaluations that differ in the seed only (`grouped`), with a verdict on the published errors if any."""
    first = evaluations[0]
    kind, estimates = _estimates(evaluations)
    how = departure(first)
    verdict: Verdict | None = None
    if reported:
        verdict = "not comparable" if how else judged(pair_of(reported), estimates)
    return Row(
        quantity="error", label=label, split=first.split, crops=first.crops, recipe=first.recipe,
        seeds=len(evaluations), images=first.images, top1=estimates[0], top5=estimates[1], interval=kind,
        reported=None if shortfall(first) else reported, claim=claim_of(reported) if reported else "", verdict=verdict,
        note="; ".join(filter(None, (how, note))) or ("" if reported else "no published number"),
        cites="; ".join(e.run for e in evaluations),
    )  # fmt: skip


def measured_rows(needed: Needs, evaluations: Sequence[Evaluation]) -> list[Row]:
    """Rows of the full runs that a need asks for, or one that says "not run"; then those of its other runs."""
    asked = (needed.recipe, needed.split, needed.crops)
    groups = grouped([e for e in evaluations if (e.recipe, e.split, e.crops) == asked])
    rows = [measured_row(group, label=needed.recipe, reported=needed.reported) for group in groups]
    full = [row for row, group in zip(rows, groups, strict=True) if not departure(group[0])]
    lost = find_recipe(needed.recipe).training.init_from_stages
    missing = Row(
        quantity="error", label=needed.recipe, split=needed.split, crops=needed.crops, recipe=needed.recipe,
        claim=claim_of(needed.reported) if needed.reported else "", verdict="not run",
        note="it is pre-trained on collections that are no longer distributed" if lost else "",
    )  # fmt: skip
    return [*(full or [missing]), *(row for row in rows if row not in full)]


def rows_on_other_data(evaluations: Sequence[Evaluation], *, crops: Crops) -> list[Row]:
    """What the paper's networks and `tiny` reached with these crops on data without published numbers."""
    asked = [e for e in evaluations if e.recipe in NETWORKS and is_other_data(e) and e.crops == crops]
    return [measured_row(group, label=group[0].recipe, note="other data") for group in grouped(asked)]


def is_other_data(evaluation: Evaluation) -> bool:
    """Whether it was measured on a data set that is not the challenge's."""
    return evaluation.dataset not in CHALLENGES


def claim_of(reported: Reported) -> str:
    """Published errors in words: what, how much, where."""
    return f"{reported.label}: {both(reported)} on {split_and_crops(reported.split, reported.crops)}"


def _estimates(evaluations: Sequence[Evaluation]) -> tuple[IntervalKind, tuple[Estimate, Estimate]]:
    """Top-1 and top-5 errors with intervals by image where the predictions of all seeds are saved."""
    images = evaluations[0].images
    shown, is_one = images * len(evaluations), len(evaluations) == 1
    wrong = None if is_one else wrong_by_image(evaluations)
    found = []
    for top in TOPS:
        right = sum(correct(e, top) for e in evaluations)
        low, high = sample(evaluations, top, wrong).interval
        std = mean_and_std([getattr(e, f"top{top}_error") for e in evaluations])[1]
        found.append(Estimate((shown - right) / shown, low, high, std))
    kind: IntervalKind = "one seed" if is_one else "counts only" if wrong is None else "by image"
    return kind, (found[0], found[1])
