"""What reports answer with: the runs below a folder and what was evaluated of them."""

from dataclasses import dataclass
from pathlib import Path

from alexrepro.errors import UserError
from alexrepro.progress import say
from alexrepro.recipes.as_printed_and_run import AS_PRINTED, AS_RUN_2010, AS_RUN_2012, TINY
from alexrepro.runs.evaluation import Evaluation, find_ensembles
from alexrepro.runs.run import Run, find_evaluations, find_runs

FIRST = (*(recipe.name for recipe in (AS_RUN_2010, AS_RUN_2012, AS_PRINTED)), TINY.name)


@dataclass(frozen=True)
class Evidence:
    """Runs, finished or not, the one with the newest checkpoint first, and every saved evaluation of one or several."""

    runs: tuple[Run, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    ensembles: tuple[Evaluation, ...] = ()

    def named(self, recipe: str) -> list[Run]:
        """The runs of a recipe of this name, changed or not, in the order of the runs."""
        return [run for run in self.runs if run.recipe.name == recipe]

    def foremost(self) -> list[Run]:
        """The runs as figures of one network choose: the paper's recipes first, then `tiny`, then all others.

        Of the same kind a complete run comes before others, a longer one before a shorter one, then the newer one.
        """

        def place(run: Run) -> tuple[int, bool, int]:
            name = run.recipe.name
            rank = FIRST.index(name) if name in FIRST else len(FIRST)
            return rank, run.result is None, -run.recipe.training.epochs

        return sorted(self.runs, key=place)


def gather(runs: Path) -> Evidence:
    """Everything below a folder of runs; a run with a damaged recipe, environment or result is passed over."""
    found = []
    for run in find_runs(runs):
        try:
            run.check()
            found.append(run)
        except UserError as refusal:
            say(f"Passed over {run.folder}: {refusal.what}")
    single = (evaluation for evaluation in find_evaluations(runs) if not evaluation.members)
    return Evidence(tuple(found), tuple(single), tuple(find_ensembles(runs)))
