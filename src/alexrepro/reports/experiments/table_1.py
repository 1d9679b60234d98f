"""Table 1: the ILSVRC-2010 test set, one network against the two best published methods (§6).

The center crop's errors of footnote 5 are not in the printed table; they stand beside that measurement only.
"""

from alexrepro.paper import results
from alexrepro.paper.citation import Citation
from alexrepro.reports.experiment import Experiment, Needs

EXPERIMENT = Experiment(
    name="table-1",
    title="Table 1: error rates on the ILSVRC-2010 test set",
    cites=Citation("§6", "Table 1 and footnote 5"),
    needs=(
        Needs("as-run-2010", results.TEST_2010, "ten", printed=results.CNN_2010),
        Needs("as-run-2010", results.TEST_2010, "center", printed=results.CNN_2010_CENTER),
    ),
    reported=results.TABLE_1,
)
