"""One self-contained HTML file with everything: verdicts, tables, figures, and where each run comes from.

The template escapes every text that comes from files; figures are inline SVG in the colors of the page.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from alexrepro import __version__
from alexrepro.progress import first_few
from alexrepro.recipes.catalog import catalog
from alexrepro.recipes.ledger import shown
from alexrepro.recipes.recipe import Recipe, differences
from alexrepro.reports.experiments import Evidence, Report
from alexrepro.reports.figures import dots, plot
from alexrepro.reports.figures.curves import trained
from alexrepro.reports.statistics.verdict import ORDER, Verdict, departure, notes
from alexrepro.reports.tables.table import Record, Row, split_and_crops
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.run import Run

FILE, TEMPLATE = "index.html", "page.html"
SHORT = 24  # characters of a cell that is not wrapped
CHART, CHART_IN = "errors", 8.5  # the name and the width of the first chart
MOST_ROWS = 60  # of one table on the page; its files have all
WIDEST = 1.25  # of a figure on the page, as a fraction of the width that it was drawn in
MOST_RUNS = 3  # in the first sentence
MOST_CHANGES, MOST_LETTERS = 6, 80  # in a sentence, and of one change in it


@dataclass(frozen=True)
class Judged:
    """A claim of the paper, the number in it, its verdict, what was measured, and the report with the details."""

    claim: str
    published: str
    verdict: Verdict
    measured: str
    report: str


@dataclass(frozen=True)
class Provenance:
    """One run in words. state: `complete`, or how far it is. facts: what it was started with, by name."""

    folder: Path
    sentence: str
    state: str
    command: str
    facts: dict[str, str]


def page(reports: Sequence[Report], evidence: Evidence, *, made_at: datetime) -> str:
    """The page as HTML: verdicts, figures, tables, what was not run, and the runs."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    claims = sorted(judged(reports), key=lambda one: ORDER.index(one.verdict))
    figures = {one.table.name: (one.figure, one.table.title) for one in reports if one.figure}
    with plot.style():
        chart = dots.draw(_charted(reports), wide_in=CHART_IN)
    if chart:
        figures[CHART] = (chart, "Errors: the paper's and ours")
    tables = {one.table.name: one.table.but_measured() for one in reports}
    return environment.get_template(TEMPLATE).render(
        version=__version__, made_at=made_at.isoformat(sep=" ", timespec="minutes"), verdicts=ORDER, short=SHORT,
        most_rows=MOST_ROWS, claims=claims, chart=CHART, reports=sorted(reports, key=_order),
        shown=first_few([_trained(run) for run in evidence.foremost()], MOST_RUNS, between="; "),
        tables={name: table.shown() for name, table in tables.items() if table.rows},
        figures={name: Markup(inline_svg(*figure, name=name)) for name, figure in figures.items()},
        runs=[provenance(run, [e for e in evidence.evaluations if e.run == str(run.folder)]) for run in evidence.runs],
    )  # fmt: skip


def _order(report: Report) -> tuple[bool, bool, str]:
    """Figures before tables, and of both the paper's first."""
    name = report.table.name
    return report.figure is None, not name.startswith(("figure", "table")), name


def _trained(run: Run) -> str:
    return trained(run, max(run.newest_metrics(1)["step"].tolist(), default=0))


def _charted(reports: Sequence[Report]) -> list[Row]:
    """The rows of the first chart: errors in Tables 1 and 2, over ten crops where these were measured."""
    tables = [report.table.rows for report in reports if report.table.name.startswith("table")]
    errors = dict.fromkeys(row for rows in tables for row in rows if isinstance(row, Row) and row.top1)
    ten = {(row.label, row.split) for row in errors if row.crops == "ten"}
    return [row for row in errors if row.crops and (row.crops == "ten" or (row.label, row.split) not in ten)]


def judged(reports: Sequence[Report]) -> list[Judged]:
    """Every claim once, in the order of the reports, with the verdict that counts (`verdict.ORDER`)."""
    found: dict[str, Judged] = {}
    for report in reports:
        for row in report.table.rows:
            cells = row.cells()
            claim, verdict = cells.get("claim"), cells.get("verdict")
            if not claim or verdict not in ORDER:
                continue
            what, _, published = str(claim).rpartition(": ")
            one = Judged(what, published, verdict, _measured(row, verdict), report.table.name)
            before = found.get(str(claim))
            if before is None or ORDER.index(one.verdict) < ORDER.index(before.verdict):
                found[str(claim)] = one
    return list(found.values())


def inline_svg(figure: Figure, title: str, *, name: str) -> str:
    """A figure as part of a page: no declarations, ids unique to it, as wide as the page, ink in the color of text."""
    found = plot.svg(figure, name=name, title=title)
    body = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", found[found.index("<svg") :])
    width = f' style="max-width: {WIDEST * 72 * figure.get_figwidth():.0f}pt"'
    body = re.sub(r'\swidth="[\d.]+pt"\sheight="[^"]*"', width, body, count=1)
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", body).replace(plot.INK, "currentColor")


def provenance(run: Run, evaluations: Sequence[Evaluation] = ()) -> Provenance:
    """Where a run comes from, finished or not, and its errors on every split with every kind of crops."""
    environment, recipe = run.environment, run.recipe
    starts = environment.get("starts") or [environment]
    began = environment.get("began_with")
    stages = "all of its state" if recipe.training.continues else ", ".join(recipe.training.init_from_stages)
    facts = {split_and_crops(e.split, e.crops): _errors(e) for e in evaluations} | {
        "seed": environment.get("seed"),
        "alexrepro": _over(starts, "alexrepro"),
        "commit": _over(starts, "commit"),
        "torch": _over(starts, "machine", "torch"),
        "device": _over(starts, "machine", "device"),
        "data set": environment.get("dataset"),
        "training store": (environment.get("stores") or {}).get("train"),
        "validation store": _over(starts, "stores", "validation"),
        "began with": f"{began['run']}, step {began['step']:,}: {stages}" if began else None,
        "started": environment.get("started"),
        "finished": (run.result or {}).get("finished"),
    }
    is_known = recipe.name in catalog() and _like(recipe).digest == recipe.digest
    name = recipe.name if is_known else str(run.recipe_file)
    words = ["alexrepro", "train", name, "--store", environment.get("dataset"), "--seed", environment.get("seed")]
    newest = run.newest_metrics(1)["epoch"].tolist()
    progress = f"epoch {newest[0]} of {recipe.training.epochs}" if newest else "begun"
    state = notes([progress, run.failure or ""]) if run.result is None else "complete"
    shown_facts = {name: str(value) for name, value in facts.items() if value is not None}
    return Provenance(run.folder, sentence(recipe), state, shlex.join(map(str, words)), shown_facts)


def sentence(recipe: Recipe) -> str:
    """The recipe as a difference from one of the catalog: `like tiny, but training.epochs 30 → 3`."""
    base = _like(recipe)
    changes = list(dict.fromkeys(_change(recipe, path, *pair) for path, pair in differences(base, recipe).items()))
    if not changes:
        return f"{base.name}-{base.digest}, as in the catalog"
    return f"like {base.name}, but {first_few(changes, MOST_CHANGES, between='; ')}"


def _like(recipe: Recipe) -> Recipe:
    """The catalog's recipe of the same name, or of that before the +, or the paper's text, for as many classes."""
    names = [name for name in (recipe.name, recipe.name.partition("+")[0]) if name in catalog()]
    base = catalog()[names[0]].recipe if names else Recipe()
    return base.for_classes(recipe.network.classes)


def _change(recipe: Recipe, path: str, was: Any, now: Any) -> str:
    """One change in words; a removed part is named as a whole, and a long value is left out."""
    part = path.rpartition(".")[0]
    if path not in recipe.fields() and not any(known.startswith(f"{part}.") for known in recipe.fields()):
        return f"without {part}"
    text = f"{path} {shown(was)} → {shown(now)}"
    return text if len(text) <= MOST_LETTERS else f"another {path}"


def _over(starts: Sequence[Mapping[str, Any]], *path: str) -> str | None:
    """A fact of the first start, and of later ones where it changed: `cpu; H200 after step 6,000`."""
    found: list[str] = []
    before = None
    for start in starts:
        value: Any = start
        for name in path:
            value = (value or {}).get(name)
        if value != before:
            step = start.get("after_step", 0)
            found.append(f"{value or 'none'} after step {step:,}" if step else str(value))
            before = value
    return "; ".join(found) or None


def _errors(evaluation: Evaluation) -> str:
    top1, top5 = (f"{100 * error:.1f} %" for error in (evaluation.top1_error, evaluation.top5_error))
    about = departure(evaluation) or f"{evaluation.images:,} images"
    return f"top-1 / top-5 error {top1} / {top5} ({about})"


def _measured(row: Record | Row, verdict: Verdict) -> str:
    """The measured numbers of a row; if nothing is comparable, why."""
    shown = row.shown()
    numbers = {heading: text for heading, text in shown.items() if heading.startswith("top-") and text}
    if numbers and verdict not in ("not comparable", "not run"):
        return " / ".join(numbers.values()) + (" points" if any("points" in heading for heading in numbers) else "")
    return shown["verdict"].removeprefix(verdict).removeprefix("; ")
