"""Figure 3: the kernels of conv1, tower by tower, and how colored those of each tower are (§6.1)."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alexrepro.engine.run import Run
from alexrepro.engine.saved import kernels
from alexrepro.paper.citation import Citation
from alexrepro.reports.evidence import Evidence
from alexrepro.reports.experiment import Experiment
from alexrepro.reports.kernels import colorfulness, sheets
from alexrepro.reports.plot import new_figure, picture
from alexrepro.reports.table import COUNT, FRACTION, TEXT, Record, ResultTable

TITLE = "Figure 3: the kernels of conv1"
COLUMNS = {
    **dict.fromkeys(("run", "stage"), TEXT),
    **dict.fromkeys(("tower", "kernels", "side_px"), COUNT),
    "color_share": FRACTION,
    "note": TEXT,
}
PREFERRED = ("as-run-2010", "as-run-2012", "as-printed")
NOTE = "color share: energy that is not equal in red, green and blue, mean over the tower's kernels"


def chosen(evidence: Evidence) -> tuple[Run, NDArray[np.float32]] | None:
    """The newest run of the paper's recipes with saved kernels that see colors, or else of any recipe."""
    preferred = [run for name in PREFERRED for run in evidence.named(name)]
    for run in (*preferred, *evidence.runs):
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
    pictures = sheets(weights, towers=run.recipe.network.towers)
    high, wide, _ = pictures[0].shape
    figure = new_figure(7, 0.4 + len(pictures) * (0.3 + 7 * high / wide))
    figure.suptitle(f"{run.folder.parent.name}/{run.folder.name}", fontsize=9)
    for tower, sheet in enumerate(pictures):
        place = picture(figure, (len(pictures), 1, tower + 1))
        place.imshow(sheet, interpolation="nearest")
        place.set_title(f"tower {tower}", fontsize=9, loc="left")
    return figure


def _lacks(evidence: Evidence) -> list[str]:
    if any(kernels(run, "conv1") is not None for name in PREFERRED for run in evidence.named(name)):
        return []
    return ["alexrepro prepare /path/ILSVRC2010", "alexrepro train as-run-2010 --store ilsvrc2010"]


EXPERIMENT = Experiment(
    name="figure-3", title=TITLE, cites=Citation("§6.1", "Figure 3"), summarize=_summarize, draw=_draw, lacks=_lacks
)
