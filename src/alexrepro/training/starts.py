"""How a training opens its run folder: a new run begins, and one with work in it continues on its own stores.

Only another training store, or another run to begin with, is refused. Every start is recorded in environment.json.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from alexrepro.data.store.store import Store
from alexrepro.errors import Exit, UserError
from alexrepro.progress import say
from alexrepro.runs.run import Run
from alexrepro.training.fine_tune import check_same_source, check_source, continue_run, origin
from alexrepro.training.job import TrainingJob

GIT_SECONDS = 10.0


def open_folder(job: TrainingJob, facts: Mapping[str, Any], *, is_anew: bool) -> None:
    """Begin a run with these facts, or check that the one in the folder may continue; a complete one may.

    is_anew: an earlier run is set aside. Raises UserError for another training store, or another source, than before.
    """
    run, recipe, source = job.run, job.recipe, job.source
    is_new = is_anew or not run.has_begun
    check_source(recipe, source, is_new=is_new)
    if not is_new:
        _check_same_store(run, job.store)
        check_same_source(run, source)
        return
    began_with = origin(source, recipe, facts)
    if is_anew:
        run.set_aside()
    run.begin(recipe, {**facts, "began_with": began_with})
    if source is not None and recipe.training.continues:
        continue_run(source, run)


def _check_same_store(run: Run, store: Store) -> None:
    before = str(run.environment["stores"].get("train"))
    if before != store.path.name:
        is_there = store.path.with_name(before).is_dir()
        how = f"Continue it with --store {store.path.with_name(before)}" if is_there else "Bring that store back"
        raise UserError(
            f"{run.folder} was trained on {before}, not on {store.path.name}.",
            fix=f"{how}, or choose another folder with --runs.",
        )


def own_validation(job: TrainingJob) -> Store | None:
    """The store that a run validates on: always the one that it began with, whatever else has appeared.

    A run that began without validation goes on without, unless its rate follows the errors.
    Raises UserError if that rate has lost its store, or if the ranks differ.
    """
    run, found, group = job.run, job.validation, job.group
    follows_errors = job.recipe.training.schedule.needs_validation
    name, folders = group.broadcast(_recorded(run) if group.is_first else (None, []))
    folders = list(dict.fromkeys([*folders, *(other.path.parent for other in (job.store, found) if other is not None)]))
    if name is None:
        own = found if follows_errors else None
        if own is not None:
            say(f"{run.folder} began without validation; from here on it validates on {own.path}.")
        elif found is not None:
            say(f"{run.folder} began without validation and goes on without: {found.path.name} is not used.")
    else:
        own = found if found is not None and found.path.name == name else _find(name, folders)
        if own is not None and own is not found:
            say(f"{run.folder} keeps its own validation store {own.path}.")
    group.assert_same_everywhere({"the validation store": own.manifest.digest if own else "none"})
    if name is not None and own is None:
        lost = f"The validation store {name} of {run.folder} is not in {' or '.join(map(str, folders))}"
        if follows_errors:
            raise group.abort(
                UserError(
                    f"{lost}, and its learning rate follows the errors on it.",
                    fix="Bring that store back, or begin the run anew with --resume never.",
                    exit_code=Exit.MISSING_INPUT,
                )
            )
        say(f"{lost}; the run goes on without validation.")
    return own


def _recorded(run: Run) -> tuple[str | None, list[Path]]:
    """The name of the run's validation store, and the folder where it was."""
    folder = run.environment.get("folders", {}).get("validation")
    return run.validation_store, [Path(folder)] if folder else []


def _find(name: str, folders: Sequence[Path]) -> Store | None:
    """The store of this name in the first of the folders that has it, if it can be opened."""
    for folder in folders:
        try:
            return Store.open(folder / name)
        except UserError:
            continue
    return None


def start_of(facts: Mapping[str, Any], *, step: int, validation: Store | None) -> dict[str, Any]:
    """What environment.json records of each start: after how many updates, when, how, and with what."""
    stores = {**facts["stores"], "validation": validation.path.name if validation else None}
    return {
        "after_update": step,
        "started": facts["started"],
        "command": ["alexrepro", *sys.argv[1:]],
        "alexrepro": facts["alexrepro"],
        "commit": commit(),
        "machine": facts["machine"],
        "stores": stores,
    }


@cache
def commit() -> str | None:
    """The git commit of this program, ending in -dirty if files were changed; None where it is not a checkout."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *words], capture_output=True, text=True, check=True,
            timeout=GIT_SECONDS, env=variables | {"GIT_OPTIONAL_LOCKS": "0"},
        )  # fmt: skip
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # not installed below a checkout of something else
        return git("describe", "--always", "--abbrev=40", "--exclude=*", "--dirty")
    except (OSError, subprocess.SubprocessError):
        return None
