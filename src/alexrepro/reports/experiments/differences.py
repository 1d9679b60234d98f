"""A minus B: the claims of the text (§3.2 to §4.2, §7), all ablations, ten crops (§4.1), validation and test (§6).

A published difference is that of two runs of the 2012 logs. It is asked of the variation, which changes what the text
names and nothing else, and of the network that the logs say was run, which has a schedule of its own.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from alexrepro.paper import results
from alexrepro.paper.citation import Citation
from alexrepro.paper.results import (
    CNN_2010,
    CNN_2010_CENTER,
    LOGGED,
    TEST_2010,
    VAL_2010,
    VALIDATION_TEST_GAP,
    Crops,
    Logged,
    ReportedDelta,
    logged,
)
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.variations import VARIATIONS, Variation
from alexrepro.reports.experiment import Experiment, commands_for, prepare_command
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.statistics.verdict import Verdict, departure, strongest
from alexrepro.reports.tables.delta_rows import (
    TITLE,
    base_of,
    delta_rows,
    evaluated,
    evaluated_variation,
    measured_delta,
    reported_delta,
    rows_of,
)
from alexrepro.reports.tables.error_rows import Needs, grouped
from alexrepro.reports.tables.row import Row, both, logged_delta, pair_of, published_row
from alexrepro.runs.evaluation import Evaluation

CLAIMED = [
    VARIATIONS[name]
    for name in (
        "one-tower", "no-norm", "non-overlapping-pooling", "no-color-shift", "no-dropout",
        "without-conv3", "without-conv4", "without-conv5",
    )
]  # fmt: skip
AS_LOGGED = [  # the networks that the 2012 logs say were run for these claims
    Variation(f"net-{config}", "as logged", {}, tests=reported, logged=logged(config), section=section)
    for config, reported, section in (
        ("145-half", results.ONE_TOWER, "§3.2"),
        ("148", results.NO_NORM, "§3.3"),
        ("147", results.NO_OVERLAP, "§3.4"),
    )
]
RECIPE = "as-run-2010"
_TOP1, _TOP5 = (
    round(one - other, 6)
    for one, other in zip(pair_of(CNN_2010_CENTER), pair_of(CNN_2010), strict=True)
    if one is not None and other is not None
)
GAIN = ReportedDelta("center minus ten crops", _TOP1, _TOP5, CNN_2010_CENTER.cites, TEST_2010, "center")
GAIN_CLAIM = f"§6: ten crops gain {both(GAIN)} points on {TEST_2010}"
SPLITS = "validation minus test"
SPLITS_CLAIM = f"§6: validation and test errors differ by no more than {100 * VALIDATION_TEST_GAP:.1f} points"


def _how_to_ablate(variations: Iterable[Variation], evidence: Evidence) -> list[str]:
    """The commands that train the paper's recipes and those variations of them that were not measured."""
    names: dict[str, list[str]] = {}
    for variation in variations:
        base = base_of(variation)
        if not (evaluated(base, evidence) and evaluated_variation(variation, base, evidence)):
            names.setdefault(base.name, []).append(variation.name)
    commands = []
    for base_name, some in names.items():
        dataset = "ilsvrc2010" if base_name == RECIPE else "ilsvrc2012"
        ablate = f"alexrepro ablate {' '.join(some)} --base {base_name} --store {dataset}"
        commands += [prepare_command(dataset), ablate]
    return commands


def _claims(evidence: Evidence) -> Iterator[Row]:
    for variation in CLAIMED:
        yield from reported_delta(variation, base=base_of(variation).name)
        yield from rows_of(variation, evidence)
    for variation in AS_LOGGED:
        base, recipe = base_of(variation), find_recipe(variation.name)
        of_base, found = evaluated(base, evidence), evaluated(recipe, evidence)
        yield from delta_rows(variation, of_base, found, base_name=base.name, same_epochs=False)


def _claims_lack(evidence: Evidence) -> list[str]:
    needs = [
        Needs(name, (variation.tests and variation.tests.split) or "", "ten")
        for variation in AS_LOGGED
        for name in (base_of(variation).name, variation.name)
    ]
    return list(dict.fromkeys([*_how_to_ablate(CLAIMED, evidence), *commands_for(needs, evidence)]))


def _ten_crops(evidence: Evidence) -> list[Row]:
    rows = []
    for group in grouped([e for e in evidence.evaluations if e.crops == "center"]):
        pairs, notes = _same_runs(group, evidence, split=group[0].split, crops="ten"), [departure(group[0])]
        if pairs and (group[0].recipe, group[0].split) == (RECIPE, TEST_2010):
            rows.append(measured_delta(pairs, label=GAIN.name, reported=GAIN, claim=GAIN_CLAIM, notes=notes))
        elif pairs:
            rows.append(measured_delta(pairs, label=GAIN.name, notes=[*notes, "no published number"]))
    center = {(one.config, one.split, one.part): one for one in LOGGED if one.crops == "center"}
    both_crops = [(center.get((ten.config, ten.split, ten.part)), ten) for ten in LOGGED if ten.crops == "ten"]
    return [
        replace(published_row(GAIN, label=GAIN.name), recipe=CNN_2010.label),
        *_or_not_run(rows, label=GAIN.name, claim=GAIN_CLAIM),
        *(_logged_row(GAIN.name, one, ten) for one, ten in both_crops if one),
    ]


def _or_not_run(rows: list[Row], *, label: str, claim: str) -> list[Row]:
    """The rows, after one that says "not run" unless one of them answers the claim."""
    if any(row.verdict not in (None, "not comparable") for row in rows):
        return rows
    return [replace(measured_delta((), label=label, claim=claim), recipe=RECIPE), *rows]


def _logged_row(label: str, one: Logged, other: Logged) -> Row:
    row = published_row(logged_delta(one, other), label=label, source="2012 log")
    return replace(row, recipe=f"#{one.config}", cites=one.cites.source)


def _validation_and_test(evidence: Evidence) -> list[Row]:
    """The test labels of 2012 are not public, so the two splits of 2010 answer."""
    rows = []
    for group in grouped([e for e in evidence.evaluations if e.split.endswith("-val") and e.crops == "ten"]):
        pairs = _same_runs(group, evidence, split=f"{group[0].dataset}-test", crops="ten")
        if not pairs:
            continue
        (first, test), is_asked = pairs[0], group[0].split == VAL_2010
        how = departure(first) or departure(test)
        notes = [how, "" if is_asked else "other data"]
        row = measured_delta(pairs, label=SPLITS, claim=SPLITS_CLAIM if is_asked else "", notes=notes)
        if is_asked:
            ends = [(one.low, one.high) for one in (row.top1, row.top5) if one]
            verdict: Verdict = "not comparable" if how else strongest(_within_gap(*pair) for pair in ends)
            row = replace(row, verdict=verdict, note=how)
        rows.append(row)
    both_splits = (logged("137-2010", split=split) for split in (VAL_2010, TEST_2010))
    return [*_or_not_run(rows, label=SPLITS, claim=SPLITS_CLAIM), _logged_row(SPLITS, *both_splits)]


def _within_gap(low: float | None, high: float | None) -> Verdict:
    """Reproduced if the interval lies within the published bound, not reproduced if outside it, else within noise."""
    assert low is not None
    assert high is not None
    if max(-low, high) <= VALIDATION_TEST_GAP:
        return "reproduced"
    return "not reproduced" if low > VALIDATION_TEST_GAP or high < -VALIDATION_TEST_GAP else "within noise"


def _same_runs(
    group: Sequence[Evaluation], evidence: Evidence, *, split: str, crops: Crops
) -> list[tuple[Evaluation, Evaluation]]:
    """Each evaluation of a group with that of the same run on this split with these crops."""
    one = group[0]
    others = {
        e.seed: e
        for e in evidence.evaluations
        if (e.recipe, e.digest, e.epochs, e.split, e.crops) == (one.recipe, one.digest, one.epochs, split, crops)
        and (e.images == one.images or split != one.split)
    }
    return [(e, others[e.seed]) for e in group if e.seed in others]


ABLATIONS = Experiment(
    "ablations", TITLE, Citation("§3 to §7", "what each part of the network and of its training contributes"),
    summarize=lambda evidence: [row for one in VARIATIONS.values() for row in rows_of(one, evidence)],
    lacks=lambda evidence: _how_to_ablate(VARIATIONS.values(), evidence),
)  # fmt: skip
CLAIMS = Experiment(
    "claims", "Claims of the text: published, logged and measured differences in error",
    Citation("§3.2 to §4.2, §7", "differences in the running text"), summarize=_claims, lacks=_claims_lack,
)  # fmt: skip
TEN_CROPS = Experiment(
    "ten-crops", "Ten crops: what averaging gains over the center crop", Citation("§4.1, §6", "Table 1 and footnote 5"),
    needs=(Needs(RECIPE, TEST_2010, "ten"), Needs(RECIPE, TEST_2010, "center")), summarize=_ten_crops,
)  # fmt: skip
VALIDATION_TEST = Experiment(
    "validation-test", "Validation and test: the difference of their errors",
    Citation("§6", "validation and test errors"),
    needs=(Needs(RECIPE, TEST_2010, "ten"), Needs(RECIPE, VAL_2010, "ten")), summarize=_validation_and_test,
)  # fmt: skip
