"""Errors, or differences of errors, as dots with 95 % intervals, beside what was published and logged."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexrepro.reports.figures.plot import INK, LINES, SMALL
from alexrepro.reports.statistics.intervals import Estimate
from alexrepro.reports.tables.table import Row, pair_of, split_and_crops

LINE_IN, MARGIN_IN = 0.5, 1.5  # of a row, and of the axis and the legend
MEASURED, PAPER, LOG = "measured, 95 % interval", "the paper", "2012 log"
SHORTENED = "shortened to "  # how the note of a row says the number of epochs
LOOKS: Mapping[str, dict[str, Any]] = {
    MEASURED: {"fmt": "o", "color": LINES[0], "markersize": 8, "capsize": 4},
    PAPER: {"fmt": "D", "color": LINES[1], "markersize": 9, "markerfacecolor": "none", "markeredgewidth": 2},
    LOG: {"fmt": "s", "color": LINES[2], "markersize": 13, "markerfacecolor": "none", "markeredgewidth": 1.5},
}


def draw(rows: Iterable[Row], *, wide_in: float = 13) -> Figure | None:
    """One line for each row with numbers, top-1 left and top-5 right; None if nothing was measured or published.

    A published row is left out where a measurement has its number next to it.
    """
    numbers = [row for row in rows if row.top1 or row.top5]
    beside = [row.reported for row in numbers if row.source == "measured" and row.reported]
    shown = [row for row in numbers if row.source == "measured" or row.reported not in beside]
    if not shown:
        return None
    is_delta = shown[0].quantity == "delta"
    figure = Figure(figsize=(wide_in, MARGIN_IN + LINE_IN * len(shown)))
    panels = figure.subplots(1, 2, sharey=True)
    for panel, (axes, top) in enumerate(zip(panels, ("top-1", "top-5"), strict=True)):
        for line, row in enumerate(shown):
            _draw_row(axes, line, row, panel)
        axes.set(
            xlabel=f"{top} error{' minus that of the base, points' if is_delta else ', %'}",
            ylim=(len(shown) - 0.5, -0.5),
        )
        axes.grid(axis="y", alpha=0.3)
        axes.margins(x=0.08)
        axes.tick_params(axis="y", length=0)
        if is_delta:
            axes.axvline(0, color=INK, linewidth=1)
        else:
            axes.set_xlim(left=0)
    panels[0].set_yticks(range(len(shown)), [_label(row) for row in shown], fontsize=SMALL)
    used = {text: handle for axes in panels for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(used.values(), used.keys(), loc="outside lower center", ncols=len(used))
    return figure


def _draw_row(axes: Axes, line: int, row: Row, panel: int) -> None:
    """The numbers of a row: those of the paper and the logs below the measurement."""
    number: Estimate | None = (row.top1, row.top5)[panel]
    for kind, numbers in ((LOG, row.logged), (PAPER, row.reported if row.source == "measured" else None)):
        if numbers and (value := pair_of(numbers)[panel]) is not None:
            axes.errorbar(100 * value, line, label=kind, **LOOKS[kind])
    if number is not None:
        low, high = (number.mean if end is None else end for end in (number.low, number.high))
        spread = 100 * np.array([[number.mean - low], [high - number.mean]]).clip(min=0)  # rounding can leave less
        kind = {"measured": MEASURED, "reported": PAPER, "2012 log": LOG}[row.source]
        axes.errorbar(100 * number.mean, line, xerr=spread, label=kind, **LOOKS[kind])


def _label(row: Row) -> str:
    """What was changed or measured, and below it where."""
    epochs = [part.removeprefix(SHORTENED) for part in row.note.split("; ") if part.startswith(SHORTENED)]
    detail = "the paper" if row.source == "reported" else ", ".join(epochs)
    what = f"{row.label} ({detail})" if detail else row.label
    base = f"{row.recipe}, " if row.quantity == "delta" and row.recipe else ""
    return f"{what}\n{base}{split_and_crops(row.split, row.crops)}".rstrip("\n, ")
