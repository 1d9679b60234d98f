"""Figure 1: training error on CIFAR-10, epoch by epoch, with ReLUs and with tanh (§3.1)."""

import pandas as pd
from matplotlib.figure import Figure

from alexrepro.engine.run import Run
from alexrepro.paper.citation import Citation
from alexrepro.paper.pictures import FIGURE_1_HIGHEST_ERROR, FIGURE_1_TIMES_SOONER, FIGURE_1_TRAINING_ERROR
from alexrepro.reports.curves import by_epoch
from alexrepro.reports.evidence import Evidence
from alexrepro.reports.experiment import Experiment
from alexrepro.reports.plot import INK, LINES, axes, new_figure
from alexrepro.reports.table import COUNT, FRACTION, NUMBER, TEXT, Cell, Record, ResultTable

TITLE = "Figure 1: epochs to a training error, ReLU against tanh"
RELU, TANH = "figure-1-relu", "figure-1-tanh"
CLAIM = (
    f"Figure 1: ReLUs reach {100 * FIGURE_1_TRAINING_ERROR:.0f} % training error "
    f"{FIGURE_1_TIMES_SOONER} times sooner than tanh"
)
COLUMNS = {
    **dict.fromkeys(("recipe", "dataset", "run"), TEXT),
    "epochs": COUNT,
    "training_error": FRACTION,
    **dict.fromkeys(("epochs_to_25_percent", "times_sooner"), NUMBER),
    **dict.fromkeys(("claim", "verdict", "note"), TEXT),
}


def crossing(found: pd.DataFrame) -> float | None:
    """The epoch at which the training error falls to the printed one, by a straight line; None where it does not.

    found: of `by_epoch`. Before the first epoch nothing is known, so an error that begins below gives that epoch.
    """
    below = found[found["training_error"] <= FIGURE_1_TRAINING_ERROR]
    if below.empty:
        return None
    place = found.index.get_loc(below.index[0])
    assert isinstance(place, int)
    epoch, error = found["epoch"].iloc[place], found["training_error"].iloc[place]
    if place == 0:
        return float(epoch)
    epoch_before, error_before = found["epoch"].iloc[place - 1], found["training_error"].iloc[place - 1]
    share = (error_before - FIGURE_1_TRAINING_ERROR) / (error_before - error)
    return float(epoch_before + share * (epoch - epoch_before))


def _curves(evidence: Evidence) -> list[tuple[Run, pd.DataFrame]]:
    """The newest run of each recipe whose metrics tell the training error."""
    found = []
    for name in (RELU, TANH):
        for run in evidence.named(name)[:1]:
            rows = by_epoch(run)
            if rows["training_error"].notna().any():
                found.append((run, rows))
    return found


def _summarize(evidence: Evidence) -> ResultTable:
    curves = {run.recipe.name: (run, rows) for run, rows in _curves(evidence)}
    records = [_record(name, *curves.get(name, (None, None))) for name in (RELU, TANH)]
    first = {name: crossing(rows) for name, (_, rows) in curves.items()}
    relu, tanh = first.get(RELU), first.get(TANH)
    ratio = tanh / relu if relu and tanh else None
    verdict = "not run" if len(curves) < 2 else _verdict(ratio, curves)
    ratio_row: dict[str, Cell] = {"recipe": "tanh / relu", "times_sooner": ratio, "claim": CLAIM, "verdict": verdict}
    return ResultTable("figure-1", TITLE, (*records, Record(COLUMNS, ratio_row)))


def _record(name: str, run: Run | None, rows: pd.DataFrame | None) -> Record:
    if run is None or rows is None:
        return Record(COLUMNS, {"recipe": name, "note": "not run"})
    values: dict[str, Cell] = {
        "recipe": name, "dataset": run.environment["dataset"], "run": str(run.folder), "epochs": len(rows),
        "training_error": float(rows["training_error"].iloc[-1]), "epochs_to_25_percent": crossing(rows),
    }  # fmt: skip
    return Record(COLUMNS, values)


def _verdict(ratio: float | None, curves: dict[str, tuple[Run, pd.DataFrame]]) -> str:
    """The paper prints a whole number of times on CIFAR-10, and says that magnitudes vary with the network."""
    if any(run.environment["dataset"] != "cifar10" for run, _ in curves.values()):
        return "not comparable"
    return "reproduced" if ratio and round(ratio) == FIGURE_1_TIMES_SOONER else "not reproduced"


def _draw(evidence: Evidence) -> Figure | None:
    curves = _curves(evidence)
    if not curves:
        return None
    figure = new_figure(5, 3.6)
    place = axes(figure, x="epoch", y="training error")
    for (run, rows), color, line in zip(curves, LINES, ("-", "--"), strict=False):
        place.plot(rows["epoch"], rows["training_error"], line, color=color, label=run.recipe.name)
    place.axhline(FIGURE_1_TRAINING_ERROR, color=INK, linewidth=0.6, linestyle=":")
    place.set_ylim(0, FIGURE_1_HIGHEST_ERROR)
    place.legend(frameon=False)
    return figure


def _lacks(evidence: Evidence) -> list[str]:
    done = {run.recipe.name for run, _ in _curves(evidence)}
    commands = [f"alexrepro train {name} --store cifar10" for name in (RELU, TANH) if name not in done]
    return ["alexrepro prepare /path/cifar10", *commands] if commands else []


EXPERIMENT = Experiment(
    name="figure-1", title=TITLE, cites=Citation("§3.1", "Figure 1"), summarize=_summarize, draw=_draw, lacks=_lacks
)
