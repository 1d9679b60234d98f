"""How far validation and test errors are apart (§6): no more than 0.1 %, the paper says.

Test labels of 2012 are not public, so that the two splits of 2010 answer. A gap is the validation error minus the test
error of the same network, over ten crops.
"""

from collections.abc import Sequence

from alexrepro.paper.citation import Citation
from alexrepro.paper.logbook import logged
from alexrepro.paper.pictures import VALIDATION_TEST_GAP
from alexrepro.paper.results import TEST_2010, VAL_2010, Crops
from alexrepro.reports.experiment import Experiment, Needs, departure, grouped
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.statistics.gap import COLUMNS, Gap, GapRow, measured_gap, printed_gap, same_seeds
from alexrepro.reports.statistics.verdict import Verdict, strongest
from alexrepro.reports.tables.table import ResultTable
from alexrepro.runs.evaluation import Evaluation

TITLE = "Validation and test: how far their errors are apart"
CLAIM = f"§6: validation and test errors differ by no more than {100 * VALIDATION_TEST_GAP:.1f} points"
RECIPE, SPLITS = "as-run-2010", "val minus test"
CROPS: Crops = "ten"


def _summarize(evidence: Evidence) -> ResultTable:
    groups = grouped([e for e in evidence.evaluations if e.split.endswith("-val") and e.crops == CROPS])
    measured = [row for group in groups for row in _measured(group, evidence)]
    if not any(row.values["verdict"] not in (None, "not comparable") for row in measured):
        facts = {"label": RECIPE, "source": "measured", "split": f"ilsvrc2010: {SPLITS}", "crops": CROPS}
        measured = [GapRow(COLUMNS, {**facts, "claim": CLAIM, "verdict": "not run", "note": "not run"}), *measured]
    return ResultTable("validation-test", TITLE, (*measured, _noted()))


def _measured(validation: Sequence[Evaluation], evidence: Evidence) -> list[GapRow]:
    first = validation[0]
    asked = (first.recipe, first.digest, first.epochs, f"{first.dataset}-test", CROPS)
    test = [e for e in evidence.evaluations if (e.recipe, e.digest, e.epochs, e.split, e.crops) == asked]
    one, other = same_seeds(validation, test)
    if not one:
        return []
    gap, how = measured_gap(one, other), departure(one[0]) or departure(other[0])
    is_asked, verdict = first.split == VAL_2010, None
    if is_asked:
        verdict = "not comparable" if how else _judge(gap)
    return [
        gap.record(
            label=first.recipe, source="measured", split=f"{first.dataset}: {SPLITS}", crops=CROPS, seeds=len(one),
            images=first.images, claim=CLAIM if is_asked else None, verdict=verdict,
            note=how or ("" if is_asked else "other data"), cites="; ".join(e.run for e in one),
        )
    ]  # fmt: skip


def _judge(gap: Gap) -> Verdict:
    """Reproduced where both intervals lie within the printed bound, not where one lies outside, else within noise."""
    return strongest(_side(*ends) for ends in (gap.top1_range, gap.top5_range))


def _side(low: float | None, high: float | None) -> Verdict:
    assert low is not None
    assert high is not None
    if max(-low, high) <= VALIDATION_TEST_GAP:
        return "reproduced"
    return "not reproduced" if low > VALIDATION_TEST_GAP or high < -VALIDATION_TEST_GAP else "within noise"


def _noted() -> GapRow:
    one, other = (logged("137-2010", split=split) for split in (VAL_2010, TEST_2010))
    return printed_gap((one.top1_error, one.top5_error), (other.top1_error, other.top5_error)).record(
        label=f"#{one.config}", source="noted in 2012", split=f"ilsvrc2010: {SPLITS}", crops=CROPS,
        cites=one.cites.source,
    )  # fmt: skip


EXPERIMENT = Experiment(
    name="validation-test",
    title=TITLE,
    cites=Citation("§6", "validation and test errors"),
    needs=(Needs(RECIPE, TEST_2010, CROPS), Needs(RECIPE, VAL_2010, CROPS)),
    summarize=_summarize,
)
