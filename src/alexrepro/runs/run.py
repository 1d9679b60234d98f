"""A run: one recipe, one data set, one seed, one folder; what is written there as it trains, and how it is found."""

import shutil
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import cached_property, partial
from operator import mul
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alexrepro.errors import Exit, UserError
from alexrepro.files import listed, plain_name, read_json, sync, write_json, write_text, write_whole
from alexrepro.locks import is_locked, locked
from alexrepro.recipes.recipe import Recipe, from_toml
from alexrepro.runs import rows
from alexrepro.runs.evaluation import Evaluation, evaluations_in
from alexrepro.runs.paths import ENVIRONMENT, RunPaths, newest_checkpoints, step_of

if TYPE_CHECKING:
    from pandas import DataFrame

KINDS = {
    "seed": int, "dataset": str, "classes": list, "steps_per_epoch": int, "stores": dict, "machine": dict,
    "layout": dict, "starts": list, "steps": int, "epochs": int, "final": dict,
}  # fmt: skip


class RunFile(dict[str, Any]):
    """The fields of environment.json or result.json. Raises UserError if it is damaged or a field is missing."""

    def __init__(self, path: Path, *, fix: str) -> None:
        super().__init__(read_json(path, fix=fix))
        self._path, self._fix = path, fix
        wrong = [name for name, kind in KINDS.items() if name in self and not isinstance(self[name], kind)]
        if wrong or self.get("steps_per_epoch", 1) < 1:
            raise self._damaged(f"its {(wrong or ['steps_per_epoch'])[0]} is not what training writes")

    def __missing__(self, name: str) -> Any:
        raise self._damaged(f"it has no {name}")

    def _damaged(self, why: str) -> UserError:
        return UserError(f"{self._path} is damaged: {why}.", fix=self._fix, exit_code=Exit.BAD_DATA)


class Run(RunPaths):
    """A run folder and what is in it."""

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe, read from the folder above. Raises UserError if it is another than was trained."""
        trained = self.environment.get("digest")
        try:
            found = from_toml(self.recipe_file)
        except UserError as error:
            why = error.what
        else:
            if trained in (None, found.digest):
                return found
            why = f"its digest is {found.digest}, and the run was trained with {trained}."
        raise UserError(
            f"{self.recipe_file} is damaged: {why}", fix="Bring back a copy of it.", exit_code=Exit.BAD_DATA
        )

    @property
    def environment(self) -> dict[str, Any]:
        """What the run was started with: seed, data set, stores, versions, device. Raises UserError if damaged."""
        return RunFile(self.environment_file, fix="Bring back a copy of it, or rename the folder and train anew.")

    @property
    def result(self) -> dict[str, Any] | None:
        """What the run reached, or None while it is unfinished. Raises UserError if the file is damaged."""
        fix = "Remove it and run the same training again, which continues from its last checkpoint."
        return RunFile(self.result_file, fix=fix) if self.result_file.exists() else None

    @property
    def progress(self) -> str:
        """How far the newest checkpoint is: `complete`, or `step 1 of 900`."""
        if self.result is not None:
            return "complete"
        steps = self.recipe.training.epochs * self.environment["steps_per_epoch"]
        newest = next(iter(newest_checkpoints(self.checkpoints)), None)
        return f"step {step_of(newest):,} of {steps:,}" if newest else "without a checkpoint"

    @property
    def failure(self) -> str | None:
        """Why training ended without a result and would again: `at chance after 2,000 steps, stopped`."""
        return None if self.result is not None else self.environment.get("failure")

    @property
    def is_training(self) -> bool:
        """Whether a process trains in the folder."""
        return is_locked(self.lock_file)

    @property
    def metrics(self) -> "DataFrame":
        """One row per step, as in metrics.csv, all in memory. Raises UserError if the file is damaged."""
        return rows.read(self.metrics_file, rows.METRICS)

    def newest_metrics(self, most: int) -> "DataFrame":
        """The newest steps up to a number."""
        return rows.read(self.metrics_file, rows.METRICS, most=most)

    @property
    def validations(self) -> "DataFrame":
        """One row per validated epoch, as in validation.csv. Raises UserError if the file is damaged."""
        return rows.read(self.validation_file, rows.VALIDATION)

    @property
    def last_epoch_loss(self) -> float | None:
        """Mean training loss over the images of the newest epoch; None before the first step."""
        newest = self.newest_metrics(self.environment["steps_per_epoch"])
        last = newest[newest["epoch"] == newest["epoch"].max()]
        losses, images = last["loss"].tolist()[::-1], last["images"].tolist()[::-1]
        return sum(map(mul, losses, images)) / sum(images) if images else None

    @property
    def has_begun(self) -> bool:
        """Whether there is work to continue or to keep: a checkpoint or a result."""
        has_work = self.result_file.exists() or bool(newest_checkpoints(self.checkpoints))
        return self.environment_file.exists() and has_work

    @property
    def validation_store(self) -> Path | None:
        """Where the store that the run validates on was: the first that any of its starts had."""
        environment = self.environment
        stores = [environment["stores"], *(start["stores"] for start in environment.get("starts", []))]
        name = next((names["validation"] for names in stores if names.get("validation")), None)
        return Path(environment.get("folders", {}).get("validation", "")) / name if name else None

    def begin(self, recipe: Recipe, environment: dict[str, Any]) -> None:
        """Write the recipe and the environment of a new run."""
        write_text(self.recipe_file, recipe.to_toml())
        write_json(self.environment_file, environment)

    def finish(self, result: dict[str, Any]) -> None:
        """Mark the run as complete."""
        write_json(self.result_file, result)

    def record(self, facts: Mapping[str, Any]) -> None:
        """Add facts to environment.json."""
        write_json(self.environment_file, {**self.environment, **facts})

    def add_metrics(self, steps: Iterable[Mapping[str, object]]) -> None:
        """Append a row for each step to metrics.csv."""
        rows.add(self.metrics_file, rows.METRICS, steps)

    def add_validation(self, row: Mapping[str, object]) -> None:
        """Append a row to validation.csv."""
        rows.add(self.validation_file, rows.VALIDATION, [row])

    def sync_rows(self) -> None:
        """Wait until the rows have reached the disk, as they must before a checkpoint of their steps does."""
        for path in filter(Path.exists, (self.metrics_file, self.validation_file)):
            sync(path)
        sync(self.folder)

    def forget_after(self, *, step: int, epoch: int) -> None:
        """Drop rows that a continued run will write again: later than its checkpoint, or cut off."""
        rows.cut_after(self.metrics_file, last=step)
        rows.cut_after(self.validation_file, last=epoch)

    def take_rows(self, other: "Run", *, step: int) -> None:
        """Begin with the rows of another run up to a step."""
        for ours, theirs in ((self.metrics_file, other.metrics_file), (self.validation_file, other.validation_file)):
            with suppress(FileNotFoundError):
                write_whole(ours, partial(shutil.copyfile, theirs))
        self.forget_after(step=step, epoch=step // self.environment["steps_per_epoch"])
        self.sync_rows()

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes from training in the folder; raises UserError at once, naming the one that does."""

        def refuse(holder: str) -> None:
            raise UserError(
                f"Another process{f' ({holder})' if holder else ''} is training in {self.folder}.",
                fix="Wait for it, or train another seed with --seed N.",
                exit_code=Exit.CANNOT_CREATE,
            )

        return locked(self.lock_file, busy=refuse)


def run_of(runs: Path, recipe: Recipe, *, dataset: str, seed: int) -> Run:
    """The run of a recipe on a data set with a seed, whether or not it exists yet.

    Raises UserError for a data set whose name cannot be that of a folder; a recipe has checked its own.
    """
    on = plain_name(dataset, of="A data set")
    return Run(runs / f"{recipe.name}-{recipe.digest}" / f"{on}-seed-{seed}")


def find_runs(runs: Path) -> list[Run]:
    """Every run below a folder, the one with the newest checkpoint first."""
    found = [Run(path.parent) for path in listed(runs).rglob(ENVIRONMENT)]
    return sorted(found, key=lambda run: (-_newest(run), str(run.folder)))


def open_run(path: Path) -> Run:
    """The run in a folder; a recipe folder with a single run in it will do. Raises UserError if there is none."""
    candidates = [path] if (path / ENVIRONMENT).exists() else [found.parent for found in path.glob(f"*/{ENVIRONMENT}")]
    if len(candidates) != 1:
        what = "holds several runs" if candidates else "is not a run"
        raise UserError(
            f"{path} {what}.", fix="Name a folder such as runs/tiny-0a1b2c/ilsvrc2010-miniature-seed-0.",
            exit_code=Exit.MISSING_INPUT,
        )  # fmt: skip
    return Run(candidates[0])


def find_evaluations(runs: Path) -> list[Evaluation]:
    """Every evaluation saved below a folder of runs, by recipe, seed, split and crops."""
    found = [evaluation for run in find_runs(runs) for evaluation in evaluations_in(run.folder)]
    return sorted(found, key=lambda e: (e.recipe, e.digest, e.dataset, e.seed, e.split, e.crops))


def _newest(run: Run) -> float:
    """When the newest checkpoint was written, or else the run began; 0 if the folder has just got another name."""
    times = [0.0]
    for path in (*run.checkpoints.glob("*"), run.environment_file):
        with suppress(FileNotFoundError):  # a run in progress removes old checkpoints
            times.append(path.stat().st_mtime)
    return max(times)
