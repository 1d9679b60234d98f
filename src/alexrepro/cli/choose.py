"""The recipe and the run that a command works on; what the user did not name is chosen and printed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alexrepro.errors import Exit, UserError
from alexrepro.progress import say
from alexrepro.recipes.catalog import default_recipe, find_recipe
from alexrepro.recipes.recipe import Recipe, parse_changes
from alexrepro.runs.paths import newest_checkpoints

if TYPE_CHECKING:
    from alexrepro.runs.run import Run


def choose_recipe(name: str | None, *, dataset: str, changes: Sequence[str], epochs: int | None = None) -> Recipe:
    """The named recipe, or the one for the data set, with the changes of --set and --epochs."""
    recipe = find_recipe(name) if name else default_recipe(dataset)
    if not name:
        say(f"Recipe: {recipe.name}, the default for {dataset}.")
    recipe = recipe.but(parse_changes(changes))
    if epochs is None or epochs == recipe.training.epochs:
        return recipe
    full, recipe = recipe.training.epochs, recipe.shortened(epochs)
    how = "squeezed into" if epochs < full else "stretched to"
    rates = recipe.training.schedule.description(recipe.training, recipe.network.stages)
    say(f"The schedule of {full} epochs is {how} {epochs} ({rates}).")
    return recipe


def choose_start(recipe: str | None, start: Path | None) -> "tuple[str | None, Run | None]":
    """The recipe's name or file, and the run that a new run starts from.

    A run given as `recipe` lends both. One given as `start` may be gone: only a new run needs it.
    """
    from alexrepro.runs.run import Run, open_run

    if recipe is not None and Path(recipe).is_dir():
        source = open_run(Path(recipe))
        return str(source.recipe_file), source
    if start is None:
        return recipe, None
    try:
        return recipe, open_run(start)
    except UserError:
        return recipe, Run(start)


def choose_runs(paths: Sequence[Path] | None, *, runs: Path, is_live: bool = False) -> "list[Run]":
    """The runs in the folders, or the newest one: a complete one if there is any, unless it is to be watched live."""
    from alexrepro.runs.run import find_runs, open_run

    def preference(run: "Run") -> tuple[bool, bool]:
        return not run.result_file.exists(), not newest_checkpoints(run.checkpoints)

    found = [] if paths else find_runs(runs)  # the newest first
    chosen = [open_run(path) for path in paths] if paths else (found if is_live else sorted(found, key=preference))[:1]
    if not chosen:
        what, fix = f"There is no run under {runs}.", "Train one with: alexrepro train."
        raise UserError(what, fix=fix, exit_code=Exit.MISSING_INPUT)
    for run in chosen:
        if not paths or (not is_live and not run.result_file.exists()):  # watching shows how far it is anyway
            say(f"Run: {run.folder}, {run.progress}.")
    return chosen


def choose_run(path: Path | None, *, runs: Path, is_live: bool = False) -> "Run":
    """The run in the folder, or the newest one, as `choose_runs` has it."""
    return choose_runs([path] if path else None, runs=runs, is_live=is_live)[0]
