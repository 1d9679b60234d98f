"""A training job: what to train, on which images, where and how; and what environment.json records of it."""

import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import torch

from alexrepro import __version__
from alexrepro.data.loading.sampling import batch_count
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.distributed.process_group import ProcessGroup
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.inference import check_compatible
from alexrepro.progress import say
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.checkpoint import CHECKPOINTS_KEPT
from alexrepro.runs.run import Run, run_of
from alexrepro.training.optimizer import OPTIMIZERS

FLOAT_BYTES = 4
BYTES_A_ROW = 64  # of metrics.csv; rows of long runs have about 50
GIT_SECONDS = 10.0


@dataclass(frozen=True)
class TrainingJob:
    """Everything that one training is given.

    store, validation: images to train and, where there are some, to validate on. runs: the folder of run folders.
    group: the processes that train together. source: the run that `training.init_from_stages` takes stages from, or
    that `training.continues` continues; only a new run needs it. log: extra loggers, besides metrics.csv.
    """

    recipe: Recipe
    _: KW_ONLY
    store: Store
    validation: Store | None
    runs: Path
    seed: int
    device: Device
    group: ProcessGroup = field(default_factory=ProcessGroup)
    source: Run | None = None
    log: tuple[str, ...] = ()

    @property
    def run(self) -> Run:
        """The run folder of this job, whether or not it exists yet."""
        return run_of(self.runs, self.recipe, dataset=self.store.manifest.dataset, seed=self.seed)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch; the last batch may be smaller."""
        return batch_count(self.images, self.recipe.training.batch)

    @property
    def images(self) -> int:
        """Training images that an epoch shows."""
        return max(1, round(len(self.store) * self.recipe.training.images_fraction))

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole training."""
        return self.recipe.training.epochs * self.steps_per_epoch

    def fitted(self) -> "TrainingJob":
        """The same job with as many classes as its store has. Raises UserError if the images do not fit the recipe."""
        for images in filter(None, (self.store, self.validation)):
            check_compatible(self.recipe, images)
        return replace(self, recipe=self.recipe.for_classes(len(self.store.manifest.classes)))

    def with_own_validation(self) -> "TrainingJob":
        """The same job with the validation store that its run began with, whatever else has appeared.

        A run that began without validation goes on without, unless its schedule needs one.
        Raises UserError if that schedule has lost its store, or if the ranks differ.
        """
        run, own, group = self.run, self.validation, self.group
        is_needed = self.recipe.training.schedule.needs_validation
        recorded = group.broadcast(run.validation_store if group.is_first else None)
        if recorded is None:
            own = own if is_needed else None
        elif own is None or own.path.name != recorded.name:
            own = _first_store(recorded, self.store.path.with_name(recorded.name))
        if own is not self.validation or (recorded and own is None):
            validates = f"keeps its own validation store {own.path}" if own else "goes on without validation"
            say(f"{run.folder} {validates}.")
        group.assert_same_everywhere({"the validation store": own.manifest.digest if own else "none"})
        if own is None and is_needed and recorded:
            gone = f"The validation store {recorded.name} of {run.folder} is gone"
            fix = "Bring that store back, or rename the folder of the run and train anew."
            what = f"{gone}; its learning rate follows the errors on it."
            raise group.abort(UserError(what, fix=fix, exit_code=Exit.MISSING_INPUT))
        if own is None and is_needed:
            say("No labeled validation images: the learning rate is never divided. Prepare some, or take as-run-2012.")
        return replace(self, validation=own)

    def check_disk_space(self) -> None:
        """Raise UserError unless the disk holds the checkpoints to keep, the next one, and the rows of metrics.csv.

        A full disk would otherwise end the training after days. Files that are there already count as space.
        """
        run = self.run
        bytes_each = FLOAT_BYTES + OPTIMIZERS[self.recipe.training.optimizer].bytes_per_parameter
        checkpoint_bytes = self.recipe.network.parameters * bytes_each
        needed = (CHECKPOINTS_KEPT + 1) * checkpoint_bytes + self.steps * BYTES_A_ROW
        for path in (*run.checkpoints.glob("step-*/*"), run.metrics_file):
            with suppress(FileNotFoundError):  # a run in progress removes old checkpoints
                needed -= path.stat().st_size
        existing = next(path for path in (run.folder, *run.folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(existing).free
        if needed > free:
            raise UserError(
                f"{run.folder} needs {needed / 1e6:,.0f} MB more for {CHECKPOINTS_KEPT} checkpoints, the next one and "
                f"its metrics; the disk has {free / 1e6:,.0f} MB free.",
                fix="Free some space, or choose another disk with --runs.",
                exit_code=Exit.IO_ERROR,
            )

    def shared_facts(self) -> dict[str, str]:
        """What must be the same on every rank."""
        return {
            "alexrepro": __version__,
            "torch": torch.__version__,
            "the recipe": f"{self.recipe.name} {self.recipe.digest}",
            "the seed": str(self.seed),
            "the store": self.store.manifest.digest,
        }

    def environment(self) -> dict[str, Any]:
        """What a new run is started with, for its environment.json."""
        stores = {"train": self.store, "validation": self.validation}
        return {
            "recipe": self.recipe.name,
            "digest": self.recipe.digest,
            "seed": self.seed,
            "dataset": self.store.manifest.dataset,
            "folders": {split: str(store.path.parent.absolute()) for split, store in stores.items() if store},
            "began_with": None,
            "steps_per_epoch": self.steps_per_epoch,
            "classes": list(self.store.manifest.classes),
            **self._start_facts(),
        }

    def this_start(self, step: int) -> dict[str, Any]:
        """What environment.json records of every start, here after a number of steps."""
        command = ["alexrepro", *sys.argv[1:]]
        return {"after_step": step, "command": command, "commit": commit(), **self._start_facts()}

    def _start_facts(self) -> dict[str, Any]:
        stores = {"train": self.store, "validation": self.validation}
        return {
            "alexrepro": __version__,
            "stores": {split: store.path.name if store else None for split, store in stores.items()},
            "machine": {**self.device.facts(), **self.group.facts()},
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def _first_store(*paths: Path) -> Store | None:
    """The first of these stores that can be opened."""
    for path in paths:
        with suppress(UserError):
            return Store.open(path)
    return None


@cache
def commit() -> str | None:
    """The git commit of this program, ending in -dirty if files were changed; None where it is not a checkout."""
    checkout = Path(__file__).parents[3]  # of src/alexrepro/training/job.py
    if not (checkout / ".git").exists():  # installed, maybe below a checkout of something else
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=GIT_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
