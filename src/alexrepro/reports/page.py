"""One HTML file with everything: verdicts, tables, figures, curves, provenance. It loads nothing from anywhere.

Every word that comes from files is escaped by the template; figures are inline SVG in the colors of the page.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from alexrepro import __version__
from alexrepro.files import write_text
from alexrepro.reports.figures import plot
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.made import Made
from alexrepro.reports.provenance import provenance
from alexrepro.reports.statistics.verdict import ORDER, Verdict
from alexrepro.reports.tables.error_rows import beyond_verdict
from alexrepro.reports.tables.table import TableRow

FILE, TEMPLATE = "index.html", "page.html"
SHORT = 24  # letters of a cell that stay on one line
FOLDED_ROWS = 20  # of the table below a figure, from which on it opens on request
MOST_ROWS = 60  # of one table on the page; its files have them all
WIDTHS = (0.65, 1.25)  # of a figure on the page, in shares of the width that it was drawn in
ID = re.compile(r'(\bid="|url\(#|href="#)')


@dataclass(frozen=True)
class Judged:
    """A claim of the paper with the verdict that counts, what was measured, and the report that says more."""

    claim: str
    verdict: Verdict
    measured: str
    report: str


def judged(reports: Sequence[Made]) -> list[Judged]:
    """Every claim once, in the order of the reports; of several verdicts a measurement counts before none."""
    found: dict[str, Judged] = {}
    for made in reports:
        for row in made.table.rows:
            cells = row.cells()
            claim, verdict = cells.get("claim"), cells.get("verdict")
            if not claim or verdict not in ORDER:
                continue
            one = Judged(str(claim), verdict, _measured(row, verdict), made.table.name)
            before = found.get(one.claim)
            if before is None or ORDER.index(one.verdict) < ORDER.index(before.verdict):
                found[one.claim] = one
    return list(found.values())


def page(reports: Sequence[Made], evidence: Evidence, *, made_at: datetime) -> str:
    """The page as HTML: the paper's tables first, then the other tables, figures last."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    reports = sorted(
        reports, key=lambda made: (not made.table.name.startswith("table"), made.experiment.draw is not None)
    )
    claims = judged(reports)
    return environment.get_template(TEMPLATE).render(
        version=__version__,
        made_at=made_at.isoformat(sep=" ", timespec="minutes"),
        claims=claims,
        counts=[(verdict, sum(one.verdict == verdict for one in claims)) for verdict in ORDER],
        verdicts=ORDER,
        short=SHORT,
        reports=[_section(made) for made in reports],
        runs=[provenance(run) for run in evidence.runs],
    )


def save_page(folder: Path, html: str) -> Path:
    """Write the page whole or not at all and return its path."""
    path = folder / FILE
    write_text(path, html)
    return path


def inline_svg(svg: str, *, name: str) -> str:
    """An SVG file as part of a page: no declarations, its marks named apart from other figures', ink as text.

    Its width follows the page's within bounds in which its words can be read.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", body)
    body = re.sub(r'\swidth="([\d.]+)pt"\sheight="[^"]*"', _between, body, count=1)
    return ID.sub(rf"\g<1>{name}-", body).replace(plot.INK, "currentColor")


def _between(width: re.Match[str]) -> str:
    """The style of a figure that was drawn this wide."""
    narrow, wide = (share * float(width[1]) for share in WIDTHS)
    return f' style="min-width: {narrow:.0f}pt; max-width: {wide:.0f}pt"'


def _section(made: Made) -> dict[str, object]:
    headings, rows = made.table.shown()
    name = made.table.name
    figure = Markup(inline_svg(plot.svg(made.figure, name=name), name=name)) if made.figure else None
    return {
        "name": name,
        "title": made.table.title,
        "cites": str(made.experiment.cites),
        "headings": headings,
        "rows": rows[:MOST_ROWS],
        "left_out": max(0, len(rows) - MOST_ROWS),
        "figure": figure,
        "is_folded": figure is not None and len(rows) > FOLDED_ROWS,
        "missing": made.missing,
    }


def _measured(row: TableRow, verdict: Verdict) -> str:
    """What was measured, in the words of the row; where nothing is comparable, why."""
    shown = {heading: text for heading, text in row.shown().items() if text}
    errors = {heading: text for heading, text in shown.items() if "top" in heading and "test" not in heading}
    if errors and verdict not in ("not comparable", "not run"):
        return " / ".join(errors.values()) + (" points" if any("points" in heading for heading in errors) else "")
    return beyond_verdict(shown.get("note", ""), verdict)
