"""CIFAR-10: the errors that the 2012 layer files quote, and one network with the norms and without (§3.3)."""

from alexrepro.paper.citation import Citation
from alexrepro.paper.results import CIFAR_TEST, QUOTED
from alexrepro.reports.experiment import Experiment, Needs, measured_rows
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.tables.error_rows import reported_row
from alexrepro.reports.tables.table import ResultTable

NAME, TITLE = "cifar", "CIFAR-10: test errors of the networks before ImageNet"
RECIPES = ("cifar-80sec", "cifar-19pct", "cifar-18pct", "cifar-13pct", "cifar-13pct-norm", "cifar-11pct")
NEEDS = tuple(
    Needs(name, CIFAR_TEST, quoted.crops or "center", printed=quoted)
    if (quoted := QUOTED.get(name))
    else Needs(name, CIFAR_TEST, "ten")
    for name in RECIPES
)


def _summarize(evidence: Evidence) -> ResultTable:
    rows = [reported_row(quoted) for quoted in QUOTED.values()]
    for needed in NEEDS:
        rows += measured_rows(needed, evidence.evaluations)
    return ResultTable(NAME, TITLE, tuple(rows))


EXPERIMENT = Experiment(
    name=NAME, title=TITLE, cites=Citation("§3.3", "layers-*.cfg"), needs=NEEDS, summarize=_summarize
)
