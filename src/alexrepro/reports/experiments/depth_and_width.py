"""Depth and width (§7): is it the layer that counts, or its parameters? Networks of other depths and widths.

Published numbers are of Zeiler and Fergus (2013), who took away layers and changed the widths of full ones; they stand
apart from what was measured here, and the parameters next to them are those of our variation that is built alike.
"""

from collections.abc import Iterator
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from alexrepro.errors import UserError
from alexrepro.paper.citation import Citation
from alexrepro.paper.results import VAL_2012, ZEILER_FERGUS
from alexrepro.progress import counted
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.variations import VARIATIONS
from alexrepro.reports.experiments import Evidence, Experiment
from alexrepro.reports.experiments.differences import how_to_ablate
from alexrepro.reports.figures.plot import INK, LINES
from alexrepro.reports.tables import measured
from alexrepro.reports.tables.table import COUNT, FRACTION, NUMBER, TEXT, Cell, Record

NAMES = (
    "without-conv3", "without-conv4", "without-conv3-wider", "without-conv4-wider", "without-conv3-conv4",
    "without-conv3-conv4-wider", "extra-conv-narrower", "quarter-width", "half-width", "double-width", "half-full",
    "double-full", "without-fc6", "without-fc7", "without-fc6-fc7", "without-conv3-conv4-fc6-fc7",
)  # fmt: skip
COLUMNS = {
    "network": TEXT, "split": TEXT, "layers": COUNT, "parameters_millions": NUMBER, "macs_millions": NUMBER,
    "seeds": COUNT, "top1_error": FRACTION, "top5_error": FRACTION, "verdict": TEXT, "note": TEXT, "cites": TEXT,
}  # fmt: skip
BASE, PUBLISHED, MEASURED = "base", "published", "measured"
MARKERS = "osD^vPX*"
DECADE = 10
PANEL_INCHES, LINE = 6.0, 0.045  # the width of a panel; a line of names as a part of its height
FEWEST = 4  # learned layers of any of these networks, which get the first color and marker


def _rows(evidence: Evidence) -> list[Record]:
    found = [row for base in _bases(evidence) for row in _measured(base, evidence)]
    return [*found, *_published()]


def _bases(evidence: Evidence) -> list[Recipe]:
    """The paper's recipe, and every other recipe with a trained variation."""
    varied = {run.recipe.name for run in evidence.runs}
    bases = {AS_RUN_2012.digest: AS_RUN_2012}
    for run in evidence.runs:
        if any(f"{run.recipe.name}+{name}" in varied for name in NAMES):
            bases.setdefault(run.recipe.digest, run.recipe)
    return list(bases.values())


def _measured(base: Recipe, evidence: Evidence) -> Iterator[Record]:
    """A row for each split on which a network was evaluated over ten crops; of the paper's, also those not run."""
    for name in (BASE, *NAMES):
        try:
            recipe = base if name == BASE else VARIATIONS[name].of(base)
        except UserError:  # it lacks the stage
            continue
        about: dict[str, Cell] = {"network": name, **_size(recipe)}
        found = (e for e in measured.evaluated(recipe, evidence.evaluations) if e.crops == "ten")
        groups = measured.grouped(found)
        for group in groups:
            errors: dict[str, Cell] = {
                f"{top}_error": fmean(getattr(evaluation, f"{top}_error") for evaluation in group)
                for top in ("top1", "top5")
            }
            note = f"{base.name}, {counted(group[0].epochs, 'epoch')}"
            cites = "; ".join(evaluation.run for evaluation in group)
            seen: dict[str, Cell] = {
                "split": group[0].split,
                "seeds": len(group),
                "verdict": MEASURED,
                "note": note,
                "cites": cites,
            }
            yield Record(COLUMNS, about | errors | seen)
        if not groups and base is AS_RUN_2012:
            yield Record(COLUMNS, about | {"split": VAL_2012, "verdict": "not run", "note": base.name})


def _published() -> Iterator[Record]:
    for name, theirs in ZEILER_FERGUS.items():
        alike = VARIATIONS[name].of(AS_PRINTED) if name in VARIATIONS else AS_PRINTED
        values: dict[str, Cell] = {
            "network": theirs.label, "split": theirs.split, **_size(alike), "verdict": PUBLISHED,
            "top1_error": theirs.top1_error, "top5_error": theirs.top5_error, "note": theirs.cites.source,
            "cites": f"{theirs.cites}; sizes are those of {alike.name}",
        }  # fmt: skip
        yield Record(COLUMNS, values)


def _size(recipe: Recipe) -> dict[str, Cell]:
    network = recipe.network
    parameters, macs = network.parameters / 1e6, network.macs / 1e6
    return {"layers": len(network.stages), "parameters_millions": parameters, "macs_millions": macs}


def _draw(evidence: Evidence) -> Figure:
    """Error against parameters, a panel for each split that was measured and one for what others published."""
    panels: dict[str, list[Record]] = {}
    for row in _rows(evidence):
        if row.values.get("top1_error") is not None:
            place = str(row.values["split"])
            is_ours = row.values["verdict"] == MEASURED
            panels.setdefault(place if is_ours else f"{place}: published, {row.values['note']}", []).append(row)
    figure = Figure(figsize=(PANEL_INCHES * len(panels), 4.6))
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    drawn: dict[int, Line2D] = {}
    for panel, (title, rows) in zip(axes, panels.items(), strict=True):
        panel.set(title=title, xlabel="parameters, millions", ylabel="top-1 error, %")
        sizes = [float(row.values["parameters_millions"] or 0) for row in rows]
        if max(sizes) > DECADE * min(sizes):  # else no power of ten would be on the axis
            panel.set_xscale("log")
            panel.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}", minor_formatter="")
        for row in rows:
            layers = int(row.values["layers"] or 0)
            drawn[layers] = _point(panel, row, layers)
        _name(panel, rows)
    handles = [drawn[layers] for layers in sorted(drawn)]
    figure.legend(
        handles, list(map(str, sorted(drawn))), title="learned layers", loc="outside lower center", ncols=len(drawn)
    )
    return figure


def _place(row: Record) -> tuple[float, float]:
    """Where a network stands: its parameters in millions, its top-1 error in percent."""
    return float(row.values["parameters_millions"] or 0), 100 * float(row.values["top1_error"] or 0)


def _point(panel: Axes, row: Record, layers: int) -> Line2D:
    """A network: filled if it was measured, hollow if it was published."""
    number = (layers - FEWEST) % len(MARKERS)
    is_ours = row.values["verdict"] == MEASURED
    (point,) = panel.plot(
        *_place(row), MARKERS[number], color=LINES[number], markersize=8, fillstyle="full" if is_ours else "none",
        linestyle="none",
    )  # fmt: skip
    return point


def _name(panel: Axes, rows: list[Record]) -> None:
    """Write the networks' names in a column on the right, one below the other, each with a line to its point."""
    low, high = panel.get_ylim()
    ranked = sorted(rows, key=lambda row: _place(row)[1])
    heights: list[float] = []
    for row in ranked:
        heights.append(max(_place(row)[1], heights[-1] + LINE * (high - low) if heights else low))
    for number, (row, height) in enumerate(zip(reversed(ranked), reversed(heights), strict=True)):
        panel.annotate(
            str(row.values["network"]), _place(row), (1.04, min(height, high - number * LINE * (high - low))),
            textcoords=panel.get_yaxis_transform(), fontsize=8, color=INK, verticalalignment="center",
            arrowprops={"arrowstyle": "-", "relpos": (0, 0.5), "color": INK, "linewidth": 0.3, "shrinkB": 5},
        )  # fmt: skip


DEPTH_AND_WIDTH = Experiment(
    "depth-and-width", "Depth and width: errors of networks of other depths and widths",
    Citation("§7", "whether depth is what counts"), summarize=_rows, draw=_draw,
    lacks=lambda evidence: how_to_ablate([VARIATIONS[name] for name in NAMES], evidence),
)  # fmt: skip
