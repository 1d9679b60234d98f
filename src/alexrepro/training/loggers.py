"""Optional loggers besides metrics.csv, which stays the record: `--log tensorboard|wandb|mlflow`.

Each sends in the background by itself and keeps its servers and keys in its own environment variables and files. None
can end a training: one that fails is named once and then left out. A continued run goes on under the same id.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

from alexrepro.errors import Exit, UserError
from alexrepro.progress import say
from alexrepro.runs.run import Run

PROJECT = "alexrepro"  # of W&B, and MLflow's experiment, unless their own variables name another
MOST_CHARACTERS = 5_000  # that MLflow takes of one text
NO_CURVES = ("step", "epoch", "split", "crops", "images")  # columns that loggers do not show


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
    import mlflow

    mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT))
    known = mlflow.search_runs(filter_string=f"tags.alexrepro_id = '{_id(run)}'", max_results=1, output_format="list")
    if known:
        mlflow.start_run(known[0].info.run_id)
    else:
        tags = {f"environment.{key}": json.dumps(fact)[:MOST_CHARACTERS] for key, fact in run.environment.items()}
        mlflow.start_run(run_name=run.folder.parent.name, tags={**tags, "alexrepro_id": _id(run)})
        mlflow.log_params({path: str(value)[:MOST_CHARACTERS] for path, value in run.recipe.fields().items()})

    def close(is_complete: bool) -> None:
        mlflow.flush_async_logging()
        mlflow.end_run("FINISHED" if is_complete else "KILLED")

    return Logger(lambda step, values: mlflow.log_metrics(dict(values), step, synchronous=False), close)


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
            if opened := self._try(name, partial(LOGGERS[name], run, step)):
                self._loggers[name] = opened

    def log(self, title: str, row: Mapping[str, object], *, step: int) -> None:
        """Send the numbers in a row of metrics.csv or validation.csv to every logger, as <title>/<column>."""
        values = {f"{title}/{name}": float(str(value)) for name, value in row.items() if name not in NO_CURVES}
        for name, logger in list(self._loggers.items()):
            self._try(name, partial(logger.log, step, values))

    def __enter__(self) -> "Loggers":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for name, logger in list(self._loggers.items()):
            self._try(name, partial(logger.close, kind is None))

    def _try(self, name: str, call: Callable[[], Any]) -> Any:
        """What a call of a logger returns; if it fails, say so once and leave the logger out from now on."""
        try:
            return call()
        except Exception as error:  # whatever a package or a network raises
            self._loggers.pop(name, None)
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            say(f"--log {name} failed and is left out from now on: {reason}. metrics.csv has everything.")
            return None


def _id(run: Run) -> str:
    """The same for every start of a run, and another one for a run that is begun anew in its place."""
    started = f"{run.folder.parent.name}/{run.folder.name} {run.environment['started']}"
    return hashlib.sha256(started.encode()).hexdigest()[:16]
