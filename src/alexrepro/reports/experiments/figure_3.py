"""Figure 3: the kernels of conv1, tower by tower, and how colored those of each tower are (§6.1)."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alexrepro.paper.citation import Citation
from alexrepro.recipes.as_printed_and_run import AS_RUN_2010
from alexrepro.reports.experiment import Experiment, prepare_command, train_command
from alexrepro.reports.figures.filter_grid import colorfulness, sheets
from alexrepro.reports.figures.plot import new_figure, picture
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.tables.table import COUNT, FRACTION, TEXT, Record, ResultTable
from alexrepro.runs.neighbors import kernels
from alexrepro.runs.run import Run

TITLE = "Figure 3: the kernels of conv1"
COLUMNS = {
    "stage": TEXT,
    **dict.fromkeys(("tower", "kernels", "side_px"), COUNT),
    "color_share": FRACTION,
    **dict.fromkeys(("note", "run"), TEXT),
}
DATASET = "ilsvrc2010"
PREFERRED = (AS_RUN_2010.name, "as-run-2012", "as-printed")
WIDEST_IN, MOST_IN_A_PIXEL = 7.0, 0.06
NOTE = "color share: energy that is not equal in red, green and blue, mean over the tower's kernels"


def chosen(evidence: Evidence) -> tuple[Run, NDArray[np.float32]] | None:
    """The foremost run with saved kernels that see colors."""
    for run in evidence.foremost():
        weights = kernels(run, run.recipe.network.stages[0].name)
        if weights is not None and weights.ndim == 4 and weights.shape[1] == 3:
            return run, weights
    return None


def _summarize(evidence: Evidence) -> ResultTable:
    found = chosen(evidence)
    if found is None:
        return ResultTable("figure-3", TITLE, (Record(COLUMNS, {"stage": "conv1", "note": "not run"}),))
    run, weights = found
    network = run.recipe.network
    rows = [
        Record(
            COLUMNS,
            {
                "run": str(run.folder), "stage": network.stages[0].name, "tower": tower, "kernels": len(share),
                "side_px": share.shape[-1], "color_share": float(colorfulness(share).mean()), "note": NOTE,
            },
        )
        for tower, share in enumerate(np.split(weights, network.towers))
    ]  # fmt: skip
    return ResultTable("figure-3", TITLE, tuple(rows))


def _draw(evidence: Evidence) -> Figure | None:
    found = chosen(evidence)
    if found is None:
        return None
    run, weights = found
    towers = run.recipe.network.towers
    pictures = sheets(weights, towers=towers)
    high, wide, _ = pictures[0].shape
    width_in = min(WIDEST_IN, wide * MOST_IN_A_PIXEL)
    figure = new_figure(width_in, 0.4 + towers * (0.3 + width_in * high / wide))
    figure.suptitle(f"{run.folder.parent.name}/{run.folder.name}", fontsize=9)
    for tower, (sheet, share) in enumerate(zip(pictures, np.split(weights, towers), strict=True)):
        place = picture(figure, (len(pictures), 1, tower + 1))
        place.imshow(sheet, interpolation="none")  # an SVG keeps every pixel sharp
        color = f"{100 * colorfulness(share).mean():.0f} % of the energy is color"
        place.set_title(f"tower {tower}: {color}", fontsize=9, loc="left")
    return figure


def _lacks(evidence: Evidence) -> list[str]:
    if any(kernels(run, "conv1") is not None for name in PREFERRED for run in evidence.named(name)):
        return []
    return [prepare_command(DATASET), train_command(AS_RUN_2010, dataset=DATASET)]


EXPERIMENT = Experiment(
    name="figure-3", title=TITLE, cites=Citation("§6.1", "Figure 3"), summarize=_summarize, draw=_draw, lacks=_lacks
)
