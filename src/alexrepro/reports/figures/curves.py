"""Curves of training: as tables, step by step or epoch by epoch; and a run at one moment, in words.

Runs may still be in progress: an unfinished last line is left out.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from statistics import fmean

import numpy as np
import pandas as pd

from alexrepro.paper.pictures import FIGURE_1_TRAINING_ERROR
from alexrepro.runs import rows
from alexrepro.runs.rows import METRICS, VALIDATION
from alexrepro.runs.run import Run

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 50  # characters of a sparkline
RECENT = 100  # steps over which loss and speed are averaged
DAY, HOUR, MINUTE = 86_400, 3600, 60


def metrics(run: Run) -> pd.DataFrame:
    """One row per step, as in metrics.csv."""
    return _rows(run.metrics_file, METRICS)


def validations(run: Run) -> pd.DataFrame:
    """One row per validated epoch, as in validation.csv."""
    return _rows(run.validation_file, VALIDATION)


def by_epoch(run: Run) -> pd.DataFrame:
    """One row per epoch, means taken over images.

    Columns: epoch, steps and images (so far), loss, learning_rate (the last), training_error (NaN unless every step has
    one), and of the validation top1_error, top5_error, validation_loss.
    """
    steps = metrics(run)
    weighted = {name: steps[name] * steps["images"] for name in ("loss", "top1_error")}
    epochs = steps.assign(steps=1, **weighted).groupby("epoch", as_index=False).agg(
        steps=("steps", "sum"), images=("images", "sum"), loss=("loss", "sum"),
        learning_rate=("learning_rate", "last"), training_error=("top1_error", "sum"),
    )  # fmt: skip
    epochs["loss"] /= epochs["images"]
    epochs["training_error"] /= epochs["images"] if steps["top1_error"].notna().all() else float("nan")
    tested = validations(run)[["epoch", "top1_error", "top5_error", "loss"]]
    return epochs.merge(tested.rename(columns={"loss": "validation_loss"}), on="epoch", how="left")


@dataclass(frozen=True)
class Curve:
    """A run and its complete epochs, for Figure 1 (§3.1)."""

    run: Run
    epochs: pd.DataFrame

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return int(self.run.environment["seed"])

    @cached_property
    def crossing(self) -> float | None:
        """The epoch at which the training error reaches that of Figure 1, if it does."""
        return crossing(self.epochs)


def curves(runs: Iterable[Run]) -> list[Curve]:
    """The runs whose metrics hold the training error, by recipe and seed."""
    found = []
    for run in runs:
        epochs = by_epoch(run)
        complete = epochs.loc[epochs["steps"].eq(run.environment["steps_per_epoch"])]
        if complete["training_error"].notna().any():
            found.append(Curve(run, complete))
    return sorted(found, key=lambda one: (one.run.recipe.training.learning_rate, one.seed, one.run.recipe.digest))


def crossing(epochs: pd.DataFrame) -> float | None:
    """The epoch at which the training error falls to that of Figure 1, interpolated linearly; None if it does not."""
    points = list(zip(epochs["epoch"], epochs["training_error"], strict=True))
    before = None
    for epoch, error in points:
        if error <= FIGURE_1_TRAINING_ERROR:
            if before is None:
                return float(epoch)
            fraction = (before[1] - FIGURE_1_TRAINING_ERROR) / (before[1] - error)
            return float(before[0] + fraction * (epoch - before[0]))
        before = epoch, error
    return None


def times_sooner(ones: Sequence[Curve], others: Sequence[Curve]) -> list[float]:
    """By which factor the first reach that error sooner, for each seed with which both do."""
    first = {curve.seed: curve.crossing for curve in ones}
    pairs = [(first.get(curve.seed), curve.crossing) for curve in others]
    return [late / soon for soon, late in pairs if soon and late]


@dataclass(frozen=True)
class Snapshot:
    """A run as its files show it now. line: progress on one line; losses: means, one per character of the curve."""

    folder: str
    is_complete: bool
    line: str
    losses: tuple[float, ...] = ()

    def lines(self) -> list[str]:
        """The folder, the loss curve, and the line."""
        if not self.losses:
            return [self.line]
        low, high = min(self.losses), max(self.losses)
        return [self.folder, f"{sparkline(self.losses)}  loss {high:.3f} to {low:.3f}", self.line]


def snapshot(run: Run) -> Snapshot:
    """The run as it is now, finished or not."""
    recipe, is_complete = run.recipe, run.result is not None
    steps = recipe.training.epochs * run.environment["steps_per_epoch"]
    recent = list(islice(run.newest_metrics, RECENT))
    if not recent:
        return Snapshot(str(run.folder), is_complete, f"{run.folder}: no step yet")
    step, speed = int(recent[0]["step"]), fmean(float(row["images_per_second"]) for row in recent)
    seconds_left = (steps - step) * recipe.training.batch / speed if speed else None
    parts = [
        f"epoch {recent[0]['epoch']}/{recipe.training.epochs}",
        f"step {step:,}/{steps:,}",
        f"loss {fmean(float(row['loss']) for row in recent):.3f}",
        f"learning rate {float(recent[0]['learning_rate']):g}",
        f"{speed:,.0f} images/s",
        "complete" if is_complete else f"{duration(seconds_left)} left",
        _last_validation(run),
    ]
    return Snapshot(str(run.folder), is_complete, ", ".join(filter(None, parts)), _mean_losses(run, until=step))


def sparkline(values: Sequence[float]) -> str:
    """One block per value, scaled between the least and the greatest."""
    low, high = min(values), max(values)
    heights = [(value - low) / (high - low) if high > low else 0.0 for value in values]
    return "".join(BLOCKS[round(height * (len(BLOCKS) - 1))] for height in heights)


def duration(seconds: float | None) -> str:
    """Seconds in words: `3 d 4 h`, `2 h 5 min`, `7 min`, `40 s`."""
    if seconds is None:
        return "unknown time"
    if seconds >= DAY:
        return f"{int(seconds // DAY)} d {int(seconds % DAY // HOUR)} h"
    if seconds >= HOUR:
        return f"{int(seconds // HOUR)} h {int(seconds % HOUR // MINUTE)} min"
    return f"{int(seconds // MINUTE)} min" if seconds >= MINUTE else f"{int(seconds)} s"


def _mean_losses(run: Run, *, until: int) -> tuple[float, ...]:
    """Mean losses of equal parts of the run up to a step, one for each character of the sparkline."""
    steps = metrics(run)
    steps = steps[steps["step"] <= until]  # the run may have continued meanwhile
    parts = (steps["step"] - 1) * min(WIDTH, until) // until
    return tuple(np.asarray(steps["loss"].groupby(parts).mean(), dtype=float).tolist())


def _last_validation(run: Run) -> str:
    found = validations(run)
    if found.empty:
        return ""
    row = found.iloc[-1]
    errors = f"{100 * row['top1_error']:.1f} / {100 * row['top5_error']:.1f} %"
    return f"{row['split']} after epoch {int(row['epoch'])}: {errors}"


def _rows(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    found = rows.full_lines(path)
    if found.count(b"\n") < 2:  # no file, or only the names of its columns
        return pd.DataFrame(columns=list(columns), dtype="float64")
    return pd.read_csv(io.BytesIO(found))
