"""An experiment is a question put to finished runs: what it needs, what was printed, and which runs answer it.

Each module of `reports/experiments/` defines one as EXPERIMENT. Nothing here trains: what is missing is listed
with the commands that make it.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from alexrepro.engine.run import Evaluation
from alexrepro.errors import Exit, Refusal
from alexrepro.paper.citation import Citation
from alexrepro.paper.results import Reported, Views
from alexrepro.recipes.catalogue import CATALOGUE, find_recipe
from alexrepro.reports import experiments as package_of_experiments
from alexrepro.reports.table import ResultTable, Row, measured_row, reported_row

MINIATURE_TEST = "ilsvrc2010-miniature-test"
MINIATURE_RECIPE = "tiny"  # the miniature is shown beside every experiment, as other data


@dataclass(frozen=True)
class Needs:
    """A measurement that an experiment asks for, and the printed numbers that may stand beside it."""

    recipe: str
    split: str
    views: Views
    printed: Reported | None = None

    @property
    def dataset(self) -> str:
        """The data set of the split."""
        return self.split.rpartition("-")[0]


@dataclass(frozen=True)
class Experiment:
    """A table of the paper: its printed rows, and the measurements that answer it."""

    name: str
    title: str
    cites: Citation
    needs: tuple[Needs, ...]
    reported: tuple[Reported, ...]


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
    """The experiment of this name; raises Refusal with the nearest name if there is none."""
    known = experiments()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        meant = f"; did you mean {near[0]}?" if near else f"; there is {', '.join(known)}."
        raise Refusal(
            f"There is no report {name}{meant}", fix="Make them all with: alexrepro report.", exit_code=Exit.USAGE
        )
    return known[name]


def answer(experiment: Experiment, evaluations: Sequence[Evaluation]) -> ResultTable:
    """The printed rows, then for each need what was measured, then the miniature's rows as other data.

    evaluations: as `find_evaluations` gives them; of two with the same seed the first counts.
    """
    rows = [reported_row(printed) for printed in experiment.reported]
    for needed in experiment.needs:
        rows += _answers(needed, evaluations)
    for views in dict.fromkeys([*(needed.views for needed in experiment.needs), "centre"]):
        rows += _miniature_rows(evaluations, views=views)
    return ResultTable(experiment.name, experiment.title, tuple(rows))


def missing(experiment: Experiment, evaluations: Sequence[Evaluation]) -> list[str]:
    """The commands to type, in order, for the needs that no full run answers; empty if there are none."""
    commands: list[str] = []
    for needed in experiment.needs:
        full = [e for e in evaluations if e.recipe == needed.recipe and not departure(e)]
        if any((e.split, e.views) == (needed.split, needed.views) for e in full):
            continue
        crop = " --ten-crop" if needed.views == "ten" else ""
        trained = next((e.run for e in full if e.dataset == needed.dataset), None)
        if trained is not None:
            commands.append(f"alexrepro evaluate {shlex.quote(trained)}{crop}")
            continue
        commands += [
            f"alexrepro prepare /path/{needed.dataset.upper()}",
            f"alexrepro train {needed.recipe}",
            f"alexrepro evaluate{crop}",
        ]
    return list(dict.fromkeys(commands))


def grouped(evaluations: Sequence[Evaluation]) -> list[list[Evaluation]]:
    """Evaluations that differ in the seed only, together; of two with the same seed the first is kept."""
    groups: dict[tuple[object, ...], dict[int, Evaluation]] = {}
    for e in evaluations:
        kind = (e.recipe, e.digest, e.epochs, e.split, e.views, e.images)
        groups.setdefault(kind, {}).setdefault(e.seed, e)
    return [list(seeds.values()) for seeds in groups.values()]


def departure(evaluation: Evaluation) -> str:
    """How a run differs from the catalogue's recipe of its name, or nothing for a full run of that recipe."""
    if evaluation.recipe not in CATALOGUE:
        return f"not in the catalogue: {evaluation.recipe}"
    recipe = find_recipe(evaluation.recipe)
    epochs = recipe.training.epochs
    if evaluation.epochs < epochs:
        return f"shortened: {evaluation.epochs} of {epochs} epochs"
    if evaluation.digest != recipe.digest:
        return f"changed: {evaluation.digest} is not {recipe.name}-{recipe.digest}"
    return ""


def _answers(needed: Needs, evaluations: Sequence[Evaluation]) -> list[Row]:
    """Rows of the full runs that a need asks for, or one that says "not run"; then those of its other runs."""
    asked = (needed.recipe, needed.split, needed.views)
    groups = grouped([e for e in evaluations if (e.recipe, e.split, e.views) == asked])
    full = [group for group in groups if not departure(group[0])]
    rows = [_row(group, needed.printed) for group in full]
    if not full:
        rows = [
            Row(needed.recipe, "measured", dataset=needed.dataset, split=needed.split, views=needed.views,
                recipe=needed.recipe, note="not run")
        ]  # fmt: skip
    return rows + [_row(group, needed.printed) for group in groups if departure(group[0])]


def _row(group: Sequence[Evaluation], printed: Reported | None) -> Row:
    how = departure(group[0])
    label = f"{group[0].recipe}, {how.partition(':')[0]}" if how else group[0].recipe
    return measured_row(group, label=label, printed=printed, note=how if printed else how or "no printed number")


def _miniature_rows(evaluations: Sequence[Evaluation], *, views: Views) -> list[Row]:
    asked = (MINIATURE_RECIPE, MINIATURE_TEST, views)
    rows = []
    for group in grouped([e for e in evaluations if (e.recipe, e.split, e.views) == asked]):
        note = "; ".join(filter(None, (f"other data: {MINIATURE_TEST}", departure(group[0]))))
        rows.append(measured_row(group, label=f"{MINIATURE_RECIPE}, other data", printed=None, note=note))
    return rows
