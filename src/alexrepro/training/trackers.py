"""Where the numbers of a run can go besides metrics.csv: TensorBoard, Weights & Biases, MLflow.

Each is an extra of this package, imported when it begins and not before. Each keeps its own settings, such as servers
and keys, where it always does: in its environment variables and files.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from alexrepro.runs.run import Run

PROJECT = "alexrepro"  # of W&B, and MLflow's experiment, unless their own variables name another
FOLDER = "tensorboard"  # below the run's
MOST_PARAMS, MOST_METRICS, MOST_CHARACTERS = 100, 1_000, 5_000  # that MLflow takes at once, and of one text

Rows = Sequence[tuple[int, Mapping[str, float]]]  # updates made, and numbers by name


class Tracker(Protocol):
    """What one of them is told, in this order; it raises what it likes when it cannot listen."""

    def begin(self, run: Run, known: str | None) -> str:
        """Begin with the recipe and the environment of a run, or go on under a known id; returns the id."""

    def scalars(self, rows: Rows) -> None:
        """Take numbers in."""

    def end(self, *, is_complete: bool) -> None:
        """Write what waits and let go; a run that is not complete may go on later."""


class TensorBoard:
    """Event files in the run folder, for `tensorboard --logdir runs`."""

    def begin(self, run: Run, known: str | None) -> str:
        """Write another event file into the folder."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(run.folder / FOLDER))
        if known is None:
            facts = json.dumps(run.environment, indent=2, ensure_ascii=False)
            for name, text in (("recipe", run.recipe.to_toml()), ("environment", facts)):
                self._writer.add_text(name, "\n".join(f"    {line}" for line in text.splitlines()))  # as code
        return FOLDER

    def scalars(self, rows: Rows) -> None:
        """Write the numbers out at once, so that a kill loses none."""
        for step, values in rows:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def end(self, *, is_complete: bool) -> None:  # noqa: ARG002 -- event files do not say
        """Close the event file."""
        self._writer.close()


class WeightsAndBiases:
    """A run of Weights & Biases; its own files lie in the run folder, so that an offline run can be sent later."""

    def begin(self, run: Run, known: str | None) -> str:
        """Begin a run, or resume the one of this id."""
        import wandb

        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT), name=_name(run), id=known, resume="allow",
            dir=str(run.folder), config={**run.recipe.fields(), "environment": run.environment},
        )  # fmt: skip
        # A step of its own, since W&B drops what is not beyond the last step that it has seen.
        self._run.define_metric("update")
        self._run.define_metric("*", step_metric="update")
        return str(self._run.id)

    def scalars(self, rows: Rows) -> None:
        """Hand the numbers to W&B's own process."""
        for step, values in rows:
            self._run.log({"update": step, **values})

    def end(self, *, is_complete: bool) -> None:
        """Finish; W&B calls a run that is not complete failed, until it is resumed."""
        self._run.finish(exit_code=0 if is_complete else 1)


class MLflow:
    """A run of MLflow, where MLFLOW_TRACKING_URI says or else where MLflow puts it."""

    def begin(self, run: Run, known: str | None) -> str:
        """Create a run in the experiment, or reopen the one of this id."""
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._client: Any = MlflowClient()
        if known is not None:
            self._client.update_run(known, status="RUNNING")
            self._id = known
            return known
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._client.create_experiment(name)
        tags = {f"environment.{name}": json.dumps(fact)[:MOST_CHARACTERS] for name, fact in run.environment.items()}
        self._id = str(self._client.create_run(experiment, run_name=_name(run), tags=tags).info.run_id)
        fields = [Param(path, str(value)[:MOST_CHARACTERS]) for path, value in run.recipe.fields().items()]
        for some in _parts(fields, MOST_PARAMS):
            self._client.log_batch(self._id, params=some)
        return self._id

    def scalars(self, rows: Rows) -> None:
        """Send the numbers together."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        found = [Metric(name, value, now, step) for step, values in rows for name, value in values.items()]
        for some in _parts(found, MOST_METRICS):
            self._client.log_batch(self._id, metrics=some)

    def end(self, *, is_complete: bool) -> None:
        """Set the state of the run."""
        self._client.set_terminated(self._id, "FINISHED" if is_complete else "KILLED")


def _name(run: Run) -> str:
    return f"{run.folder.parent.name}/{run.folder.name}"


def _parts(items: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    for first in range(0, len(items), most):
        yield items[first : first + most]
