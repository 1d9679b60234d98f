"""Rows of differences: what a variation adds to the error of its base, next to the published and the 2012 numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from alexrepro.errors import UserError
from alexrepro.paper.results import TEST_2010, VAL_2012, Crops, Logged, ReportedDelta
from alexrepro.recipes.catalog import AS_RUN_2010, AS_RUN_2012, catalog
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.variations import BASE_CROPS, VARIATIONS, Variation, find_variation
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.statistics.differences import Pairs, estimate_differences
from alexrepro.reports.statistics.verdict import Verdict, departure, judged, shortfall
from alexrepro.reports.tables.error_rows import grouped
from alexrepro.reports.tables.row import Row, both, logged_delta, pair_of, published_row
from alexrepro.reports.tables.table import ResultTable
from alexrepro.runs.evaluation import Evaluation

TITLE = "Ablations: error of the variation minus error of the base"


def delta_table(
    base: Sequence[Evaluation], variations: Mapping[str, Sequence[Evaluation]], *, name: str
) -> ResultTable:
    """One row for each variation and split that it shares with the base, or one that says "not run".

    base, variations: evaluations of one recipe each; seeds that both have are compared, each once.
    Raises ValueError if the evaluations of one name are of several recipes, UserError for an unknown variation.
    """
    rows = [row for key, found in variations.items() for row in delta_rows(find_variation(key), base, found)]
    return ResultTable(name, TITLE, tuple(rows))


def delta_rows(
    variation: Variation,
    base: Sequence[Evaluation],
    found: Sequence[Evaluation],
    *,
    base_name: str = "",
    same_epochs: bool = True,
) -> list[Row]:
    """One row for each split, crops and length that a variation shares with its base, or one that says "not run".

    base_name: of a base without evaluations. same_epochs: False for networks with schedules of their own.
    """
    for evaluations in (base, found):
        if len(digests := {e.digest for e in evaluations}) > 1:
            raise ValueError(f"{variation.name}: several recipes ({', '.join(sorted(digests))}) cannot be compared")

    def key(e: Evaluation, crops: Crops) -> tuple[object, ...]:
        return e.split, crops, e.images, e.epochs if same_epochs else None

    rows = []
    bases = {key(group[0], group[0].crops): {e.seed: e for e in group} for group in grouped(base)}
    for group in grouped(found):
        crops = BASE_CROPS if variation.is_of_testing else group[0].crops
        by_seed = bases.get(key(group[0], crops), {})
        pairs = [(e, by_seed[e.seed]) for e in group if e.seed in by_seed]
        if pairs:
            rows.append(_of_variation(variation, pairs))
    if rows:
        return rows
    missing = measured_delta((), label=variation.name, reported=variation.tests, claim=claim_of(variation))
    note = "no seed, split and crops in common with the base" if found and base else ""
    return [replace(missing, recipe=base[0].recipe if base else base_name, note=note)]


def measured_delta(
    pairs: Pairs, *, label: str, reported: ReportedDelta | None = None, claim: str = "", notes: Sequence[str] = ()
) -> Row:
    """A row of the mean difference over pairs of A and B with the same seed, or of none, "not run".

    notes: why it cannot be compared with the published difference; empty texts are dropped.
    """
    if not pairs:
        return Row(quantity="delta", label=label, claim=claim, verdict="not run")
    (first, first_base), note = pairs[0], "; ".join(dict.fromkeys(filter(None, notes)))
    top1, top5, pairing = estimate_differences(pairs)
    verdict: Verdict | None = "not comparable" if reported else None
    if reported and not note:
        verdict = judged(pair_of(reported), (top1, top5), is_difference=True)
    elif reported and (_shortfall(pairs) or (reported.split, reported.crops) != (first.split, first.crops)):
        reported = None
    return Row(
        quantity="delta", label=label, split=first.split, crops=first.crops, recipe=first_base.recipe, seeds=len(pairs),
        images=first.images, top1=top1, top5=top5, interval=pairing, reported=reported, claim=claim, verdict=verdict,
        note=note or ("" if reported else "no published number"),
        cites="; ".join(dict.fromkeys(e.run for pair in pairs for e in pair)),
    )  # fmt: skip


def reported_delta(variation: Variation, *, base: str) -> list[Row]:
    """A row of the published difference and of the logged one behind it; none if nothing was published."""
    reported = variation.tests
    if reported is None:
        return []
    behind = _logged_delta(variation, base, reported.split, reported.crops)
    note = "" if reported.split else "the data are not named"
    return [replace(published_row(reported, label=variation.name), recipe=base, logged=behind, note=note)]


def claim_of(variation: Variation) -> str:
    """A published difference in words; empty if none was published."""
    reported = variation.tests
    return f"{variation.section}: {reported.name} adds {both(reported)} points" if reported else ""


def base_of(variation: Variation) -> Recipe:
    """The recipe that the published difference was measured against; that of 2012 where the paper names no data."""
    return AS_RUN_2010 if variation.tests and variation.tests.split == TEST_2010 else AS_RUN_2012


def evaluated(recipe: Recipe, evidence: Evidence) -> list[Evaluation]:
    """The evaluations of exactly this recipe after its last epoch."""
    asked = (recipe.name, recipe.digest, recipe.training.epochs)
    return [e for e in evidence.evaluations if (e.recipe, e.digest, e.epochs) == asked]


def rows_of(variation: Variation, evidence: Evidence) -> list[Row]:
    """The variation against the paper's recipe, measured or "not run", then against every other base that has runs."""
    asked = base_of(variation)
    bases = {asked.digest: asked}
    varied = {run.recipe.name for run in evidence.runs}
    for run in evidence.runs:
        if variation.is_of_testing or f"{run.recipe.name}+{variation.name}" in varied:
            bases.setdefault(run.recipe.digest, run.recipe)
    rows = []
    for base in bases.values():
        found, of_base = evaluated_variation(variation, base, evidence), evaluated(base, evidence)
        if base is asked or (found and of_base):
            rows += delta_rows(variation, of_base, found, base_name=base.name)
    return rows


def measured_of(base: Recipe, evidence: Evidence, *, store: str) -> dict[str, list[Evaluation]]:
    """The evaluations of every variation of a base on the store with this digest, by the variation's name."""
    tested = {variation.name: evaluated_variation(variation, base, evidence) for variation in VARIATIONS.values()}
    on_store = {name: [e for e in found if e.store == store] for name, found in tested.items()}
    return {name: found for name, found in on_store.items() if found}


def evaluated_variation(variation: Variation, base: Recipe, evidence: Evidence) -> list[Evaluation]:
    """The evaluations of a variation of this base; none if it does not apply to it."""
    try:
        found = evaluated(variation.of(base), evidence)
    except UserError:
        return []
    return [e for e in found if e.crops == variation.crops] if variation.is_of_testing else found


def _of_variation(variation: Variation, pairs: Pairs) -> Row:
    (first, base), reported = pairs[0], variation.tests
    notes = [_why_empty(reported, first) if reported else "", departure(base) or shortfall(first)]
    row = measured_delta(pairs, label=variation.name, reported=reported, claim=claim_of(variation), notes=notes)
    if _shortfall(pairs):
        return row
    return replace(row, logged=_logged_delta(variation, base.recipe, first.split, first.crops))


def _shortfall(pairs: Pairs) -> str:
    return shortfall(pairs[0][0]) or shortfall(pairs[0][1])


def _logged_delta(variation: Variation, base: str, split: str | None, crops: str | None) -> ReportedDelta | None:
    """The difference in the 2012 logs on this split with these crops, if they hold both results."""
    logged = variation.logged
    if logged is None or (logged.split, logged.crops) != (split, crops):
        return None
    for expected in catalog()[base].expected if base in catalog() else ():
        if isinstance(expected, Logged) and (expected.split, expected.crops) == (split, crops):
            return logged_delta(logged, expected)
    return None


def _why_empty(reported: ReportedDelta, measured: Evaluation) -> str:
    """Why the published difference cannot appear next to this measurement; empty if it can."""
    if reported.split == measured.split:
        return "" if reported.crops == measured.crops else "other crops"
    if reported.split is None and measured.split in (TEST_2010, VAL_2012):
        return "published without naming the data"
    return "other data"
