"""A run: one recipe, one data set, one seed, one folder. The file names below `runs/` are spelled here.

runs/<recipe>-<digest>/recipe.toml and <dataset>-seed-<n>/ with environment.json, pixels.safetensors, metrics.csv,
validation.csv, checkpoints/, what testing leaves (evaluation.py) and, when it is complete, result.json.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from alexrepro.engine import lock
from alexrepro.engine.evaluation import Evaluation, Findings
from alexrepro.errors import Exit, Refusal
from alexrepro.files import append, free_name, make_folder, read_json, sync, write_json, write_text
from alexrepro.progress import say
from alexrepro.recipes.recipe import Recipe, from_toml

__all__ = ["Evaluation", "Run", "find_evaluations", "find_runs", "open_run", "run_of"]

METRICS = ("step", "epoch", "images", "loss", "rate", "images_per_second", "top1_error")
ASIDE = "aside-"  # how the folder of an earlier run begins once another takes its place
VALIDATION = ("epoch", "split", "views", "images", "top1_error", "top5_error", "loss")


@dataclass(frozen=True)
class Run:
    """A run folder and what is in it."""

    folder: Path

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe, read from the folder above."""
        return from_toml(self.recipe_file)

    @property
    def environment(self) -> dict[str, Any]:
        """What the run was started with: seed, data set, stores, versions, device."""
        return read_json(self._environment)

    @property
    def result(self) -> dict[str, Any] | None:
        """What the run reached, or None while it is unfinished."""
        return read_json(self._result) if self._result.exists() else None

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
    def metrics(self) -> list[dict[str, str]]:
        """One row per update."""
        return _read_rows(self.metrics_file)

    @property
    def validations(self) -> list[dict[str, str]]:
        """One row per validated epoch."""
        return _read_rows(self.validation_file)

    @property
    def evaluations(self) -> list[Evaluation]:
        """Every saved evaluation."""
        return Findings(self.folder).evaluations

    def begin(self, recipe: Recipe, environment: Mapping[str, Any]) -> None:
        """Write the recipe and the environment of a new run, or check that an old one had the same stores."""
        if self._environment.exists():
            self._refuse_if_other(environment)
            return
        write_text(self.recipe_file, recipe.to_toml())
        write_json(self._environment, dict(environment))

    def finish(self, result: Mapping[str, Any]) -> None:
        """Mark the run as complete."""
        write_json(self._result, dict(result))

    def set_aside(self) -> None:
        """Keep an earlier run of the same name under another one, so that a new one can begin."""
        if self._environment.exists():
            stamp = self.environment["started"].translate({ord(sign): None for sign in "-:+"})
            aside = self.folder.rename(free_name(self.folder.with_name(f"{ASIDE}{stamp}-{self.folder.name}")))
            sync(aside.parent)
            make_folder(self.folder)
            say(f"The earlier run is now {aside}.")

    def add_metrics(self, rows: Iterable[Sequence[object]]) -> None:
        """Append rows to metrics.csv."""
        _add(self.metrics_file, METRICS, rows)

    def add_validation(self, row: Sequence[object]) -> None:
        """Append a row to validation.csv."""
        _add(self.validation_file, VALIDATION, [row])

    def sync_rows(self) -> None:
        """Wait until the rows have reached the disk, as they must before a checkpoint of their updates does."""
        for path in filter(Path.exists, (self.metrics_file, self.validation_file)):
            sync(path)
        sync(self.folder)

    def forget_after(self, *, step: int, epoch: int) -> None:
        """Drop rows that a resumed run will write again: later than its checkpoint, or cut off."""
        _keep(self.metrics_file, METRICS, last=step)
        _keep(self.validation_file, VALIDATION, last=epoch)

    def save_evaluation(self, evaluation: Evaluation) -> Path:
        """Write an evaluation; the newest of a split and its views replaces the one before."""
        return Findings(self.folder).save(evaluation)

    def lock(self) -> AbstractContextManager[None]:
        """Hold the folder; raises Refusal at once if another process trains in it."""
        return lock.hold(self.folder)

    def _refuse_if_other(self, environment: Mapping[str, Any]) -> None:
        before = self.environment
        if before["stores"] != environment["stores"]:
            raise Refusal(
                f"{self.folder} was trained on {before['stores']}, not on {environment['stores']}.",
                fix="Choose its stores with --store, or another folder with --runs.",
            )
        one, other = (facts.get("began_with") or {"run": "random weights"} for facts in (before, environment))
        if one["run"] != other["run"]:
            raise Refusal(
                f"{self.folder} began with {one['run']}, not with {other['run']}.",
                fix="Name the same run with --init-from, or another folder with --runs.",
            )

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
    """The run of a recipe on a data set with a seed, whether or not it exists yet."""
    return Run(runs / f"{recipe.name}-{recipe.digest}" / f"{dataset}-seed-{seed}")


def find_runs(runs: Path) -> list[Run]:
    """Every run below a folder that was not set aside, the one with the newest checkpoint first."""
    folders = [path.parent for path in runs.rglob("environment.json")]
    found = [Run(folder) for folder in folders if not folder.name.startswith(ASIDE)]
    return sorted(found, key=lambda run: (-_newest(run), str(run.folder)))


def open_run(path: Path) -> Run:
    """The run in a folder; a recipe folder with a single run in it will do. Raises Refusal if there is none."""
    candidates = [path] if (path / "environment.json").exists() else [p.parent for p in path.glob("*/environment.json")]
    if len(candidates) != 1:
        what = "holds several runs" if candidates else "is not a run"
        raise Refusal(
            f"{path} {what}.", fix="Name a folder such as runs/tiny-0a1b2c/ilsvrc2010-miniature-seed-0.",
            exit_code=Exit.MISSING_INPUT,
        )  # fmt: skip
    return Run(candidates[0])


def find_evaluations(runs: Path) -> list[Evaluation]:
    """Every evaluation saved below a folder of runs, by recipe, seed, split and views."""
    found = [evaluation for run in find_runs(runs) for evaluation in run.evaluations]
    return sorted(found, key=lambda e: (e.recipe, e.digest, e.dataset, e.seed, e.split, e.views))


def _newest(run: Run) -> float:
    times = [path.stat().st_mtime for path in [*run.checkpoints.glob("*"), run.folder / "environment.json"]]
    return max(times)


def _read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a file, without one that was cut off when it was written."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    return list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))


def _add(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not path.exists():
        writer.writerow(columns)
    writer.writerows(rows)
    append(path, text.getvalue())


def _keep(path: Path, columns: Sequence[str], *, last: int) -> None:
    """Keep the rows that begin with a number up to the last."""
    if path.exists():
        numbered = [(row.get(columns[0]) or "", row) for row in _read_rows(path)]
        kept = [row for number, row in numbered if number.isdecimal() and int(number) <= last]
        lines = [",".join(columns), *(",".join(row.get(column) or "" for column in columns) for row in kept)]
        write_text(path, "\n".join(lines) + "\n")
