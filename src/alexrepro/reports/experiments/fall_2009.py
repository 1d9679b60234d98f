"""The ImageNet of fall 2009 (§6): printed and logged numbers that nobody can measure any more."""

from collections.abc import Iterator
from dataclasses import replace

from alexrepro.paper import results
from alexrepro.paper.citation import Citation
from alexrepro.paper.results import Reported
from alexrepro.reports.experiments import Evidence, Experiment
from alexrepro.reports.tables import measured
from alexrepro.reports.tables.table import Row

NEEDS = measured.Needs("net-141-2009-half", results.FALL_2009.split, "ten")
LOST = "the collection and its division into halves are no longer distributed, and no log gives this result"


def _rows(evidence: Evidence) -> Iterator[Row]:
    for reported in (results.FALL_2009, results.FALL_2009_BEFORE):
        yield measured.published_row(reported, label=reported.label)
    for logged in results.LOGGED:
        if logged.split.startswith("fall2009"):
            numbers = Reported(
                logged.config, f"#{logged.config}, five conv layers", logged.split, logged.cites,
                top1_error=logged.top1_error, top5_error=logged.top5_error,
            )  # fmt: skip
            yield measured.published_row(numbers, label=numbers.label, source="2012 log")
    for row in measured.rows_for(NEEDS, evidence.evaluations):
        yield replace(row, note=LOST) if row.verdict == "not run" else row


FALL_2009 = Experiment(
    "fall-2009", "Fall 2009: 10,184 classes, half of 8.9 million images held out", Citation("§6", "the last paragraph"),
    reported=(results.FALL_2009, results.FALL_2009_BEFORE), summarize=_rows, lacks=lambda _: [],
)  # fmt: skip
