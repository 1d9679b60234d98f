"""Rows of measured errors and of differences A minus B, next to what was published and logged for them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from alexrepro.errors import UserError
from alexrepro.paper.citation import Citation
from alexrepro.paper.results import TEST_2010, VAL_2012, Crops, Logged, Reported, ReportedDelta, release_of
from alexrepro.recipes.catalog import catalog, find_recipe
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.variations import BASE_CROPS, Variation
from alexrepro.reports.statistics.differences import Seeds, estimate, mean_errors
from alexrepro.reports.statistics.intervals import Estimate
from alexrepro.reports.statistics.verdict import Verdict, departure, judged, notes, shortfall
from alexrepro.reports.tables.table import Row, both, pair_of, split_and_crops
from alexrepro.runs.evaluation import Evaluation

CHALLENGES = ("ilsvrc2010", "ilsvrc2012")  # the data sets of the paper; everything else is other data
NETWORKS = ("tiny", "as-printed", "as-run-2010", "as-run-2012")  # also shown on other data
TITLE = "Ablations: error of the variation minus error of the base"
LOST = "pre-trained on collections that are no longer distributed"


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

    def asks_for(self, evaluation: Evaluation) -> bool:
        """Whether an evaluation is of this recipe, split and crops, on all of its images or some."""
        found = (evaluation.recipe, release_of(evaluation.split), evaluation.crops)
        return found == (self.recipe, self.split, self.crops)


def grouped(evaluations: Iterable[Evaluation]) -> list[list[Evaluation]]:
    """Evaluations that differ in the seed only, together; the first of each seed is kept."""
    groups: dict[tuple[object, ...], dict[int, Evaluation]] = {}
    for e in evaluations:
        kind = (e.recipe, e.digest, e.epochs, e.split, e.crops, e.images, shortfall(e))
        groups.setdefault(kind, {}).setdefault(e.seed, e)
    return [list(seeds.values()) for seeds in groups.values()]


def paired(group: Sequence[Evaluation], others: Iterable[Evaluation], *, split: str, crops: str) -> Seeds:
    """Each evaluation of a group with the first of equal seed on a split with these crops, on as many images of it."""
    by_seed: dict[int, Evaluation] = {}
    for e in others:
        if (e.split, e.crops) == (split, crops) and (e.images == group[0].images or split != group[0].split):
            by_seed.setdefault(e.seed, e)
    return [(e, by_seed[e.seed]) for e in group if e.seed in by_seed]


def row_of(
    seeds: Seeds, *, label: str, reported: Reported | ReportedDelta | None = None, claim: str = "",
    why: str = "", note: str = "",
) -> Row:  # fmt: skip
    """A row of evaluations that differ in the seed only, or of pairs A and B of them, with a verdict on the claim.

    why: what else keeps them from being compared with the published numbers, which are then left out.
    """
    first, *base = seeds[0]
    top1, top5, interval = estimate(seeds)
    reasons = notes([why, *map(incomparable, seeds)])
    verdict: Verdict | None = "not comparable" if reported else None
    if reported and not reasons:
        verdict = judged(pair_of(reported), (top1, top5), is_difference=bool(base))
    else:
        reported = None
    return Row(
        quantity="delta" if base else "error", label=label, split=first.split, crops=first.crops,
        recipe=seeds[0][-1].recipe, seeds=len(seeds), images=first.images, top1=top1, top5=top5, interval=interval,
        errors=mean_errors([seed[0] for seed in seeds]) if base else None,
        base_errors=mean_errors([seed[-1] for seed in seeds]) if base else None,
        reported=reported, claim=claim, verdict=verdict,
        note=notes([reasons, note]) or ("" if reported else "no published number"),
        cites=notes(e.run for seed in seeds for e in seed),
    )  # fmt: skip


def incomparable(seed: tuple[Evaluation, ...]) -> str:
    """How an evaluation, or the base of a pair, departs from the catalog's recipe on all images; empty if not.

    A variation departs on purpose, so of A only the images count.
    """
    return departure(seed[-1]) or shortfall(seed[0])


def rows_for(needed: Needs, evaluations: Sequence[Evaluation]) -> list[Row]:
    """Rows of the full runs that a need asks for, or one that says "not run"; then those of its other runs."""
    claim = claim_of(needed.reported) if needed.reported else ""
    full: list[Row] = []
    others: list[Row] = []
    for group in grouped(filter(needed.asks_for, evaluations)):
        row = row_of([(e,) for e in group], label=needed.recipe, reported=needed.reported, claim=claim)
        (others if departure(group[0]) else full).append(row)
    missing = Row(
        quantity="error", label=needed.recipe, split=needed.split, crops=needed.crops, recipe=needed.recipe,
        claim=claim, verdict="not run",
        note=f"it is {LOST}" if find_recipe(needed.recipe).training.init_from_stages else "",
    )  # fmt: skip
    return [*(full or [missing]), *others]


def rows_on_other_data(evaluations: Sequence[Evaluation], *, crops: Crops, needs: Sequence[Needs] = ()) -> list[Row]:
    """What the paper's networks and `tiny` reached with these crops on other data, unless a need asks for it."""
    asked = [
        e for e in evaluations
        if e.recipe in NETWORKS and e.dataset not in CHALLENGES and e.crops == crops
        and not any(needed.asks_for(e) for needed in needs)
    ]  # fmt: skip
    return [row_of([(e,) for e in group], label=group[0].recipe, note="other data") for group in grouped(asked)]


def claim_of(reported: Reported) -> str:
    """Published errors in words: what, where, and after a colon how much, as in every claim."""
    return f"{reported.label} on {split_and_crops(reported.split, reported.crops)}: {both(reported)}"


def claim_of_delta(variation: Variation) -> str:
    """The published difference of a variation in words; empty if there is none."""
    tests = variation.tests
    return f"{variation.section}, {tests.name}: {both(tests)} points" if tests else ""


def delta_rows(
    variation: Variation, base: Sequence[Evaluation], found: Sequence[Evaluation], *, base_name: str = ""
) -> list[Row]:
    """One row for each split and crops that a variation shares with its base, or one that says "not run".

    base, found: evaluations of one recipe each; seeds that both have are compared. base_name: of a base without any.
    """
    tests, rows, claim = variation.tests, [], claim_of_delta(variation)
    for group in grouped(found):
        split, crops = group[0].split, group[0].crops
        pairs = paired(group, base, split=split, crops=BASE_CROPS if variation.is_of_testing else crops)
        if pairs:
            why = _why_empty(tests, group[0])
            row = row_of(pairs, label=variation.name, reported=tests, claim=claim, why=why)
            is_whole = not any(map(incomparable, pairs))
            logged = _logged_delta(variation, pairs[0][1].recipe, split, crops) if is_whole else None
            rows.append(replace(row, logged=logged))
    missing = Row(
        quantity="delta", label=variation.name, recipe=base[0].recipe if base else base_name, claim=claim,
        verdict="not run", note="no seed, split and crops in common with the base" if found and base else "",
    )  # fmt: skip
    return rows or [missing]


def reported_delta(variation: Variation, *, base: str) -> list[Row]:
    """A row of the published difference and of the logged one behind it; none if nothing was published."""
    reported = variation.tests
    if reported is None:
        return []
    behind = _logged_delta(variation, base, reported.split, reported.crops)
    note = "" if reported.split else "the data are not named"
    return [replace(published_row(reported, label=variation.name), recipe=base, logged=behind, note=note)]


def evaluated(recipe: Recipe, evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """The evaluations of exactly this recipe after its last epoch."""
    asked = (recipe.name, recipe.digest, recipe.training.epochs)
    return [e for e in evaluations if (e.recipe, e.digest, e.epochs) == asked]


def evaluated_variation(variation: Variation, base: Recipe, evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """The evaluations of a variation of this base; none if it does not apply to it."""
    try:
        found = evaluated(variation.of(base), evaluations)
    except UserError:
        return []
    return [e for e in found if e.crops == variation.crops] if variation.is_of_testing else found


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


def logged_delta(variation: Logged, base: Logged) -> ReportedDelta:
    """The difference of two results in the 2012 logs, which have at most six digits."""
    return ReportedDelta(
        f"{variation.config} - {base.config}", Citation(f"{variation.cites} - {base.cites}"),
        round(variation.top1_error - base.top1_error, 6), round(variation.top5_error - base.top5_error, 6),
        variation.split, variation.crops or "ten",
    )  # fmt: skip


def _logged_delta(variation: Variation, base: str, split: str | None, crops: str | None) -> ReportedDelta | None:
    """The difference in the 2012 logs on this split with these crops, if they hold both results."""
    logged = variation.logged
    if logged is None or (logged.split, logged.crops) != (split, crops):
        return None
    for expected in catalog()[base].expected if base in catalog() else ():
        if isinstance(expected, Logged) and (expected.split, expected.crops) == (split, crops):
            return logged_delta(logged, expected)
    return None


def _why_empty(reported: ReportedDelta | None, measured: Evaluation) -> str:
    """Why the published difference cannot appear next to this measurement; empty if it can, or there is none."""
    if reported is None:
        return ""
    if reported.split == release_of(measured.split):
        return "" if reported.crops == measured.crops else "other crops"
    is_unnamed = reported.split is None and release_of(measured.split) in (TEST_2010, VAL_2012)
    return "published without naming the data" if is_unnamed else "other data"
