"""An experiment is a question put to finished runs: what it needs, what was printed, and which runs answer it.

Each module of `reports/experiments/` defines one as EXPERIMENT. Nothing here trains: what is missing is listed
with the commands that make it.
"""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from matplotlib.figure import Figure

from alexrepro.errors import Exit, UserError
from alexrepro.paper.citation import Citation
from alexrepro.paper.results import VAL_2010, Crops, Reported
from alexrepro.recipes.catalog import catalog, find_recipe
from alexrepro.recipes.recipe import Recipe
from alexrepro.reports import experiments as package_of_experiments
from alexrepro.reports.figures.plot import house_style
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.statistics.official import shortfall
from alexrepro.reports.tables.error_rows import Row, claim_of, judged_row, measured_row, reported_row
from alexrepro.reports.tables.table import ResultTable
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.run import run_of

CHALLENGES = ("ilsvrc2010", "ilsvrc2012")  # the data sets of the paper; everything else is other data
NETWORKS = ("tiny", "as-printed", "as-run-2010", "as-run-2012")  # shown beside every experiment on other data


@dataclass(frozen=True)
class Needs:
    """A measurement that an experiment asks for, and the printed numbers that may stand beside it."""

    recipe: str
    split: str
    crops: Crops
    printed: Reported | None = None

    @property
    def dataset(self) -> str:
        """The data set of the split."""
        return self.split.rpartition("-")[0]


@dataclass(frozen=True)
class Experiment:
    """A table, figure or claim of the paper.

    Either its printed rows and the measurements that answer them, or `summarize`, which makes the table itself. A
    figure has `draw`, which gives None where there is nothing to draw. lacks: the commands for what is missing, where
    the needs do not say it.
    """

    name: str
    title: str
    cites: Citation
    needs: tuple[Needs, ...] = ()
    reported: tuple[Reported, ...] = ()
    summarize: Callable[[Evidence], ResultTable] | None = None
    draw: Callable[[Evidence], Figure | None] | None = None
    lacks: Callable[[Evidence], list[str]] | None = None


def experiments(package: ModuleType = package_of_experiments) -> dict[str, Experiment]:
    """EXPERIMENT of every module of the package, by its name, in the order of the modules' names.

    Raises ValueError if a module defines none or two have the same name.
    """
    found: dict[str, Experiment] = {}
    for module_name in sorted(module.name for module in iter_modules(package.__path__)):
        module = import_module(f"{package.__name__}.{module_name}")
        experiment = getattr(module, "EXPERIMENT", None)
        if not isinstance(experiment, Experiment):
            raise ValueError(f"{module.__name__} defines no EXPERIMENT")
        if experiment.name in found:
            raise ValueError(f"{module.__name__}: another experiment is called {experiment.name}, too")
        found[experiment.name] = experiment
    return found


def find(name: str) -> Experiment:
    """The experiment of this name; raises UserError with the nearest name if there is none."""
    known = experiments()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        meant = f"; did you mean {near[0]}?" if near else f"; there is {', '.join(known)}."
        raise UserError(
            f"There is no report {name}{meant}", fix="Make them all with: alexrepro report.", exit_code=Exit.USAGE
        )
    return known[name]


def answer(experiment: Experiment, evidence: Evidence) -> ResultTable:
    """The experiment's own table, or the printed rows, what was measured for each need, and the rows on other data.

    Of two evaluations with the same seed the first counts.
    """
    if experiment.summarize is not None:
        return experiment.summarize(evidence)
    rows = [reported_row(printed) for printed in experiment.reported]
    for needed in experiment.needs:
        rows += measured_rows(needed, evidence.evaluations)
    for crops in dict.fromkeys([*(needed.crops for needed in experiment.needs), "center"]):
        rows += rows_on_other_data(evidence.evaluations, crops=crops)
    return ResultTable(experiment.name, experiment.title, tuple(rows))


def drawn(experiment: Experiment, evidence: Evidence) -> Figure | None:
    """The experiment's figure; None where it has none, or nothing to draw."""
    if experiment.draw is None:
        return None
    with house_style():
        return experiment.draw(evidence)


def missing(experiment: Experiment, evidence: Evidence) -> list[str]:
    """The commands to type, in order, for what no full run answers; empty if nothing is missing."""
    if experiment.lacks is not None:
        return experiment.lacks(evidence)
    return list(dict.fromkeys(c for needed in experiment.needs for c in commands_for(needed, evidence.evaluations)))


def commands_for(needed: Needs, evaluations: Sequence[Evaluation], *, seed: int = 0) -> list[str]:
    """The commands that make one measurement; none where a full run has it or where the images cannot be had."""
    full = [e for e in evaluations if e.recipe == needed.recipe and not departure(e)]
    recipe = find_recipe(needed.recipe)
    if any((e.split, e.crops) == (needed.split, needed.crops) for e in full) or recipe.training.init_from_stages:
        return []
    crop = " --ten-crop" if needed.crops == "ten" else ""
    if needed.split == VAL_2010:  # `evaluate` takes the test split where its labels are public
        crop += f" --store {VAL_2010}"
    trained = next((e.run for e in full if e.dataset == needed.dataset), None)
    if trained is not None:
        return [f"alexrepro evaluate {shlex.quote(trained)}{crop}"]
    return [
        prepare_command(needed.dataset),
        train_command(recipe, dataset=needed.dataset, seed=seed),
        f"alexrepro evaluate {folder_of(recipe, dataset=needed.dataset, seed=seed)}{crop}",
    ]


def train_command(recipe: Recipe, *, dataset: str, seed: int = 0) -> str:
    """The command that trains a recipe of the catalog on a data set of the challenge."""
    return f"alexrepro train {recipe.name} --store {dataset}" + (f" --seed {seed}" if seed else "")


def folder_of(recipe: Recipe, *, dataset: str, seed: int = 0) -> Path:
    """Where `train` puts that run when no other folder is named."""
    return run_of(Path("runs"), recipe, dataset=dataset, seed=seed).folder


def prepare_command(dataset: str) -> str:
    """The command that makes the stores of a data set of the challenge."""
    return f"alexrepro prepare /path/{dataset.upper()}"


def grouped(evaluations: Sequence[Evaluation]) -> list[list[Evaluation]]:
    """Evaluations that differ in the seed only, together; of two with the same seed the first is kept.

    A seed that was trained on a part of the images differs in more.
    """
    groups: dict[tuple[object, ...], dict[int, Evaluation]] = {}
    for e in evaluations:
        kind = (e.recipe, e.digest, e.epochs, e.split, e.crops, e.images, shortfall(e))
        groups.setdefault(kind, {}).setdefault(e.seed, e)
    return [list(seeds.values()) for seeds in groups.values()]


def departure(evaluation: Evaluation) -> str:
    """How a run differs from the catalog's recipe of its name on the official images, or nothing if it does not."""
    return "; ".join(filter(None, (shortfall(evaluation), _change(evaluation))))


def _change(evaluation: Evaluation) -> str:
    if evaluation.recipe not in catalog():
        return f"not in the catalog: {evaluation.recipe}"
    recipe = find_recipe(evaluation.recipe)
    recipe = recipe.for_classes(evaluation.classes or recipe.network.classes)
    epochs = recipe.training.epochs
    if evaluation.epochs < epochs:
        return f"shortened: {evaluation.epochs} of {epochs} epochs"
    if evaluation.digest != recipe.digest:
        return f"changed: {evaluation.digest} is not {recipe.name}-{recipe.digest}"
    return ""


def why_not_run(recipe: str) -> str:
    """What stands in the place of a measurement that was not made."""
    lost = find_recipe(recipe).training.init_from_stages
    return "not run: it learns first from collections that are no longer handed out" if lost else "not run"


def measured_rows(needed: Needs, evaluations: Sequence[Evaluation]) -> list[Row]:
    """Rows of the full runs that a need asks for, or one that says "not run"; then those of its other runs."""
    asked = (needed.recipe, needed.split, needed.crops)
    groups = grouped([e for e in evaluations if (e.recipe, e.split, e.crops) == asked])
    full = [group for group in groups if not departure(group[0])]
    rows = [_row(group, needed.printed) for group in full]
    if not full:
        rows = [
            Row(needed.recipe, "measured", dataset=needed.dataset, split=needed.split, crops=needed.crops,
                recipe=needed.recipe, note=why_not_run(needed.recipe), verdict="not run" if needed.printed else None,
                claim=claim_of(needed.printed) if needed.printed else "")
        ]  # fmt: skip
    return rows + [_row(group, needed.printed) for group in groups if departure(group[0])]


def _row(group: Sequence[Evaluation], printed: Reported | None) -> Row:
    how = departure(group[0])
    label = f"{group[0].recipe}, {how.partition(':')[0]}" if how else group[0].recipe
    beside = None if shortfall(group[0]) else printed
    row = measured_row(group, label=label, printed=beside, note=how if printed else how or "no printed number")
    if printed is None:
        return row
    return replace(row, claim=claim_of(printed), verdict="not comparable") if how else judged_row(row)


def rows_on_other_data(evaluations: Sequence[Evaluation], *, crops: Crops) -> list[Row]:
    """What the paper's networks and `tiny` reached with these crops on data that nothing is printed for."""
    asked = [e for e in evaluations if e.recipe in NETWORKS and is_other_data(e) and e.crops == crops]
    return [
        measured_row(group, label=f"{group[0].recipe}, other data", printed=None, note=other_data(group[0]))
        for group in grouped(asked)
    ]


def is_other_data(evaluation: Evaluation) -> bool:
    """Whether it was measured on a data set that is not the challenge's."""
    return evaluation.dataset not in CHALLENGES


def other_data(evaluation: Evaluation, how: str | None = None) -> str:
    """The note of a row on other data: which, and how the networks differ from those of the catalog."""
    return "; ".join(filter(None, (f"other data: {evaluation.split}", departure(evaluation) if how is None else how)))
