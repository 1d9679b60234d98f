"""Every variation against the paper's recipes, and against every other base that was measured (§3, §4, §5, §7)."""

from alexrepro.paper.citation import Citation
from alexrepro.recipes.variations import VARIATIONS
from alexrepro.reports.experiment import Experiment
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.tables.ablated import how_to_ablate, is_measured, rows_of
from alexrepro.reports.tables.table import ResultTable

TITLE = "Ablations: error of the variation minus error of the base"


def _summarize(evidence: Evidence) -> ResultTable:
    rows = [row for variation in VARIATIONS.values() for row in rows_of(variation, evidence)]
    return ResultTable("ablations", TITLE, tuple(rows))


def _lacks(evidence: Evidence) -> list[str]:
    return how_to_ablate([variation for variation in VARIATIONS.values() if not is_measured(variation, evidence)])


EXPERIMENT = Experiment(
    name="ablations",
    title=TITLE,
    cites=Citation("§3 to §7", "what each part of the network and of its training is worth"),
    summarize=_summarize,
    lacks=_lacks,
)
