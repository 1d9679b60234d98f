"""The run folders that reports read, and what was evaluated in them."""

from dataclasses import dataclass
from pathlib import Path

from alexrepro.errors import UserError
from alexrepro.progress import say
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2010, AS_RUN_2012, TINY
from alexrepro.runs.evaluation import Evaluation, find_ensembles
from alexrepro.runs.run import Run, find_evaluations, find_runs

FIRST = tuple(recipe.name for recipe in (AS_RUN_2010, AS_RUN_2012, AS_PRINTED, TINY))


@dataclass(frozen=True)
class Evidence:
    """Runs, finished or not, the one with the newest checkpoint first, and the evaluations of runs and of ensembles."""

    runs: tuple[Run, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    ensembles: tuple[Evaluation, ...] = ()

    def named(self, *recipes: str) -> list[Run]:
        """The runs of recipes of these names, changed or not, recipe by recipe."""
        return [run for recipe in recipes for run in self.runs if run.recipe.name == recipe]

    def foremost(self) -> list[Run]:
        """The runs in the order of preference of figures that show one network.

        The paper's recipes come first, then `tiny`, then others; complete before unfinished, longer before shorter,
        newer before older.
        """

        def key(run: Run) -> tuple[int, bool, int]:
            name = run.recipe.name
            rank = FIRST.index(name) if name in FIRST else len(FIRST)
            return rank, run.result is None, -run.recipe.training.epochs

        return sorted(self.runs, key=key)


def name_of(run: Run) -> str:
    """A run in few words: its recipe, data set and seed."""
    return f"{run.folder.parent.name}/{run.folder.name}"


def gather(runs: Path) -> Evidence:
    """Everything below a folder of runs; a run with a damaged recipe, environment or result is skipped."""
    found = []
    for run in find_runs(runs):
        try:
            _ = run.recipe, run.environment, run.result
            found.append(run)
        except UserError as error:
            say(f"Skipped {run.folder}: {error.what}")
    single = (evaluation for evaluation in find_evaluations(runs) if not evaluation.members)
    return Evidence(tuple(found), tuple(single), tuple(find_ensembles(runs)))
