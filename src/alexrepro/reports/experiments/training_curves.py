"""Curves of training: every run, epoch by epoch (§5); and Figure 1, training error with ReLUs and with tanh (§3.1).

Figure 1 does not say which network it shows, so there are two readings. Learning rates were chosen separately, so runs
at other rates are listed below. Without any of these runs, one network trained with both activations on other data is
shown.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf
from statistics import fmean

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexrepro.paper.citation import Citation
from alexrepro.paper.results import FIGURE_1_HIGHEST_ERROR, FIGURE_1_TIMES_SOONER, FIGURE_1_TRAINING_ERROR, release_of
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import differences
from alexrepro.recipes.variations import VARIATIONS
from alexrepro.reports.experiments import Evidence, Experiment, name_of
from alexrepro.reports.figures import plot
from alexrepro.reports.figures.curves import Curve, by_epoch, curves, grouped
from alexrepro.reports.statistics.intervals import mean_and_std
from alexrepro.reports.statistics.verdict import notes, trained_on
from alexrepro.reports.tables.table import COUNT, FRACTION, NUMBER, TEXT, Record

EPOCH_COLUMNS = {
    "run": TEXT, "epoch": COUNT, "loss": NUMBER, "learning_rate": NUMBER, "top1_error": FRACTION,
    "top5_error": FRACTION, "validation_loss": NUMBER, "note": TEXT,
}  # fmt: skip
PANELS = {"loss": "training loss: −ln p of the class", "top1_error": "top-1 error, %", "top5_error": "top-5 error, %"}
MARKERS = 10  # on a line, at least
READINGS = {"A": ("figure-1-relu", "figure-1-tanh"), "B": ("figure-1-relu-b", "figure-1-tanh-b")}
NAMES = [name for names in READINGS.values() for name in names]
RATES, EPOCHS = {"training.learning_rate", "training.bias_learning_rate"}, "training.epochs"
DATASET = "cifar10"
LABELS = {"relu": "ReLU", "tanh": "tanh"}
CLAIM = (
    f"Figure 1, how much sooner ReLUs than tanh reach {100 * FIGURE_1_TRAINING_ERROR:.0f} % training error: "
    f"{FIGURE_1_TIMES_SOONER} times"
)
COLUMNS = {
    "reading": TEXT, "recipe": TEXT, "learning_rate": NUMBER, "seed": COUNT, "dataset": TEXT, "cites": TEXT,
    "epochs": COUNT, "training_error": FRACTION, "epochs_to_25_percent": NUMBER, "times_sooner": NUMBER,
    "times_sooner_std": NUMBER, "claim": TEXT, "verdict": TEXT, "note": TEXT,
}  # fmt: skip


def _epochs(evidence: Evidence) -> list[Record]:
    rows = []
    for run in evidence.runs:
        epochs = by_epoch(run).astype(object).to_dict("records")
        rows += [] if epochs else [Record(EPOCH_COLUMNS, {"run": name_of(run), "note": "no step yet"})]
        for row in epochs:
            values = {name: None if row[name] != row[name] else row[name] for name in EPOCH_COLUMNS if name in row}
            rows.append(Record(EPOCH_COLUMNS, {**values, "run": name_of(run)}))
    return rows or [Record(EPOCH_COLUMNS, {"note": "not run"})]


def _draw(evidence: Evidence) -> Figure | None:
    """Every run that has an epoch; runs that differ in the seed only are drawn alike."""
    epochs = {run: found for run in evidence.runs if len(found := by_epoch(run))}
    if not epochs:
        return None
    groups = grouped(epochs)
    figure = Figure(figsize=(13, 4.6 + 0.26 * ceil(len(groups) / 2)))
    for panel, (column, label) in enumerate(PANELS.items(), start=1):
        axes = figure.add_subplot(1, len(PANELS), panel, xlabel="epoch", ylabel=label)
        for number, (name, seeds) in enumerate(groups.items()):
            for seed, run in enumerate(seeds):
                shown = epochs[run].dropna(subset=[column])
                values = shown[column] * (1 if column == "loss" else 100)
                gap = max(1, len(shown) // MARKERS)
                # without clipping, what is at 0 is not cut off; for an empty line matplotlib fails
                look = plot.line(number) | {"clip_on": shown.empty, "markevery": (number % gap, gap)}
                axes.plot(shown["epoch"], values, label=None if seed or panel > 1 else name, **look)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_ylim(bottom=max(0, axes.get_ylim()[0]))
        axes.set_title("training, running mean" if column == "loss" else "validation, center crop")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@dataclass(frozen=True)
class Reading:
    """A reading of Figure 1: its runs by recipe, with ReLUs, then with tanh; and those at other learning rates."""

    name: str
    by_recipe: dict[str, list[Curve]]
    others: Sequence[Curve] = ()

    @property
    def compared(self) -> list[Curve]:
        """The runs that the figure shows."""
        return [curve for found in self.by_recipe.values() for curve in found]


def _readings(evidence: Evidence) -> list[Reading]:
    """Those that have runs; without any, a network on other data, or the first reading as not run."""
    found = []
    for name, recipes in READINGS.items():
        (relu, more), (tanh, further) = (_chosen(recipe, curves(evidence.named(recipe))) for recipe in recipes)
        found.append(Reading(name, dict(zip(recipes, (relu, tanh), strict=True)), [*more, *further]))
    return [reading for reading in found if reading.compared] or [_on_other_data(evidence) or found[0]]


def _chosen(name: str, found: Sequence[Curve]) -> tuple[list[Curve], list[Curve]]:
    """The runs of the recipe itself, for any number of epochs, else of the one that crosses soonest; and the others."""
    standard = find_recipe(name)
    kinds = [curve.run.recipe.but({EPOCHS: standard.training.epochs}).digest for curve in found]
    pairs = list(zip(kinds, found, strict=True))
    chosen = min(pairs, key=lambda pair: (pair[0] != standard.digest, pair[1].crossing or inf), default=("",))[0]
    return [one for kind, one in pairs if kind == chosen], [one for kind, one in pairs if kind != chosen]


def _on_other_data(evidence: Evidence) -> Reading | None:
    """The newest run that differs from another one by tanh only, with that one; None if there is none."""
    tanh = VARIATIONS["tanh"]
    for varied in evidence.runs:
        base, _, change = varied.recipe.name.rpartition("+")
        for run in evidence.named(base) if change == tanh.name else []:
            if run.folder.name == varied.folder.name and tanh.of(run.recipe).digest == varied.recipe.digest:
                by_recipe = {one.recipe.name: curves([one]) for one in (run, varied)}
                return Reading("", by_recipe) if all(by_recipe.values()) else None
    return None


def _figure_1(evidence: Evidence) -> list[Record]:
    rows: list[Record] = []
    readings = _readings(evidence)
    for reading in readings:
        for name, found in reading.by_recipe.items():
            missing = Record(COLUMNS, {"reading": reading.name, "recipe": name, "note": "not run"})
            rows += [_record(reading, curve) for curve in found] or [missing]
        rows.append(_ratio(reading))
    return [*rows, *(_record(reading, curve) for reading in readings for curve in reading.others)]


def _record(reading: Reading, curve: Curve) -> Record:
    run, epochs = curve.run, curve.epochs
    return Record(COLUMNS, {
        "reading": reading.name, "recipe": run.recipe.name, "learning_rate": run.recipe.training.learning_rate,
        "seed": run.environment["seed"], "dataset": run.environment["dataset"], "cites": str(run.folder),
        "epochs": len(epochs), "training_error": float(epochs["training_error"].iloc[-1]),
        "epochs_to_25_percent": curve.crossing, "note": _departure(curve),
    })  # fmt: skip


def _ratio(reading: Reading) -> Record:
    """By which factor ReLUs are sooner, in the mean over the seeds of both; the paper gives an integer."""
    relu, tanh = ({c.run.environment["seed"]: c.crossing for c in found} for found in reading.by_recipe.values())
    ratios = [at / soon for seed, at in tanh.items() if at and (soon := relu.get(seed))]
    mean, std = mean_and_std(ratios) if ratios else (None, None)
    departures = notes(map(_departure, reading.compared))
    late = ", ".join(str(curve.run.folder) for curve in reading.compared if curve.crossing is None)
    seeds = f"{len(ratios)} seeds" if len(ratios) > 1 else ""
    verdict = "reproduced" if mean and round(mean) == FIGURE_1_TIMES_SOONER else "not reproduced"
    if departures or not (relu and tanh):
        verdict = "not comparable" if relu and tanh else "not run"
    times = f"{mean:.3g}{'' if std is None else f' ± {std:.1g}'} times" if mean and not departures else ""
    return Record(COLUMNS, {
        "reading": reading.name, "recipe": "tanh / relu", "times_sooner": mean, "times_sooner_std": std,
        "claim": CLAIM, "verdict": verdict,
        "note": notes([times, seeds, departures, f"25 % not reached yet: {late}" if late else ""]),
    })  # fmt: skip


def _departure(curve: Curve) -> str:
    """How a run differs from one of Figure 1, if it does; the number of epochs does not count."""
    recipe = curve.run.recipe
    if recipe.name not in NAMES:
        return "another network on other data"
    if release_of(curve.run.environment["dataset"]) != DATASET:
        return "other data"
    changed = differences(recipe, find_recipe(recipe.name)).keys() - {EPOCHS}
    seen = trained_on(int(curve.epochs["images"].iloc[0]), DATASET)
    rate = "another learning rate" if changed & RATES else ""
    return notes([seen, rate, *(f"changed: {field}" for field in sorted(changed - RATES))])


def _draw_figure_1(evidence: Evidence) -> Figure | None:
    """As in the paper: ReLUs solid, tanh dashed; with the epochs at which they cross the line, in the mean."""
    readings = [reading for reading in _readings(evidence) if reading.compared]
    if not readings:
        return None
    figure = Figure(figsize=(1 + 5.5 * len(readings), 5))
    panels = figure.subplots(1, len(readings), squeeze=False, sharex=True)[0]
    percent, line = 100, 100 * FIGURE_1_TRAINING_ERROR
    for reading, axes in zip(readings, panels, strict=True):
        for found, color, dashes in zip(reading.by_recipe.values(), plot.LINES, ("-", "--"), strict=False):
            for number, curve in enumerate(found):
                label = LABELS[curve.run.recipe.network.activation] if number == 0 else None
                errors = percent * curve.epochs["training_error"]
                axes.plot(curve.epochs["epoch"], errors, dashes, color=color, label=label)
            if crossings := [curve.crossing for curve in found if curve.crossing is not None]:
                axes.plot(fmean(crossings), line, "o", color=color)
                text = {"text": f"{fmean(crossings):.1f}", "xytext": (0, -8), "textcoords": "offset points"}
                axes.annotate(xy=(fmean(crossings), line), ha="center", va="top", weight="bold", **text)
        axes.axhline(line, color=plot.INK, linewidth=1, linestyle=":")
        axes.text(1.01, line, f"{line:.0f} %", va="center", transform=axes.get_yaxis_transform())
        highest = max(curve.epochs["training_error"].max() for curve in reading.compared)
        axes.set(xlabel="epoch", ylabel="training error, %")
        axes.set_ylim(0, percent * (FIGURE_1_HIGHEST_ERROR if highest < FIGURE_1_HIGHEST_ERROR else 1))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_title(_title(reading))
        axes.legend()
    panels[0].set_xlim(left=0)
    return figure


def _title(reading: Reading) -> str:
    """The data and the layers: `cifar10, reading A: 3 conv, 1 full`."""
    datasets = ", ".join(dict.fromkeys(curve.run.environment["dataset"] for curve in reading.compared))
    kinds = Counter(stage.kind for stage in reading.compared[0].run.recipe.network.stages)
    layers = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"{datasets}, reading {reading.name}: {layers}" if reading.name else f"{datasets}: {layers}"


def _figure_1_lacks(evidence: Evidence) -> list[str]:
    done = {curve.run.recipe.name for reading in _readings(evidence) for curve in reading.compared}
    commands = [f"alexrepro train {name} --store {DATASET}" for name in NAMES if name not in done]
    return [f"alexrepro prepare /path/{DATASET}", *commands] if commands else []


TRAINING_CURVES = Experiment(
    "training-curves", "Training curves: loss and validation error of the runs", Citation("§5", "how training went"),
    summarize=_epochs, draw=_draw,
    lacks=lambda evidence: [] if evidence.runs else ["alexrepro prepare miniature", "alexrepro train tiny"],
)  # fmt: skip
FIGURE_1 = Experiment(
    "figure-1", "Figure 1: epochs to a training error, ReLU against tanh", Citation("§3.1", "Figure 1"),
    summarize=_figure_1, draw=_draw_figure_1, lacks=_figure_1_lacks,
)  # fmt: skip
