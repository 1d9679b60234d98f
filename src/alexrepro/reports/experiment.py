"""An experiment is a question to run folders: what it needs, what was published, and which runs answer it.

The modules of `reports/experiments/` define them. Nothing here trains: what is missing is listed as commands.
"""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from matplotlib.figure import Figure

from alexrepro.errors import Exit, UserError, did_you_mean
from alexrepro.paper.citation import Citation
from alexrepro.paper.results import VAL_2010, Reported
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import Recipe
from alexrepro.reports import experiments as package_of_experiments
from alexrepro.reports.figures import plot
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.statistics.verdict import departure
from alexrepro.reports.tables.error_rows import CHALLENGES, Needs, measured_rows, reported_row, rows_on_other_data
from alexrepro.reports.tables.table import ResultTable, TableRow
from alexrepro.runs.run import run_of


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
    summarize: Callable[[Evidence], Iterable[TableRow]] | None = None
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
        return files + (plot.save(self.figure, folder, name=self.table.name) if self.figure else [])


def render(experiment: Experiment, evidence: Evidence) -> Report:
    """The report of an experiment, from run folders only."""
    return Report(
        experiment, answer(experiment, evidence), drawn(experiment, evidence), missing(experiment, evidence)
    )  # fmt: skip


def experiments(package: ModuleType = package_of_experiments) -> dict[str, Experiment]:
    """Every Experiment that a module of the package defines, by name, in the order of the modules.

    Raises ValueError if a module defines none or two experiments have the same name.
    """
    found: dict[str, Experiment] = {}
    for name in sorted(module.name for module in iter_modules(package.__path__)):
        module = import_module(f"{package.__name__}.{name}")
        defined = [value for value in vars(module).values() if isinstance(value, Experiment)]
        if not defined:
            raise ValueError(f"{module.__name__} defines no Experiment")
        for experiment in defined:
            if found.setdefault(experiment.name, experiment) is not experiment:
                raise ValueError(f"{module.__name__}: another experiment is also called {experiment.name}")
    return found


def find(name: str) -> Experiment:
    """The experiment of this name; raises UserError with the nearest name if there is none."""
    known = experiments()
    if name not in known:
        meant = did_you_mean(name, known, otherwise=f"; choose from {', '.join(known)}.")
        raise UserError(
            f"There is no report {name}{meant}", fix="Write all of them with: alexrepro report.", exit_code=Exit.USAGE
        )
    return known[name]


def answer(experiment: Experiment, evidence: Evidence) -> ResultTable:
    """The experiment's own rows; else the published rows, those of each need, and for the challenge other data."""
    rows: list[TableRow] = []
    if experiment.summarize is not None:
        rows += experiment.summarize(evidence)
    else:
        rows += [reported_row(reported) for reported in experiment.reported]
        for needed in experiment.needs:
            rows += measured_rows(needed, evidence.evaluations)
        if any(needed.dataset in CHALLENGES for needed in experiment.needs):
            for crops in dict.fromkeys([*(needed.crops for needed in experiment.needs), "center"]):
                rows += rows_on_other_data(evidence.evaluations, crops=crops)
    return ResultTable(experiment.name, experiment.title, tuple(rows))


def drawn(experiment: Experiment, evidence: Evidence) -> Figure | None:
    """The experiment's figure; None if it has none or there is nothing to draw."""
    if experiment.draw is None:
        return None
    with plot.style():
        return experiment.draw(evidence)


def missing(experiment: Experiment, evidence: Evidence) -> list[str]:
    """The commands to type, in order, for what no full run answers."""
    if experiment.lacks is not None:
        return experiment.lacks(evidence)
    return commands_for(experiment.needs, evidence)


def commands_for(needs: Sequence[Needs], evidence: Evidence) -> list[str]:
    """The commands for measurements that no full run has; none where the training data cannot be had."""
    commands: list[str] = []
    for needed in needs:
        recipe = find_recipe(needed.recipe)
        full = [e for e in evidence.evaluations if e.recipe == needed.recipe and not departure(e)]
        is_measured = any((e.split, e.crops) == (needed.split, needed.crops) for e in full)
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
