"""A run: one recipe, one data set, one seed, one folder. The file names below `runs/` are spelled here.

runs/<recipe>-<digest>/recipe.toml and <dataset>-seed-<n>/ with environment.json, pixels.safetensors, metrics.csv,
validation.csv, checkpoints/, what testing leaves (evaluation.py) and, when it is complete, result.json.
"""

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from alexrepro.errors import Exit, UserError
from alexrepro.files import free_name, make_folder, plain_name, sync, write_json, write_text, write_whole
from alexrepro.progress import say
from alexrepro.recipes.recipe import Recipe, from_toml
from alexrepro.runs import lock, row_files
from alexrepro.runs.evaluation import Evaluation, EvaluationFiles
from alexrepro.runs.run_file import RunFile

__all__ = ["Evaluation", "Run", "find_evaluations", "find_runs", "open_run", "run_of"]

METRICS = ("step", "epoch", "images", "loss", "learning_rate", "images_per_second", "top1_error")
ASIDE = "aside-"  # how the folder of an earlier run begins once another takes its place
VALIDATION = ("epoch", "split", "crops", "images", "top1_error", "top5_error", "loss")


@dataclass(frozen=True)
class Run:
    """A run folder and what is in it."""

    folder: Path

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe, read from the folder above. Raises UserError if it is another than was trained."""
        trained = self.environment.get("digest")
        try:
            found = from_toml(self.recipe_file)
        except UserError as refusal:
            why = refusal.what
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
        return RunFile(self._environment, fix="Bring back a copy of it, or begin the run anew with --resume never.")

    @property
    def result(self) -> dict[str, Any] | None:
        """What the run reached, or None while it is unfinished. Raises UserError if the file is damaged."""
        fix = "Remove it and run the same training again, which continues from its last checkpoint."
        return RunFile(self._result, fix=fix) if self._result.exists() else None

    @property
    def recipe_file(self) -> Path:
        """The recipe as a file that `train` takes."""
        return self.folder.parent / "recipe.toml"

    @property
    def pixels_file(self) -> Path:
        """Mean image and color axes of the training store, which testing needs too."""
        return self.folder / "pixels.safetensors"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "checkpoints"

    @property
    def metrics(self) -> list[row_files.Row]:
        """One row per update, all in memory: a gigabyte for a full run, which `newest_metrics` need not hold."""
        return row_files.read(self.metrics_file)

    @property
    def newest_metrics(self) -> Iterator[row_files.Row]:
        """One row per update, the newest one first."""
        return row_files.from_end(self.metrics_file)

    @property
    def validations(self) -> list[row_files.Row]:
        """One row per validated epoch."""
        return row_files.read(self.validation_file)

    @property
    def last_epoch_loss(self) -> float | None:
        """Mean training loss over the images of the newest epoch; None before the first update."""
        epoch, images, loss = None, 0, 0.0
        for row in self.newest_metrics:
            if epoch not in (None, row["epoch"]):
                break
            epoch, images = row["epoch"], images + int(row["images"])
            loss += int(row["images"]) * float(row["loss"])
        return loss / images if images else None

    @property
    def evaluations(self) -> list[Evaluation]:
        """Every saved evaluation."""
        return EvaluationFiles(self.folder).evaluations

    def check(self) -> None:
        """Read what reports need of a run. Raises UserError if its recipe, environment or result is damaged."""
        _ = self.recipe, self.environment, self.result

    @property
    def has_begun(self) -> bool:
        """Whether there is work to continue or to keep: a checkpoint or a result."""
        has_work = self._result.exists() or any(self.checkpoints.glob("step-*"))
        return self._environment.exists() and has_work

    @property
    def validation_store(self) -> str | None:
        """The name of the store that the run validates on: the first that any of its starts had."""
        environment = self.environment
        stores = [environment["stores"], *(start["stores"] for start in environment.get("starts", []))]
        return next((names["validation"] for names in stores if names.get("validation")), None)

    def begin(self, recipe: Recipe, environment: Mapping[str, Any]) -> None:
        """Write the recipe and the environment of a new run."""
        write_text(self.recipe_file, recipe.to_toml())
        write_json(self._environment, dict(environment))

    def add_start(self, start: Mapping[str, Any]) -> None:
        """Record one more start of the run."""
        environment = self.environment
        write_json(self._environment, {**environment, "starts": [*environment.get("starts", []), dict(start)]})

    def finish(self, result: Mapping[str, Any]) -> None:
        """Mark the run as complete."""
        write_json(self._result, dict(result))

    def set_aside(self) -> None:
        """Keep an earlier run of the same name under another one, so that a new one can begin."""
        if self._environment.exists():
            stamp = ""
            with suppress(UserError):  # of a damaged file
                stamp = re.sub(r"[^\dT]", "", str(self.environment["started"]))
            aside = self.folder.rename(
                free_name(self.folder.with_name(f"{ASIDE}{stamp or 'unknown'}-{self.folder.name}"))
            )
            sync(aside.parent)
            make_folder(self.folder)
            say(f"The earlier run is now {aside}.")

    def add_metrics(self, rows: Iterable[Sequence[object]]) -> None:
        """Append rows to metrics.csv."""
        row_files.add(self.metrics_file, METRICS, rows)

    def add_validation(self, row: Sequence[object]) -> None:
        """Append a row to validation.csv."""
        row_files.add(self.validation_file, VALIDATION, [row])

    def sync_rows(self) -> None:
        """Wait until the rows have reached the disk, as they must before a checkpoint of their updates does."""
        for path in filter(Path.exists, (self.metrics_file, self.validation_file)):
            sync(path)
        sync(self.folder)

    def forget_after(self, *, step: int, epoch: int) -> None:
        """Drop rows that a resumed run will write again: later than its checkpoint, or cut off."""
        row_files.cut_after(self.metrics_file, METRICS, last=step)
        row_files.cut_after(self.validation_file, VALIDATION, last=epoch)

    def take_rows(self, other: "Run", *, step: int) -> None:
        """Begin with the rows of another run up to a step."""
        for name in (self.metrics_file.name, self.validation_file.name):
            with suppress(FileNotFoundError):
                write_whole(self.folder / name, partial(shutil.copyfile, other.folder / name))
        self.forget_after(step=step, epoch=step // self.environment["updates_per_epoch"])
        self.sync_rows()

    def save_evaluation(self, evaluation: Evaluation) -> Path:
        """Write an evaluation; the newest of a split and its crops replaces the one before."""
        return EvaluationFiles(self.folder).save(evaluation)

    def lock(self) -> AbstractContextManager[None]:
        """Hold the folder; raises UserError at once if another process trains in it."""
        return lock.hold(self.folder)

    @property
    def _environment(self) -> Path:
        return self.folder / "environment.json"

    @property
    def _result(self) -> Path:
        return self.folder / "result.json"

    @property
    def metrics_file(self) -> Path:
        """One line per update."""
        return self.folder / "metrics.csv"

    @property
    def validation_file(self) -> Path:
        """One line per validated epoch."""
        return self.folder / "validation.csv"


def run_of(runs: Path, recipe: Recipe, *, dataset: str, seed: int) -> Run:
    """The run of a recipe on a data set with a seed, whether or not it exists yet.

    Raises UserError for a data set whose name cannot be that of a folder; a recipe has checked its own.
    """
    on = plain_name(dataset, of="A data set")
    return Run(runs / f"{recipe.name}-{recipe.digest}" / f"{on}-seed-{seed}")


def find_runs(runs: Path) -> list[Run]:
    """Every run below a folder that was not set aside, the one with the newest checkpoint first."""
    folders = [path.parent for path in runs.rglob("environment.json")]
    found = [Run(folder) for folder in folders if not folder.name.startswith(ASIDE)]
    return sorted(found, key=lambda run: (-_newest(run), str(run.folder)))


def open_run(path: Path) -> Run:
    """The run in a folder; a recipe folder with a single run in it will do. Raises UserError if there is none."""
    candidates = [path] if (path / "environment.json").exists() else [p.parent for p in path.glob("*/environment.json")]
    if len(candidates) != 1:
        what = "holds several runs" if candidates else "is not a run"
        raise UserError(
            f"{path} {what}.", fix="Name a folder such as runs/tiny-0a1b2c/ilsvrc2010-miniature-seed-0.",
            exit_code=Exit.MISSING_INPUT,
        )  # fmt: skip
    return Run(candidates[0])


def find_evaluations(runs: Path) -> list[Evaluation]:
    """Every evaluation saved below a folder of runs, by recipe, seed, split and crops."""
    found = [evaluation for run in find_runs(runs) for evaluation in run.evaluations]
    return sorted(found, key=lambda e: (e.recipe, e.digest, e.dataset, e.seed, e.split, e.crops))


def _newest(run: Run) -> float:
    """When the newest checkpoint was written, or else the run began; 0 if the folder has just got another name."""
    times = [0.0]
    for path in (*run.checkpoints.glob("*"), run.folder / "environment.json"):
        with suppress(FileNotFoundError):  # a run in progress removes old checkpoints
            times.append(path.stat().st_mtime)
    return max(times)
