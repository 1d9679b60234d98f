"""Ablations as a table: what each variation adds to the base recipe's error, beside what was printed and noted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from alexrepro.paper.logbook import Logged
from alexrepro.paper.results import TEST_2010, VAL_2012, Crops, ReportedDelta
from alexrepro.recipes.catalog import catalog
from alexrepro.recipes.variations import BASE_CROPS, Variation, find_variation
from alexrepro.reports.experiment import departure, grouped
from alexrepro.reports.statistics.comparison import TOPS
from alexrepro.reports.statistics.difference import (
    PRINTED_CROPS,
    DeltaRow,
    Difference,
    LoggedDelta,
    both_points,
    is_logged_for,
    is_printed_for,
)
from alexrepro.reports.statistics.official import shortfall
from alexrepro.reports.statistics.pairs import Pairs, image_differences, pooled_difference
from alexrepro.reports.statistics.verdict import Verdict, judged
from alexrepro.reports.tables.table import ResultTable
from alexrepro.runs.evaluation import Evaluation


def delta_table(
    base: Sequence[Evaluation],
    variations: Mapping[str, Sequence[Evaluation]],
    *,
    name: str = "ablations",
    title: str = "Ablations: error of the variation minus error of the base",
) -> ResultTable:
    """One row for each variation and split that it shares with the base, or one that says "not run".

    base, variations: evaluations of one recipe each; seeds that both have are compared, each once.
    Raises ValueError if the evaluations of one name are of several recipes, UserError for an unknown variation.
    """
    _check_one_recipe("base", base)
    rows = [row for key, found in variations.items() for row in delta_rows(find_variation(key), base=base, found=found)]
    return ResultTable(name, title, tuple(rows))


def delta_rows(
    variation: Variation,
    *,
    base: Sequence[Evaluation],
    found: Sequence[Evaluation],
    base_name: str = "",
    same_epochs: bool = True,
) -> list[DeltaRow]:
    """One row for each split, crops and length that a variation shares with its base, or one that says "not run".

    base_name: what the base is called where nothing was measured of it. same_epochs: not so for networks that have
    schedules of their own.
    """
    _check_one_recipe(variation.name, found)
    rows = []
    bases = {_place(group[0], same_epochs): {e.seed: e for e in group} for group in grouped(base)}
    for group in grouped(found):
        crops = BASE_CROPS if variation.is_of_testing else group[0].crops
        same_seeds = bases.get(_place(replace(group[0], crops=crops), same_epochs), {})
        pairs = [(e, same_seeds[e.seed]) for e in group if e.seed in same_seeds]
        if pairs:
            rows.append(_measured(variation, pairs))
    name = base[0].recipe if base else base_name
    note = "nothing in common with the base: run the same seed, split and crops" if found and base else "not run"
    verdict: Verdict | None = "not run" if variation.tests else None
    return rows or [
        DeltaRow(variation.name, variation.description, name, note, claim=claim_of(variation), verdict=verdict)
    ]


def reported_delta(variation: Variation, *, base: str) -> list[DeltaRow]:
    """A row of the printed difference and of the noted one behind it; none where nothing was printed."""
    printed = variation.tests
    if printed is None:
        return []
    crops = PRINTED_CROPS if printed.split else None
    return [
        DeltaRow(
            variation.name, variation.description, base,
            note="" if printed.split else "printed without naming the data",
            source="reported", split=printed.split, crops=crops, printed=printed, cites=str(printed.cites),
            logged=_logged_delta(variation, base=base, split=printed.split, crops=crops),
        )
    ]  # fmt: skip


def claim_of(variation: Variation) -> str:
    """A printed difference in words; nothing where none was printed."""
    printed = variation.tests
    return f"{variation.section}: {printed.name} adds {both_points(printed)} points" if printed else ""


def _measured(variation: Variation, pairs: Pairs) -> DeltaRow:
    """pairs: (variation, base) of the same seed, on the same split with the same crops."""
    first, first_base = pairs[0]
    printed = variation.tests
    is_whole = not (shortfall(first) or shortfall(first_base))
    logged = _logged_delta(variation, base=first_base.recipe, split=first.split, crops=first.crops)
    is_printed = printed is not None and is_printed_for(printed, first.split, first.crops)
    beside = printed if is_printed and is_whole else None
    how = departure(first_base) or shortfall(first)
    notes = ["" if is_printed else _why_empty(printed, first), how]
    by_image = image_differences(pairs)
    top1, top5 = (pooled_difference(pairs, top, by_image) for top in TOPS)
    verdict = _verdict(printed, beside, top1=top1, top5=top5, is_full=not how)
    return DeltaRow(
        variation.name, variation.description, base=first_base.recipe, note="; ".join(filter(None, notes)),
        dataset=first.dataset, split=first.split, crops=first.crops, seeds=len(pairs), images=first.images,
        top1=top1, top5=top5, interval="unpaired" if by_image is None else "paired", printed=beside,
        logged=logged if is_whole else None,
        cites="; ".join(e.run for pair in pairs for e in pair), claim=claim_of(variation), verdict=verdict,
    )  # fmt: skip


def _verdict(
    printed: ReportedDelta | None, beside: ReportedDelta | None, *, top1: Difference, top5: Difference, is_full: bool
) -> Verdict | None:
    if printed is None:
        return None
    if beside is None or not is_full:
        return "not comparable"
    return judged(
        (beside.top1_delta, top1.mean, top1.low, top1.high), (beside.top5_delta, top5.mean, top5.low, top5.high),
        is_difference=True,
    )  # fmt: skip


def _logged_delta(variation: Variation, *, base: str, split: str | None, crops: Crops | None) -> LoggedDelta | None:
    """The noted difference on this split with these crops, if the notes hold both results."""
    expected = catalog()[base].expected if base in catalog() else ()
    for noted in expected:
        delta = LoggedDelta(variation.logged, noted) if variation.logged and isinstance(noted, Logged) else None
        if delta is not None and is_logged_for(delta, split, crops):
            return delta
    return None


def _why_empty(printed: ReportedDelta | None, measured: Evaluation) -> str:
    if printed is None:
        return "no printed number"
    if printed.split is None and measured.split in (TEST_2010, VAL_2012):
        return "not comparable: printed without naming the data"
    return f"not comparable: other {'data' if printed.split != measured.split else 'crops'}"


def _place(evaluation: Evaluation, same_epochs: bool) -> tuple[str, Crops, int, int | None]:
    return evaluation.split, evaluation.crops, evaluation.images, evaluation.epochs if same_epochs else None


def _check_one_recipe(name: str, evaluations: Sequence[Evaluation]) -> None:
    digests = {e.digest for e in evaluations}
    if len(digests) > 1:
        raise ValueError(f"{name}: evaluations of several recipes ({', '.join(sorted(digests))}) cannot be compared")
