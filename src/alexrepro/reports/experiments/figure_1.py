"""Figure 1: training error on CIFAR-10, epoch by epoch, with ReLUs and with tanh (§3.1).

Without runs of its two recipes it shows any network that was trained with both on other data.
"""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexrepro.engine.run import Run
from alexrepro.paper.citation import Citation
from alexrepro.paper.pictures import FIGURE_1_HIGHEST_ERROR, FIGURE_1_TIMES_SOONER, FIGURE_1_TRAINING_ERROR
from alexrepro.recipes.catalogue import find_recipe
from alexrepro.recipes.variations import VARIATIONS
from alexrepro.reports.curves import by_epoch
from alexrepro.reports.evidence import Evidence
from alexrepro.reports.experiment import Experiment
from alexrepro.reports.plot import INK, LINES, axes, new_figure
from alexrepro.reports.table import COUNT, FRACTION, NUMBER, TEXT, Cell, Record, ResultTable

TITLE = "Figure 1: epochs to a training error, ReLU against tanh"
RELU, TANH, DATASET = "figure-1-relu", "figure-1-tanh", "cifar10"
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
    """The runs to compare, that with ReLUs first, whose metrics tell the training error."""
    own = [run for name in (RELU, TANH) for run in evidence.named(name)[:1]]
    return _told(own) or _told(_trained_with_both(evidence))


def _told(runs: list[Run]) -> list[tuple[Run, pd.DataFrame]]:
    found = [(run, by_epoch(run)) for run in runs]
    return [(run, rows) for run, rows in found if rows["training_error"].notna().any()]


def _trained_with_both(evidence: Evidence) -> list[Run]:
    """The newest run that differs from another one by tanh only, after that one; empty if there is none."""
    tanh = VARIATIONS["tanh"]
    for varied in evidence.runs:
        base, _, change = varied.recipe.name.rpartition("+")
        for run in evidence.named(base) if change == tanh.name else []:
            if run.folder.name == varied.folder.name and tanh.of(run.recipe).digest == varied.recipe.digest:
                return [run, varied]
    return []


def _summarize(evidence: Evidence) -> ResultTable:
    curves = _curves(evidence)
    names = [run.recipe.name for run, _ in curves]
    asked = (RELU, TANH) if len(curves) < 2 else names
    records = [_record(*curves[names.index(name)]) if name in names else _not_run(name) for name in asked]
    epochs = [crossing(rows) for _, rows in curves]
    ratio = epochs[1] / epochs[0] if len(curves) == 2 and epochs[0] and epochs[1] else None
    verdict = "not run" if len(curves) < 2 else _verdict(ratio, _departures(curves))
    notes = [f"{ratio:.1f} times sooner" if ratio else "", *(_departures(curves) if len(curves) == 2 else ())]
    ratio_row: dict[str, Cell] = {
        "recipe": "tanh / relu", "times_sooner": ratio, "claim": CLAIM, "verdict": verdict,
        "note": "; ".join(filter(None, notes)),
    }  # fmt: skip
    return ResultTable("figure-1", TITLE, (*records, Record(COLUMNS, ratio_row)))


def _record(run: Run, rows: pd.DataFrame) -> Record:
    values: dict[str, Cell] = {
        "recipe": run.recipe.name, "dataset": run.environment["dataset"], "run": str(run.folder), "epochs": len(rows),
        "training_error": float(rows["training_error"].iloc[-1]), "epochs_to_25_percent": crossing(rows),
        "note": _departure(run),
    }  # fmt: skip
    return Record(COLUMNS, values)


def _not_run(name: str) -> Record:
    return Record(COLUMNS, {"recipe": name, "note": "not run"})


def _departure(run: Run) -> str:
    """How a run differs from one of the figure, or nothing; the epochs count as far as they go."""
    recipe = run.recipe
    if recipe.name not in (RELU, TANH):
        return "another network on other data"
    if run.environment["dataset"] != DATASET:
        return "other data"
    return "" if recipe.digest == find_recipe(recipe.name).digest else "changed"


def _departures(curves: list[tuple[Run, pd.DataFrame]]) -> list[str]:
    """Those of all runs, each once."""
    return list(dict.fromkeys(_departure(run) for run, _ in curves))


def _verdict(ratio: float | None, departures: list[str]) -> str:
    """The paper prints a whole number of times on CIFAR-10, and says that magnitudes vary with the network."""
    if any(departures):
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
    highest = max(rows["training_error"].max() for _, rows in curves)
    place.set_ylim(0, FIGURE_1_HIGHEST_ERROR if highest < FIGURE_1_HIGHEST_ERROR else 1)
    place.xaxis.set_major_locator(MaxNLocator(integer=True))
    place.set_title(", ".join(dict.fromkeys(run.environment["dataset"] for run, _ in curves)), fontsize=9)
    place.legend(frameon=False)
    return figure


def _lacks(evidence: Evidence) -> list[str]:
    done = {run.recipe.name for run, _ in _curves(evidence)}
    commands = [f"alexrepro train {name} --store {DATASET}" for name in (RELU, TANH) if name not in done]
    return [f"alexrepro prepare /path/{DATASET}", *commands] if commands else []


EXPERIMENT = Experiment(
    name="figure-1", title=TITLE, cites=Citation("§3.1", "Figure 1"), summarize=_summarize, draw=_draw, lacks=_lacks
)
