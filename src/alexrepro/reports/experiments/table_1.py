"""Table 1: the ILSVRC-2010 test set, one network against the two best published methods (§6); and CIFAR-10 (§3.3).

The center crop's errors of footnote 5 are not in the printed table; they appear next to that measurement only.
"""

from alexrepro.paper import results
from alexrepro.paper.citation import Citation
from alexrepro.reports.experiments import Experiment
from alexrepro.reports.tables.measured import Needs

CIFAR = ("cifar-80sec", "cifar-19pct", "cifar-18pct", "cifar-13pct", "cifar-13pct-norm", "cifar-11pct")

TABLE_1 = Experiment(
    "table-1", "Table 1: error rates on the ILSVRC-2010 test set", Citation("§6", "Table 1 and footnote 5"),
    needs=(
        Needs("as-run-2010", results.TEST_2010, "ten", reported=results.CNN_2010),
        Needs("as-run-2010", results.TEST_2010, "center", reported=results.CNN_2010_CENTER),
    ),
    reported=results.TABLE_1,
)  # fmt: skip
CIFAR_10 = Experiment(
    "cifar", "CIFAR-10: test errors of the networks before ImageNet", Citation("§3.3", "layers-*.cfg"),
    needs=tuple(
        Needs(name, results.CIFAR_TEST, quoted.crops or "center", reported=quoted)
        if (quoted := results.QUOTED.get(name))
        else Needs(name, results.CIFAR_TEST, "ten")
        for name in CIFAR
    ),
    reported=tuple(results.QUOTED.values()),
)  # fmt: skip
