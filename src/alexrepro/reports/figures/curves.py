"""Curves of training: as tables, step by step or epoch by epoch; and a run at one moment, in words.

Runs may still be in progress: an unfinished last line is left out.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Literal

import numpy as np
import pandas as pd

from alexrepro.paper.results import FIGURE_1_TRAINING_ERROR
from alexrepro.runs import rows
from alexrepro.runs.rows import METRICS, VALIDATION
from alexrepro.runs.run import Run

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 50  # characters of a loss curve
RECENT = 100  # steps over which loss and speed are averaged
State = Literal["training", "stopped", "complete"]
OVER_AN_EPOCH = {
    **dict.fromkeys(("steps", "images", "loss", "training_error", "with_error"), "sum"),
    "learning_rate": "last",
}


def metrics(run: Run) -> pd.DataFrame:
    """One row per step, as in metrics.csv: all of it in memory, for reports that need every step."""
    return _joined(_parts(run.metrics_file), METRICS)


def validations(run: Run) -> pd.DataFrame:
    """One row per validated epoch, as in validation.csv."""
    return _joined(_parts(run.validation_file), VALIDATION)


def by_epoch(run: Run) -> pd.DataFrame:
    """One row per epoch, means taken over images.

    Columns: epoch, steps and images (so far), loss, learning_rate (the last), training_error (NaN unless every step has
    one), and of the validation top1_error, top5_error, validation_loss.
    """

    def sums(steps: pd.DataFrame) -> pd.DataFrame:
        return steps.groupby("epoch", as_index=False).agg(OVER_AN_EPOCH)

    parts = (
        part.assign(
            steps=1, loss=part["loss"] * part["images"], training_error=part["top1_error"] * part["images"],
            with_error=part["top1_error"].notna(),
        )
        for part in _parts(run.metrics_file)
    )  # fmt: skip
    epochs = sums(_joined(map(sums, parts), ["epoch", *OVER_AN_EPOCH]))
    has_errors = epochs.pop("with_error").sum() == epochs["steps"].sum()
    epochs["loss"] /= epochs["images"]
    epochs["training_error"] /= epochs["images"] if has_errors else float("nan")
    tested = validations(run)[["epoch", "top1_error", "top5_error", "loss"]]
    return epochs.merge(tested.rename(columns={"loss": "validation_loss"}), on="epoch", how="left")


@dataclass(frozen=True)
class Curve:
    """A run, its complete epochs, and the epoch at which its training error reaches that of Figure 1 (§3.1)."""

    run: Run
    epochs: pd.DataFrame
    crossing: float | None


def curves(runs: Iterable[Run]) -> list[Curve]:
    """The runs whose metrics hold the training error, by learning rate and seed."""

    def order(run: Run) -> tuple[float, int, str]:
        return run.recipe.training.learning_rate, run.environment["seed"], run.recipe.digest

    found = []
    for run in sorted(runs, key=order):
        epochs = by_epoch(run)
        complete = epochs.loc[epochs["steps"].eq(run.environment["steps_per_epoch"])]
        if complete["training_error"].notna().any():
            found.append(Curve(run, complete, crossing(complete)))
    return found


def crossing(epochs: pd.DataFrame) -> float | None:
    """The epoch at which the training error falls to that of Figure 1, interpolated linearly; None if it does not."""
    errors, numbers = epochs["training_error"].to_numpy(), epochs["epoch"].to_numpy()
    below = np.flatnonzero(errors <= FIGURE_1_TRAINING_ERROR)
    if not len(below):
        return None
    around = slice(max(0, below[0] - 1), below[0] + 1)  # that epoch and the one before
    return float(np.interp(FIGURE_1_TRAINING_ERROR, errors[around][::-1], numbers[around][::-1]))


@dataclass(frozen=True)
class Snapshot:
    """A run as its files show it now.

    lines: the folder; if it has begun, the loss curve, the progress, the loss and the last validation.
    """

    state: State
    lines: tuple[str, ...]


def snapshot(run: Run) -> Snapshot:
    """The run as it is now, finished or not."""
    recipe, is_training = run.recipe, run.is_training  # before the result, which is written first at the end
    state: State = "complete" if run.result is not None else "training" if is_training else "stopped"
    steps = recipe.training.epochs * run.environment["steps_per_epoch"]
    recent = run.newest_metrics(RECENT)
    if not recent:
        return Snapshot(state, (f"{run.folder}: no step yet",))
    step, speed = int(recent[0]["step"]), fmean(float(row["images_per_second"]) for row in recent)
    left = f"{duration((steps - step) * recipe.training.batch / speed if speed else None)} left"
    progress = (
        f"epoch {recent[0]['epoch']}/{recipe.training.epochs}",
        f"step {step:,}/{steps:,}",
        f"{speed:,.0f} images/s",
        left if state == "training" else state,
    )
    loss = fmean(float(row["loss"]) for row in recent)
    learning = f"loss {loss:.3f}, learning rate {float(recent[0]['learning_rate']):g}"
    validation = [
        f"{row['split']} after epoch {int(row['epoch'])}: top-1 error {100 * row['top1_error']:.1f} %, "
        f"top-5 error {100 * row['top5_error']:.1f} %"
        for _, row in validations(run).tail(1).iterrows()
    ]
    return Snapshot(state, (str(run.folder), _loss_curve(run), ", ".join(progress), learning, *validation))


def duration(seconds: float | None) -> str:
    """Seconds in words: `3 d 4 h`, `2 h 5 min`, `7 min`, `40 s`."""
    if seconds is None:
        return "unknown time"
    minutes, hours, days = (int(seconds / unit) for unit in (60, 3600, 86_400))
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"


def _loss_curve(run: Run) -> str:
    """The mean losses of equal parts of the run, one character each, scaled between the least and the greatest."""
    losses = _joined((part[["loss"]] for part in _parts(run.metrics_file)), ["loss"])["loss"]
    means = losses.groupby(np.arange(len(losses)) * min(WIDTH, len(losses)) // len(losses)).mean()
    low, high = means.min(), means.max()
    heights = (means - low) / (high - low) if high > low else 0 * means
    curve = "".join(BLOCKS[round(height * (len(BLOCKS) - 1))] for height in heights)
    return f"{curve}  loss {high:.3f} to {low:.3f}"


def _parts(path: Path) -> Iterator[pd.DataFrame]:
    """The rows of a file in parts that fit into memory however long the run is; no empty ones."""
    columns: list[str] | None = None
    for block in rows.blocks(path):
        part = pd.read_csv(io.BytesIO(block), names=columns, header=None if columns else 0)
        columns = list(part.columns)
        if len(part):
            yield part


def _joined(parts: Iterable[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    found = list(parts)
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(columns), dtype="float64")
