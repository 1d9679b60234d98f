"""Figure 1: training error on CIFAR-10, epoch by epoch, with ReLUs and with tanh (§3.1).

The paper does not say which network it was, so there are two readings, and it chose the rates separately, so runs at
other rates stand below as the grid from which the recipe's was taken. Without any of these runs it shows any network
that was trained with both responses on other data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexrepro.paper.citation import Citation
from alexrepro.paper.pictures import FIGURE_1_HIGHEST_ERROR, FIGURE_1_TIMES_SOONER, FIGURE_1_TRAINING_ERROR
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import differences
from alexrepro.recipes.variations import VARIATIONS
from alexrepro.reports.experiment import Experiment
from alexrepro.reports.figures.epochs_to_error import Curve, curves, times_sooner
from alexrepro.reports.figures.plot import INK, LINES, axes, new_figure
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.statistics.intervals import mean_and_std
from alexrepro.reports.statistics.official import trained_on
from alexrepro.reports.tables.table import COUNT, FRACTION, NUMBER, TEXT, Cell, Record, ResultTable

TITLE = "Figure 1: epochs to a training error, ReLU against tanh"
READINGS = {"A": ("figure-1-relu", "figure-1-tanh"), "B": ("figure-1-relu-b", "figure-1-tanh-b")}
NAMES = [name for names in READINGS.values() for name in names]
RATES, EPOCHS = {"training.learning_rate", "training.bias_learning_rate"}, "training.epochs"
OTHER_RATE = "another rate"
DATASET = "cifar10"
CLAIM = (
    f"Figure 1: ReLUs reach {100 * FIGURE_1_TRAINING_ERROR:.0f} % training error "
    f"{FIGURE_1_TIMES_SOONER} times sooner than tanh"
)
COLUMNS = {
    **dict.fromkeys(("reading", "recipe"), TEXT),
    "learning_rate": NUMBER,
    "seed": COUNT,
    **dict.fromkeys(("dataset", "run"), TEXT),
    "epochs": COUNT,
    "training_error": FRACTION,
    **dict.fromkeys(("epochs_to_25_percent", "times_sooner", "times_sooner_std"), NUMBER),
    **dict.fromkeys(("claim", "verdict", "note"), TEXT),
}


@dataclass(frozen=True)
class Reading:
    """The runs of one network with ReLUs and with tanh that are compared, and its runs at other rates."""

    name: str
    asked: tuple[str, str]
    relu: Sequence[Curve] = ()
    tanh: Sequence[Curve] = ()
    others: Sequence[Curve] = ()

    @property
    def compared(self) -> list[Curve]:
        """The runs that the figure shows."""
        return [*self.relu, *self.tanh]


def _readings(evidence: Evidence) -> list[Reading]:
    """Those that have runs; without any, a network on other data, or the first reading as not run."""
    found = [_reading(name, evidence) for name in READINGS]
    return [reading for reading in found if reading.compared] or [_on_other_data(evidence) or found[0]]


def _reading(name: str, evidence: Evidence) -> Reading:
    parts = [_chosen(recipe, curves(evidence.named(recipe))) for recipe in READINGS[name]]
    (relu, more), (tanh, further) = parts
    return Reading(name, READINGS[name], relu, tanh, [*more, *further])


def _chosen(name: str, found: Sequence[Curve]) -> tuple[list[Curve], list[Curve]]:
    """The runs of the recipe itself, else of the changed one that crosses soonest; and all the others.

    How many epochs a run has makes no difference, as the rate is the same in all of them.
    """
    standard = find_recipe(name)
    kinds = [curve.run.recipe.but({EPOCHS: standard.training.epochs}).digest for curve in found]
    soonest = min(zip(found, kinds, strict=True), key=lambda pair: pair[0].crossing or inf)[1] if found else ""
    chosen = standard.digest if standard.digest in kinds else soonest
    one = [curve for curve, kind in zip(found, kinds, strict=True) if kind == chosen]
    return one, [curve for curve, kind in zip(found, kinds, strict=True) if kind != chosen]


def _on_other_data(evidence: Evidence) -> Reading | None:
    """The newest run that differs from another one by tanh only, beside that one; None if there is none."""
    tanh = VARIATIONS["tanh"]
    for varied in evidence.runs:
        base, _, change = varied.recipe.name.rpartition("+")
        for run in evidence.named(base) if change == tanh.name else []:
            if run.folder.name == varied.folder.name and tanh.of(run.recipe).digest == varied.recipe.digest:
                one, other = curves([run]), curves([varied])
                return Reading("", (run.recipe.name, varied.recipe.name), one, other) if one and other else None
    return None


def _summarize(evidence: Evidence) -> ResultTable:
    rows: list[Record] = []
    readings = _readings(evidence)
    for reading in readings:
        for name, found in zip(reading.asked, (reading.relu, reading.tanh), strict=True):
            rows += [_record(reading, curve) for curve in found] or [_not_run(reading, name)]
        rows.append(_ratio(reading))
    rows += [_record(reading, curve) for reading in readings for curve in reading.others]
    return ResultTable("figure-1", TITLE, tuple(rows))


def _record(reading: Reading, curve: Curve) -> Record:
    run, epochs = curve.run, curve.epochs
    values: dict[str, Cell] = {
        "reading": reading.name,
        "recipe": run.recipe.name,
        "learning_rate": run.recipe.training.learning_rate,
        "seed": curve.seed,
        "dataset": run.environment["dataset"],
        "run": str(run.folder),
        "epochs": len(epochs),
        "training_error": float(epochs["training_error"].iloc[-1]),
        "epochs_to_25_percent": curve.crossing,
        "note": _departure(curve),
    }
    return Record(COLUMNS, values)


def _not_run(reading: Reading, name: str) -> Record:
    return Record(COLUMNS, {"reading": reading.name, "recipe": name, "note": "not run"})


def _ratio(reading: Reading) -> Record:
    """How many times sooner, in the mean over the seeds of both, beside the printed number."""
    ratios = times_sooner(reading.relu, reading.tanh)
    mean, std = mean_and_std(ratios) if ratios else (None, None)
    departures = list(dict.fromkeys(_departure(curve) for curve in reading.compared))
    short = [curve for curve in reading.compared if curve.crossing is None]
    notes = [f"{len(ratios)} seeds" if len(ratios) > 1 else "", *departures]
    notes += [f"not yet so far: {', '.join(str(c.run.folder) for c in short)}"] if short else []
    values: dict[str, Cell] = {
        "reading": reading.name, "recipe": "tanh / relu", "times_sooner": mean, "times_sooner_std": std,
        "claim": CLAIM, "verdict": _verdict(reading, mean, departures), "note": "; ".join(filter(None, notes)),
    }  # fmt: skip
    return Record(COLUMNS, values)


def _verdict(reading: Reading, ratio: float | None, departures: Sequence[str]) -> str:
    """The paper prints a whole number of times on CIFAR-10, and says that magnitudes vary with the network."""
    if not (reading.relu and reading.tanh):
        return "not run"
    if any(departures):
        return "not comparable"
    return "reproduced" if ratio and round(ratio) == FIGURE_1_TIMES_SOONER else "not reproduced"


def _departure(curve: Curve) -> str:
    """How a run differs from one of the figure, or nothing; the epochs count as far as they go."""
    recipe = curve.run.recipe
    if recipe.name not in NAMES:
        return "another network on other data"
    if curve.run.environment["dataset"] != DATASET:
        return "other data"
    changed = differences(recipe, find_recipe(recipe.name)).keys() - {EPOCHS}
    images = int(curve.epochs["images"].iloc[0])
    told = [trained_on(images, DATASET), OTHER_RATE if changed & RATES else ""]
    return "; ".join(filter(None, [*told, *(f"changed: {field}" for field in sorted(changed - RATES))]))


def _draw(evidence: Evidence) -> Figure | None:
    readings = [reading for reading in _readings(evidence) if reading.compared]
    if not readings:
        return None
    figure = new_figure(0.5 + 4.5 * len(readings), 3.6)
    last = max(curve.epochs["epoch"].max() for reading in readings for curve in reading.compared)
    for number, reading in enumerate(readings, start=1):
        place = axes(figure, (1, len(readings), number), x="epoch", y="training error")
        _plot(reading, place)
        place.set_xlim(0, last + 1)  # the same in both readings
    return figure


def _plot(reading: Reading, place: Axes) -> None:
    shown = zip((reading.relu, reading.tanh), LINES, ("-", "--"), strict=False)
    for found, color, line in shown:
        for number, curve in enumerate(found):
            label = curve.run.recipe.name if number == 0 else None
            epochs = curve.epochs
            place.plot(epochs["epoch"], epochs["training_error"], line, color=color, label=label, linewidth=1.2)
    place.axhline(FIGURE_1_TRAINING_ERROR, color=INK, linewidth=0.6, linestyle=":")
    highest = max(curve.epochs["training_error"].max() for curve in reading.compared)
    place.set_ylim(0, FIGURE_1_HIGHEST_ERROR if highest < FIGURE_1_HIGHEST_ERROR else 1)
    place.xaxis.set_major_locator(MaxNLocator(integer=True))
    datasets = ", ".join(dict.fromkeys(curve.run.environment["dataset"] for curve in reading.compared))
    place.set_title(f"{datasets}, reading {reading.name}" if reading.name else datasets, fontsize=9)
    place.legend(frameon=False)


def _lacks(evidence: Evidence) -> list[str]:
    done = {curve.run.recipe.name for reading in _readings(evidence) for curve in reading.compared}
    commands = [f"alexrepro train {name} --store {DATASET}" for name in NAMES if name not in done]
    return [f"alexrepro prepare /path/{DATASET}", *commands] if commands else []


EXPERIMENT = Experiment(
    name="figure-1", title=TITLE, cites=Citation("§3.1", "Figure 1"), summarize=_summarize, draw=_draw, lacks=_lacks
)
