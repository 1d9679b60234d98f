"""Loss and validation error of every run, epoch by epoch, finished or not (§5)."""

from collections.abc import Iterator

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexrepro.paper.citation import Citation
from alexrepro.reports.experiment import Experiment
from alexrepro.reports.figures.curves import by_epoch
from alexrepro.reports.figures.plot import LINES, axes, new_figure
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.tables.table import COUNT, FRACTION, NUMBER, TEXT, Cell, Record, ResultTable
from alexrepro.runs.run import Run

TITLE = "Training curves: loss and validation error of every run"
COLUMNS = {
    "run": TEXT,
    "epoch": COUNT,
    **dict.fromkeys(("loss", "learning_rate"), NUMBER),
    **dict.fromkeys(("top1_error", "top5_error"), FRACTION),
    "validation_loss": NUMBER,
    "note": TEXT,
}
SHOWN = 8  # runs with a line of their own; more would not be told apart


def name_of(run: Run) -> str:
    """A run in few words: its recipe, data set and seed."""
    return f"{run.folder.parent.name}/{run.folder.name}"


def _summarize(evidence: Evidence) -> ResultTable:
    rows = [record for run in evidence.runs for record in _records(run)]
    return ResultTable("training-curves", TITLE, tuple(rows) or (Record(COLUMNS, {"note": "not run"}),))


def _records(run: Run) -> Iterator[Record]:
    for row in by_epoch(run).astype(object).to_dict("records"):
        values: dict[str, Cell] = {
            name: None if row[name] != row[name] else row[name] for name in COLUMNS if name in row
        }
        yield Record(COLUMNS, {**values, "run": name_of(run)})


def _draw(evidence: Evidence) -> Figure | None:
    curves = [(run, found) for run in evidence.runs if len(found := by_epoch(run))][:SHOWN]
    if not curves:
        return None
    figure = new_figure(9, 3.6)
    loss = axes(figure, (1, 2, 1), x="epoch", y="training loss, nats")
    error = axes(figure, (1, 2, 2), x="epoch", y="validation error, % (center crop)")
    for (run, found), color in zip(curves, LINES, strict=False):
        loss.plot(found["epoch"], found["loss"], color=color, marker=".", label=name_of(run))
        error.plot(found["epoch"], 100 * found["top1_error"], color=color, marker=".")
        error.plot(found["epoch"], 100 * found["top5_error"], color=color, linestyle=":")
    for place in (loss, error):
        place.xaxis.set_major_locator(MaxNLocator(integer=True))
        place.set_ylim(bottom=0)
    error.set_title("top-1 solid, top-5 dotted", fontsize=9)
    figure.legend(loc="outside lower center", fontsize=7, frameon=False, ncols=2)
    return figure


EXPERIMENT = Experiment(
    name="training-curves",
    title=TITLE,
    cites=Citation("§5", "how training went"),
    summarize=_summarize,
    draw=_draw,
    lacks=lambda evidence: [] if evidence.runs else ["alexrepro prepare miniature", "alexrepro train tiny"],
)
