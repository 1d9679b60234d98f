"""A minus B: the claims of the text (§3.2 to §4.2, §7), all ablations, ten crops (§4.1), validation and test (§6).

A published difference is that of two runs of the 2012 logs. It is asked of the variation, which changes what the text
names and nothing else, and of the network that the logs say was run, which has a schedule of its own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from alexrepro.errors import UserError
from alexrepro.paper import results
from alexrepro.paper.citation import Citation
from alexrepro.paper.results import CNN_2010, CNN_2010_CENTER, TEST_2010, VAL_2010, VALIDATION_TEST_GAP
from alexrepro.recipes.catalog import AS_RUN_2010, AS_RUN_2012, find_recipe
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.variations import VARIATIONS, Variation
from alexrepro.reports.experiments import Evidence, Experiment, commands_for, gather, prepare_command, render
from alexrepro.reports.figures import dots
from alexrepro.reports.statistics.verdict import Verdict, notes, strongest
from alexrepro.reports.tables import measured
from alexrepro.reports.tables.table import ResultTable, Row, both, pair_of
from alexrepro.runs.evaluation import Evaluation

CLAIMED = [
    VARIATIONS[name]
    for name in (
        "one-tower", "no-norm", "non-overlapping-pooling", "no-color-shift", "no-dropout",
        "without-conv3", "without-conv4", "without-conv5",
    )
]  # fmt: skip
AS_LOGGED = [  # the networks that the 2012 logs say were run for these claims
    Variation(f"net-{config}", "as logged", {}, tests=reported, logged=results.logged(config), section=section)
    for config, reported, section in (
        ("145-half", results.ONE_TOWER, "§3.2"),
        ("148", results.NO_NORM, "§3.3"),
        ("147", results.NO_OVERLAP, "§3.4"),
    )
]
RECIPE = AS_RUN_2010.name
_TOP1, _TOP5 = (
    round((one or 0) - (other or 0), 6) for one, other in zip(pair_of(CNN_2010_CENTER), pair_of(CNN_2010), strict=True)
)
GAIN = results.ReportedDelta("center minus ten crops", CNN_2010_CENTER.cites, _TOP1, _TOP5, TEST_2010, "center")
GAIN_CLAIM = f"§6, center minus ten crops on {TEST_2010}: {both(GAIN)} points"
SPLITS = "validation minus test"
SPLITS_CLAIM = f"§6, validation minus test errors: at most {100 * VALIDATION_TEST_GAP:.1f} points"


def _base_of(variation: Variation) -> Recipe:
    """The recipe that the published difference was measured against; that of 2012 where the paper names no data."""
    return AS_RUN_2010 if variation.tests and variation.tests.split == TEST_2010 else AS_RUN_2012


def _draw(variations: Iterable[Variation], evidence: Evidence) -> Figure | None:
    """The measured differences, each variation after what was published for it; None if nothing was measured."""
    rows = []
    for variation in variations:
        found = [row for row in _rows_of(variation, evidence) if row.top1]
        rows += [*measured.reported_delta(variation, base=_base_of(variation).name), *found] if found else []
    return dots.draw(rows)


def _rows_of(variation: Variation, evidence: Evidence) -> list[Row]:
    """The variation against the paper's recipe, measured or "not run", then against every other base that has runs."""
    asked = _base_of(variation)
    bases = {asked.digest: asked}
    varied = {run.recipe.name for run in evidence.runs}
    for run in evidence.runs:
        if variation.is_of_testing or f"{run.recipe.name}+{variation.name}" in varied:
            bases.setdefault(run.recipe.digest, run.recipe)
    return [row for base in bases.values() for row in rows_of(variation, base, evidence, or_not_run=base is asked)]


def rows_of(variation: Variation, base: Recipe, evidence: Evidence, *, or_not_run: bool = False) -> list[Row]:
    """The variation against one base: measured differences and failed runs; else "not run", or nothing."""
    found = measured.evaluated_variation(variation, base, evidence.evaluations)
    of_base, failed = measured.evaluated(base, evidence.evaluations), _failed(variation, base, evidence)
    rows = []
    if (found and of_base) or (or_not_run and not failed):
        rows = measured.delta_rows(variation, of_base, found, base_name=base.name)
    return [*rows, *failed]


def _failed(variation: Variation, base: Recipe, evidence: Evidence) -> list[Row]:
    """A row for each failed run of the variation, and for those of the base if the variation was trained, too."""
    try:
        varied = variation.of(base)
    except UserError:
        return []
    runs = {
        digest: [run for run in evidence.runs if run.recipe.digest == digest] for digest in (varied.digest, base.digest)
    }
    failed = [run for found in runs.values() for run in found if run.failure and runs[varied.digest]]
    return [
        Row(
            quantity="delta", label=variation.name, recipe=base.name, claim=measured.claim_of_delta(variation),
            verdict="not comparable", cites=str(run.folder),
            note=f"{run.recipe.name}, seed {run.environment['seed']}: {run.failure}, stopped",
        )
        for run in failed
    ]  # fmt: skip


def how_to_ablate(variations: Iterable[Variation], evidence: Evidence) -> list[str]:
    """The commands that train the paper's recipes and those variations of them that were not measured."""
    names: dict[str, list[str]] = {}
    for variation in variations:
        base = _base_of(variation)
        tried = measured.evaluated_variation(variation, base, evidence.evaluations)
        if not (tried and measured.evaluated(base, evidence.evaluations)):
            names.setdefault(base.name, []).append(variation.name)
    commands = []
    for base_name, some in names.items():
        dataset = "ilsvrc2010" if base_name == RECIPE else "ilsvrc2012"
        ablate = f"alexrepro ablate {' '.join(some)} --base {base_name} --store {dataset}"
        commands += [prepare_command(dataset), ablate]
    return commands


def _claims(evidence: Evidence) -> Iterator[Row]:
    for variation in CLAIMED:
        yield from measured.reported_delta(variation, base=_base_of(variation).name)
        yield from _rows_of(variation, evidence)
    for variation in AS_LOGGED:
        base, recipe = _base_of(variation), find_recipe(variation.name)
        of_base, found = (measured.evaluated(one, evidence.evaluations) for one in (base, recipe))
        yield from measured.delta_rows(variation, of_base, found, base_name=base.name)


def _claims_lack(evidence: Evidence) -> list[str]:
    needs = [
        measured.Needs(name, (variation.tests and variation.tests.split) or "", "ten")
        for variation in AS_LOGGED
        for name in (_base_of(variation).name, variation.name)
    ]
    return list(dict.fromkeys([*how_to_ablate(CLAIMED, evidence), *commands_for(needs, evidence)]))


def _ten_crops(evidence: Evidence) -> list[Row]:
    rows = []
    for group in measured.grouped(e for e in evidence.evaluations if e.crops == "center"):
        pairs = measured.paired(group, _same_recipe(group[0], evidence), split=group[0].split, crops="ten")
        if pairs and (group[0].recipe, group[0].split) == (RECIPE, TEST_2010):
            rows.append(measured.row_of(pairs, label=GAIN.name, reported=GAIN, claim=GAIN_CLAIM))
        elif pairs:
            rows.append(measured.row_of(pairs, label=GAIN.name, note="no published number"))
    center = {(one.config, one.split, one.part): one for one in results.LOGGED if one.crops == "center"}
    ten_crops = [(center.get((one.config, one.split, one.part)), one) for one in results.LOGGED if one.crops == "ten"]
    return [
        replace(measured.published_row(GAIN, label=GAIN.name), recipe=CNN_2010.label),
        *_or_not_run(rows, label=GAIN.name, claim=GAIN_CLAIM),
        *(_logged_row(GAIN.name, one, ten) for one, ten in ten_crops if one),
    ]


def _validation_and_test(evidence: Evidence) -> list[Row]:
    """The test labels of 2012 are not public, so the two splits of 2010 answer."""
    rows = []
    for group in measured.grouped(e for e in evidence.evaluations if e.split.endswith("-val") and e.crops == "ten"):
        pairs = measured.paired(group, _same_recipe(group[0], evidence), split=f"{group[0].dataset}-test", crops="ten")
        if pairs and group[0].split != VAL_2010:
            rows.append(measured.row_of(pairs, label=SPLITS, note="other data"))
        elif pairs:
            how = notes(map(measured.incomparable, pairs))
            row = measured.row_of(pairs, label=SPLITS, claim=SPLITS_CLAIM)
            within = strongest(_within_gap(one.low or 0, one.high or 0) for one in (row.top1, row.top5) if one)
            verdict: Verdict = "not comparable" if how else within
            rows.append(replace(row, verdict=verdict, note=how))
    both_splits = (results.logged("137-2010", split=split) for split in (VAL_2010, TEST_2010))
    return [*_or_not_run(rows, label=SPLITS, claim=SPLITS_CLAIM), _logged_row(SPLITS, *both_splits)]


def _same_recipe(one: Evaluation, evidence: Evidence) -> Iterator[Evaluation]:
    return (e for e in evidence.evaluations if (e.recipe, e.digest, e.epochs) == (one.recipe, one.digest, one.epochs))


def _or_not_run(rows: list[Row], *, label: str, claim: str) -> list[Row]:
    """The rows, after one that says "not run" unless one of them answers the claim."""
    if any(row.verdict not in (None, "not comparable") for row in rows):
        return rows
    return [Row(quantity="delta", label=label, recipe=RECIPE, claim=claim, verdict="not run"), *rows]


def _logged_row(label: str, one: results.Logged, other: results.Logged) -> Row:
    row = measured.published_row(measured.logged_delta(one, other), label=label, source="2012 log")
    return replace(row, recipe=f"#{one.config}", cites=one.cites.source)


def _within_gap(low: float, high: float) -> Verdict:
    """Reproduced if the interval lies within the published bound, not reproduced if outside it, else within noise."""
    if max(-low, high) <= VALIDATION_TEST_GAP:
        return "reproduced"
    return "not reproduced" if low > VALIDATION_TEST_GAP or high < -VALIDATION_TEST_GAP else "within noise"


def save_ablations(base: Recipe, *, runs: Path, out: Path) -> tuple[ResultTable, list[str]]:
    """Write the report of all ablations; returns those of one base, with the crops of each variation, and the files."""
    evidence = gather(runs)
    files = render(ABLATIONS, evidence).save(out)
    rows = [
        row for one in VARIATIONS.values() for row in rows_of(one, base, evidence) if row.crops in (None, one.crops)
    ]
    return ResultTable(ABLATIONS.name, f"{measured.TITLE}, {base.name}", tuple(rows)), list(map(str, files))


ABLATIONS = Experiment(
    "ablations", measured.TITLE, Citation("§3 to §7", "what each part of the network and of its training contributes"),
    summarize=lambda evidence: [row for one in VARIATIONS.values() for row in _rows_of(one, evidence)],
    draw=lambda evidence: _draw(VARIATIONS.values(), evidence),
    lacks=lambda evidence: how_to_ablate(VARIATIONS.values(), evidence),
)  # fmt: skip
CLAIMS = Experiment(
    "claims", "Claims of the text: published, logged and measured differences in error",
    Citation("§3.2 to §4.2, §7", "differences in the running text"), summarize=_claims, lacks=_claims_lack,
    draw=lambda evidence: _draw(CLAIMED, evidence),
)  # fmt: skip
TEN_CROPS = Experiment(
    "ten-crops", "Ten crops: what averaging gains over the center crop", Citation("§4.1, §6", "Table 1 and footnote 5"),
    needs=(measured.Needs(RECIPE, TEST_2010, "ten"), measured.Needs(RECIPE, TEST_2010, "center")), summarize=_ten_crops,
)  # fmt: skip
VALIDATION_TEST = Experiment(
    "validation-test", "Validation and test: the difference of their errors",
    Citation("§6", "validation and test errors"), summarize=_validation_and_test,
    needs=(measured.Needs(RECIPE, TEST_2010, "ten"), measured.Needs(RECIPE, VAL_2010, "ten")),
)  # fmt: skip
