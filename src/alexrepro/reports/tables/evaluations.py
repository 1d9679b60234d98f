"""Every evaluation as one row: what was evaluated, on which images, its errors with 95 % intervals, and the counts."""

from collections.abc import Iterable
from pathlib import Path

from alexrepro.locks import replace_rows
from alexrepro.reports.statistics.intervals import wilson_interval
from alexrepro.reports.statistics.verdict import departure
from alexrepro.reports.tables.table import COUNT, FRACTION, NUMBER, TEXT, Record, ResultTable
from alexrepro.runs.evaluation import Evaluation, find_ensembles
from alexrepro.runs.paths import EVALUATIONS
from alexrepro.runs.run import find_evaluations

NAME, TITLE = "evaluations", "Evaluations: errors of every run on every split with every kind of crops"
COLUMNS = {
    "run": TEXT, "dataset": TEXT, "split": TEXT, "crops": TEXT, "images": COUNT, "classes": COUNT,
    "top1_error": FRACTION, "top1_low": FRACTION, "top1_high": FRACTION,
    "top5_error": FRACTION, "top5_low": FRACTION, "top5_high": FRACTION, "loss": NUMBER,
    "top1_correct": COUNT, "top5_correct": COUNT, "tied_images": COUNT,
    "recipe": TEXT, "digest": TEXT, "seed": COUNT, "epochs": COUNT, "store": TEXT, "preprocessing": TEXT, "note": TEXT,
}  # fmt: skip


def evaluation_row(evaluation: Evaluation) -> Record:
    """One evaluation with Wilson intervals; errors are fractions, the loss is in nats.

    store and preprocessing: digests of the images and of everything between them and the network. note: how the run or
    its images differ from those of published numbers; empty if they do not.
    """
    values = {name: getattr(evaluation, name, None) for name in COLUMNS}
    for top, correct in (("top1", evaluation.top1_correct), ("top5", evaluation.top5_correct)):
        wrong, images = evaluation.images - correct, evaluation.images
        values[f"{top}_low"], values[f"{top}_high"] = wilson_interval(wrong, images)
    return Record(COLUMNS, {**values, "note": departure(evaluation)})


def write_evaluations(runs: Path, found: Iterable[Evaluation]) -> Path:
    """Put all evaluations below a folder of runs, and those just found, into its evaluations.csv; returns its path."""
    saved = [*find_evaluations(runs), *find_ensembles(runs), *found]
    rows = {(e.run, e.split, e.crops): evaluation_row(e).cells() for e in saved}
    return replace_rows(runs / EVALUATIONS, list(rows.values()), key=("run", "split", "crops"))


def evaluation_table(evaluations: Iterable[Evaluation]) -> ResultTable:
    """The rows of evaluations in their order, or one that says "not run"."""
    rows = [evaluation_row(evaluation) for evaluation in evaluations]
    return ResultTable(NAME, TITLE, tuple(rows) or (Record(COLUMNS, {"note": "not run"}),))
