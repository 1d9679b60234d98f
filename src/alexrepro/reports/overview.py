"""All reports in short: a line each with a claim of the paper, what was measured for it, and the verdicts on all."""

import re
from collections import Counter
from collections.abc import Iterable

from alexrepro.reports.experiments import Report
from alexrepro.reports.page import judged
from alexrepro.reports.statistics.verdict import ORDER
from alexrepro.reports.tables.table import TEXT, Cell, Record, ResultTable, Row

COLUMNS = dict.fromkeys(("report", "paper", "ours", "verdicts"), TEXT)


def overview(reports: Iterable[Report]) -> ResultTable:
    """One row for each report: the paper's tables first, then the other tables, figures last."""
    ordered = sorted(reports, key=lambda one: (not one.table.name.startswith("table"), one.experiment.draw is not None))
    return ResultTable("overview", "The paper and what was measured", [Record(COLUMNS, _row(one)) for one in ordered])


def _row(report: Report) -> dict[str, Cell]:
    """Of several claims, the one whose verdict counts."""
    claims = sorted(judged([report]), key=lambda one: ORDER.index(one.verdict))
    counts = Counter(one.verdict for one in claims)
    verdicts = [f"{verdict} ({count})" if len(claims) > 1 else verdict for verdict, count in counts.items()]
    count = sum(row.cells().get("note") != "not run" for row in report.table.rows)
    listed = f"{count} row{'s' if count > 1 else ''}" if count else "nothing yet"
    ours = "drawn" if report.figure else "nothing yet" if report.experiment.draw else listed
    rows = [row for row in report.table.rows if isinstance(row, Row) and row.source == "measured" and row.top1]
    if claims and claims[0].verdict not in ("not comparable", "not run"):
        ours = re.sub(r" \([^)]*\)| ± [\d.]+", "", claims[0].measured)  # without intervals
    elif rows:
        ours = f"{len(rows)} not comparable"
    elif claims:
        ours = ""
    _, _, paper = (claims[0].claim if claims else report.table.title).partition(": ")
    paper = re.sub(r" on \S+-(test|val)\b.*", "", paper)
    return {"report": report.table.name, "paper": paper, "ours": ours, "verdicts": ", ".join(verdicts)}
