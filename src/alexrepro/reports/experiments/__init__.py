"""An experiment is a question to run folders: what it needs, what was published, and which runs answer it.

One module per table, figure or claim of the paper. Nothing here trains: what is missing is listed as commands.
"""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from matplotlib.figure import Figure

from alexrepro.errors import UserError, find_named
from alexrepro.paper.citation import Citation
from alexrepro.paper.results import VAL_2010, Reported
from alexrepro.progress import say
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2010, AS_RUN_2012, TINY, find_recipe
from alexrepro.recipes.recipe import Recipe
from alexrepro.reports.figures import plot
from alexrepro.reports.statistics.verdict import departure
from alexrepro.reports.tables.measured import CHALLENGES, Needs, published_row, rows_for, rows_on_other_data
from alexrepro.reports.tables.table import Record, ResultTable, Row
from alexrepro.runs.evaluation import Evaluation, evaluations_in, find_ensembles
from alexrepro.runs.run import Run, find_evaluations, find_runs, open_run, run_of

FIRST = {recipe.name: rank for rank, recipe in enumerate((AS_RUN_2010, AS_RUN_2012, AS_PRINTED, TINY))}


@dataclass(frozen=True)
class Evidence:
    """Runs, finished or not, the one with the newest checkpoint first, and the evaluations of runs and of ensembles.

    is_chosen: whether the user named the runs.
    """

    runs: tuple[Run, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    ensembles: tuple[Evaluation, ...] = ()
    is_chosen: bool = False

    def named(self, *recipes: str) -> list[Run]:
        """The runs of recipes of these names, changed or not, recipe by recipe."""
        return [run for recipe in recipes for run in self.runs if run.recipe.name == recipe]

    def readable(self) -> "Evidence":
        """This without runs whose metrics.csv or validation.csv is damaged; they are named on stderr."""
        found = []
        for run in self.runs:
            try:
                _ = run.newest_metrics(1), run.validations
                found.append(run)
            except UserError as error:
                say(f"Skipped {run.folder}: {error.what}")
        return replace(self, runs=tuple(found))

    def foremost(self) -> list[Run]:
        """The runs in the order of preference of figures that show one network.

        Complete before unfinished; the paper's recipes, then `tiny`, then others; longer before shorter, newer before
        older.
        """
        return sorted(
            self.runs,
            key=lambda run: (not run.result, FIRST.get(run.recipe.name, len(FIRST)), -run.recipe.training.epochs),
        )


def gather(runs: Path, *, only: Sequence[Path] = ()) -> Evidence:
    """Everything below a folder of runs; a run with a damaged recipe, environment or result is skipped.

    only: the runs to take instead; raises UserError if one of them is missing or damaged.
    """
    found = []
    for run in map(open_run, only) if only else find_runs(runs):
        try:
            _ = run.recipe, run.environment, run.result
            found.append(run)
        except UserError as error:
            if only:
                raise
            say(f"Skipped {run.folder}: {error.what}")
    if only:
        return Evidence(tuple(found), tuple(e for run in found for e in evaluations_in(run.folder)), is_chosen=True)
    single = (evaluation for evaluation in find_evaluations(runs) if not evaluation.members)
    return Evidence(tuple(found), tuple(single), tuple(find_ensembles(runs)))


@dataclass(frozen=True)
class Experiment:
    """A table, figure or claim of the paper.

    Either published rows and the measurements that answer them, or `summarize`, which makes all rows. `draw` makes the
    figure, or None if there is nothing to draw. lacks: the commands for what is missing, if not from `needs`.
    """

    name: str
    title: str
    cites: Citation
    needs: tuple[Needs, ...] = ()
    reported: tuple[Reported, ...] = ()
    summarize: Callable[[Evidence], Iterable[Record | Row]] | None = None
    draw: Callable[[Evidence], Figure | None] | None = None
    lacks: Callable[[Evidence], list[str]] | None = None


@dataclass(frozen=True)
class Report:
    """The answer to an experiment; missing: commands to type, in order, for measurements that no run has."""

    experiment: Experiment
    table: ResultTable
    figure: Figure | None
    missing: Sequence[str]

    def save(self, folder: Path) -> list[Path]:
        """Write the files of the table and the figure atomically and return their paths."""
        files = self.table.save(folder)
        if self.figure is None:
            return files
        return files + plot.save(self.figure, folder, name=self.table.name, title=self.table.title)


def render(experiment: Experiment, evidence: Evidence) -> Report:
    """The report of an experiment, from run folders only."""
    with plot.style():
        figure = experiment.draw(evidence) if experiment.draw else None
    missing = experiment.lacks(evidence) if experiment.lacks else commands_for(experiment.needs, evidence)
    return Report(experiment, table_of(experiment, evidence), figure, missing)


def table_of(experiment: Experiment, evidence: Evidence) -> ResultTable:
    """The table of an experiment, without its figure."""
    rows = experiment.summarize(evidence) if experiment.summarize else _errors(experiment, evidence)
    return ResultTable(experiment.name, experiment.title, tuple(rows))


def experiments() -> dict[str, Experiment]:
    """Every Experiment that a module of `reports/experiments/` defines, by name, in the order of the modules."""
    modules = [import_module(f"{__name__}.{name}") for name in sorted(module.name for module in iter_modules(__path__))]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Experiment)]
    return {experiment.name: experiment for experiment in found}


def find(name: str) -> Experiment:
    """The experiment of this name; raises UserError with the nearest name if there is none."""
    known = experiments()
    otherwise = f"; choose from {', '.join(known)}."
    return find_named(known, name, kind="report", fix="Write all of them with: alexrepro report.", otherwise=otherwise)


def _errors(experiment: Experiment, evidence: Evidence) -> list[Row]:
    """The published rows, those of each need, and for the challenge those on other data."""
    rows = [published_row(reported, label=reported.label) for reported in experiment.reported]
    for needed in experiment.needs:
        rows += rows_for(needed, evidence.evaluations)
    if any(needed.dataset in CHALLENGES for needed in experiment.needs):
        for crops in dict.fromkeys([*(needed.crops for needed in experiment.needs), "center"]):
            rows += rows_on_other_data(evidence.evaluations, crops=crops, needs=experiment.needs)
    return rows


def commands_for(needs: Sequence[Needs], evidence: Evidence) -> list[str]:
    """The commands for measurements that no full run has; none where the training data cannot be had."""
    commands: list[str] = []
    for needed in needs:
        recipe = find_recipe(needed.recipe)
        full = [e for e in evidence.evaluations if e.recipe == needed.recipe and not departure(e)]
        is_measured = any(map(needed.asks_for, full))
        if is_measured or recipe.training.init_from_stages:
            continue
        trained = next((e.run for e in full if e.dataset == needed.dataset), None)
        if trained is None:
            commands += [prepare_command(needed.dataset), train_command(recipe, dataset=needed.dataset)]
        run = shlex.quote(trained or str(folder_of(recipe, dataset=needed.dataset)))
        ten_crop = " --ten-crop" if needed.crops == "ten" else ""
        store = f" --store {VAL_2010}" if needed.split == VAL_2010 else ""  # the default is a labeled test split
        commands.append(f"alexrepro evaluate {run}{ten_crop}{store}")
    return list(dict.fromkeys(commands))


def train_command(recipe: Recipe, *, dataset: str, seed: int = 0) -> str:
    """The command that trains a recipe of the catalog on a data set of the challenge."""
    return f"alexrepro train {recipe.name} --store {dataset}" + (f" --seed {seed}" if seed else "")


def folder_of(recipe: Recipe, *, dataset: str, seed: int = 0) -> Path:
    """The folder that `train` gives this run by default."""
    return run_of(Path("runs"), recipe, dataset=dataset, seed=seed).folder


def prepare_command(dataset: str) -> str:
    """The command that makes the stores of a data set."""
    return f"alexrepro prepare /path/{dataset.upper()}"


def name_of(run: Run) -> str:
    """A run in few words: its recipe, data set and seed."""
    return f"{run.folder.parent.name}/{run.folder.name}"
