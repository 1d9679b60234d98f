"""Optional loggers besides metrics.csv, which stays the record: `--log tensorboard|wandb|mlflow`.

Each sends in the background by itself and keeps its servers and keys in its own environment variables and files. None
can end a training: one that fails is named once and then left out. A continued run goes on under the same id.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

from alexrepro.errors import Exit, UserError
from alexrepro.progress import say
from alexrepro.runs.run import Run

PROJECT = "alexrepro"  # of W&B, and MLflow's experiment, unless their own variables name another
MOST_PARAMS, MOST_CHARACTERS = 100, 5_000  # that MLflow takes at once, and of one text


class Logger(NamedTuple):
    """How to send the numbers of a step by their names, and how to close; `close` takes whether the run is complete."""

    log: Callable[[int, Mapping[str, float]], object]
    close: Callable[[bool], object]


def _tensorboard(run: Run, step: int) -> Logger:
    from torch.utils.tensorboard import SummaryWriter

    writer: Any = SummaryWriter(str(run.tensorboard), purge_step=step + 1 if step else None)
    environment = json.dumps(run.environment, indent=2, ensure_ascii=False)
    for name, text in (("recipe", run.recipe.to_toml()), ("environment", environment)):
        writer.add_text(name, f"```\n{text}\n```", step)

    def log(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    return Logger(log, lambda _: writer.close())


def _wandb(run: Run, _step: int) -> Logger:
    import wandb

    project, name = os.environ.get("WANDB_PROJECT", PROJECT), f"{run.folder.parent.name}/{run.folder.name}"
    config = {**run.recipe.fields(), "environment": run.environment}
    opened: Any = wandb.init(project=project, name=name, id=_id(run), resume="allow", dir=run.folder, config=config)
    return Logger(  # W&B drops steps that it has seen
        lambda step, values: opened.log(dict(values), step=step),
        lambda is_complete: opened.finish(int(not is_complete)),
    )


def _mlflow(run: Run, _step: int) -> Logger:
    from mlflow import MlflowClient, flush_async_logging
    from mlflow.entities import Metric, Param

    client, name = MlflowClient(), os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
    experiment = client.get_experiment_by_name(name)
    number = experiment.experiment_id if experiment else client.create_experiment(name)
    if known := client.search_runs([number], f"tags.alexrepro_id = '{_id(run)}'", max_results=1):
        opened = known[0].info.run_id
        client.update_run(opened, status="RUNNING")
    else:
        tags = {f"environment.{key}": json.dumps(fact)[:MOST_CHARACTERS] for key, fact in run.environment.items()}
        tags["alexrepro_id"] = _id(run)
        opened = client.create_run(number, run_name=run.folder.parent.name, tags=tags).info.run_id
        fields = [Param(path, str(value)[:MOST_CHARACTERS]) for path, value in run.recipe.fields().items()]
        for first in range(0, len(fields), MOST_PARAMS):
            client.log_batch(opened, params=fields[first : first + MOST_PARAMS])

    def log(step: int, values: Mapping[str, float]) -> None:
        metrics = [Metric(name, value, int(1000 * time.time()), step) for name, value in values.items()]
        client.log_batch(opened, metrics=metrics, synchronous=False)

    def close(is_complete: bool) -> None:
        flush_async_logging()
        client.set_terminated(opened, "FINISHED" if is_complete else "KILLED")

    return Logger(log, close)


LOGGERS: dict[str, Callable[[Run, int], Logger]] = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}


def check_loggers(names: Sequence[str]) -> None:
    """Raise UserError if there is no such logger, or if its package is not installed; imports none."""
    for name in names:
        if name not in LOGGERS:
            raise UserError(f"There is no logger {name}.", fix=f"Name {', '.join(LOGGERS)}.", exit_code=Exit.USAGE)
        spec = find_spec(name)
        if spec is None or spec.origin is None:  # a folder of that name, such as W&B leaves, is no package
            raise UserError(
                f"--log {name} needs a package that is not installed.",
                fix=f'Install it with: pip install "alexrepro[{name}]".',
                exit_code=Exit.MISSING_INPUT,
            )


class Loggers:
    """The loggers of a run, which are closed at the end of a context."""

    def __init__(self, run: Run, names: Sequence[str] = (), *, step: int = 0) -> None:
        self._loggers: dict[str, Logger] = {}
        for name in dict.fromkeys(names):
            self._try(name, partial(self._start, name, run, step))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Send numbers by their names to every logger."""
        for name, logger in list(self._loggers.items()):
            self._try(name, partial(logger.log, step, values))

    def __enter__(self) -> "Loggers":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for name, logger in list(self._loggers.items()):
            self._try(name, partial(logger.close, kind is None))

    def _start(self, name: str, run: Run, step: int) -> None:
        self._loggers[name] = LOGGERS[name](run, step)

    def _try(self, name: str, call: Callable[[], object]) -> None:
        """Call a logger; if it fails, say so once and leave it out from now on."""
        try:
            call()
        except Exception as error:  # whatever a package or a network raises
            self._loggers.pop(name, None)
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            say(f"--log {name} failed and is left out from now on: {reason}. metrics.csv has everything.")


def _id(run: Run) -> str:
    """The same for every start of a run, and another one for a run that is begun anew in its place."""
    started = f"{run.folder.parent.name}/{run.folder.name} {run.environment['started']}"
    return hashlib.sha256(started.encode()).hexdigest()[:16]
