"""Table 2: ILSVRC-2012, one network and averages of several, with and without more data (§6).

The columns of the paper: validation top-1 and top-5, test top-5. The test labels of 2012 are not public, so the test
column holds what was printed and submitted, never a measurement.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from alexrepro.paper import results
from alexrepro.paper.citation import Citation
from alexrepro.paper.results import TEST_2012, Crops, Reported
from alexrepro.reports.experiment import (
    Experiment,
    Needs,
    commands_for,
    is_other_data,
    measured_rows,
    other_data,
    rows_on_other_data,
)
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.tables.ensembles import AVERAGES, ONE, STARRED, Average, counted, departure_of, shortfall_of
from alexrepro.reports.tables.error_rows import Row, claim_of, judged_row, measured_row, reported_row
from alexrepro.reports.tables.table import FRACTION, TEXT, Cell, ResultTable
from alexrepro.runs.evaluation import Evaluation

TITLE = "Table 2: error rates on ILSVRC-2012, validation and test"
NEEDS = (
    Needs(ONE, results.VAL_2012, "ten", printed=results.CNN_2012),
    Needs(STARRED, results.VAL_2012, "ten", printed=results.CNN_2012_PRETRAINED),
)
CROPS: tuple[Crops, ...] = ("ten", "center")
PRINTED_TEST = {
    results.CNN_2012_FIVE.name: results.CNN_2012_FIVE_TEST,
    results.CNN_2012_SEVEN.name: results.CNN_2012_SEVEN_TEST,
}


@dataclass(frozen=True)
class Line:
    """A row of Table 2: errors on the validation split, and beside a printed row what was printed for the test split.

    submitted_test: the official result of the entry, by the members of its file's name.
    """

    row: Row
    members: str = ""
    test: Reported | None = None
    submitted_test: float | None = None

    COLUMNS: ClassVar[Mapping[str, str]] = {
        **Row.COLUMNS,
        "members": TEXT,
        "reported_test_top5_error": FRACTION,
        "submitted_test_top5_error": FRACTION,
    }

    def __post_init__(self) -> None:
        if self.test is not None and (self.row.source != "reported" or self.test.split != TEST_2012):
            raise ValueError(f"{self.row.label}: the test column holds printed numbers of {TEST_2012} only")

    def cells(self) -> dict[str, Cell]:
        """A plain value for each column; errors are fractions."""
        return {
            **self.row.cells(),
            "members": self.members,
            "reported_test_top5_error": self.test.top5_error if self.test else None,
            "submitted_test_top5_error": self.submitted_test,
        }

    def shown(self) -> dict[str, str]:
        """What people read, in the columns of the paper."""
        of_row = self.row.shown()
        on_test = self.row.split == TEST_2012
        test = _percent(self.test.top5_error) if self.test else of_row["top-5 error"] if on_test else ""
        return {
            "network": self.row.label,
            "members": self.members,
            "source": self.row.source,
            "crops": self.row.crops or "",
            "images": of_row["images"],
            "val top-1": of_row["top-1 error"],
            "val top-5": "" if on_test else of_row["top-5 error"],
            "test top-5": test,
            "submitted, test": _percent(self.submitted_test),
            "interval": of_row["interval"],
            "printed": of_row["printed"],
            "verdict": of_row["verdict"],
            "note": of_row["note"],
        }


def _summarize(evidence: Evidence) -> ResultTable:
    lines = [Line(reported_row(printed), test=PRINTED_TEST.get(printed.name)) for printed in results.TABLE_2]
    for needed in NEEDS:
        lines += [Line(row, members=needed.recipe) for row in measured_rows(needed, evidence.evaluations)]
    for average in AVERAGES:
        lines += _of_average(average, evidence)
    for crops in CROPS:
        lines += [Line(row, members=row.recipe or "") for row in rows_on_other_data(evidence.evaluations, crops=crops)]
        lines += [_on_other_data(e) for e in evidence.ensembles if is_other_data(e) and e.crops == crops]
    return ResultTable("table-2", TITLE, tuple(lines))


def _of_average(average: Average, evidence: Evidence) -> list[Line]:
    """What was measured of one reading of an average, or a line that says "not run"."""
    is_submitted = average.reading != "as printed"
    submitted = average.submitted.top5_error if is_submitted else None
    label = f"{average.name}, {average.reading}"
    lines = []
    for evaluation in average.found(evidence):
        how = departure_of(evaluation)
        beside = None if shortfall_of(evaluation) else average.printed
        row = measured_row([evaluation], label=label, printed=beside, note=how)
        row = replace(row, claim=claim_of(average.printed), verdict="not comparable") if how else judged_row(row)
        lines.append(Line(row, members=average.shown(), submitted_test=submitted))
    if lines:
        return lines
    note = f"not run: {average.obstacle}" if average.obstacle else "not run"
    row = Row(
        label, "measured", dataset="ilsvrc2012", split=results.VAL_2012, crops="ten", note=note,
        claim=claim_of(average.printed), verdict="not run",
    )  # fmt: skip
    return [Line(row, members=average.shown(), submitted_test=submitted)]


def _on_other_data(evaluation: Evaluation) -> Line:
    """An average of networks on other data."""
    note = other_data(evaluation, departure_of(evaluation))
    members = counted(member.recipe for member in evaluation.members)
    return Line(measured_row([evaluation], label="average, other data", printed=None, note=note), members=members)


def _lacks(evidence: Evidence) -> list[str]:
    commands = [command for needed in NEEDS for command in commands_for(needed, evidence.evaluations)]
    commands += [command for average in AVERAGES for command in average.commands(evidence)]
    return list(dict.fromkeys(commands))


def _percent(error: float | None) -> str:
    return "" if error is None else f"{100 * error:.1f} %"


EXPERIMENT = Experiment(
    name="table-2",
    title=TITLE,
    cites=Citation("§6", "Table 2"),
    needs=NEEDS,
    reported=results.TABLE_2,
    summarize=_summarize,
    lacks=_lacks,
)
