"""Room for a run on its disk: looked for before its first update, since a full disk would end it after days."""

import shutil
from contextlib import suppress

from alexrepro.errors import Exit, UserError
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.run import Run

BYTES_A_PARAMETER = 8  # a weight and its velocity, float32
BYTES_A_ROW = 64  # of metrics.csv; rows of long runs have about 50


def check_room(run: Run, recipe: Recipe, *, updates: int, keep: int) -> None:
    """Raise UserError unless the disk holds the checkpoints to keep, the one that is written next, and the rows.

    updates: of the whole run. What the run has written already is taken into account; its folder may be missing yet.
    """
    need = (keep + 1) * recipe.network.parameters * BYTES_A_PARAMETER + updates * BYTES_A_ROW
    for path in (*run.checkpoints.glob("step-*/*"), run.metrics_file):
        with suppress(FileNotFoundError):  # a run in progress removes old checkpoints
            need -= path.stat().st_size
    there = next(path for path in (run.folder, *run.folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if need > free:
        raise UserError(
            f"{run.folder} needs {need / 1e6:,.0f} MB more for {keep} checkpoints, the next one and its metrics; "
            f"the disk has {free / 1e6:,.0f} MB free.",
            fix="Free some space, or choose another disk with --runs.",
            exit_code=Exit.IO_ERROR,
        )
