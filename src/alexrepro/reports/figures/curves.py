"""Curves of training: as tables, step by step or epoch by epoch; and a run at one moment, in words.

Runs may still be in progress: an unfinished last line is left out.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean

import numpy as np
import pandas as pd

from alexrepro.paper.results import FIGURE_1_TRAINING_ERROR
from alexrepro.runs import rows
from alexrepro.runs.rows import METRICS, VALIDATION
from alexrepro.runs.run import Run

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 50  # characters of a sparkline
RECENT = 100  # steps over which loss and speed are averaged
DAY, HOUR, MINUTE = 86_400, 3600, 60
SUMS = ("epoch", "steps", "images", "loss", "learning_rate", "training_error", "with_error")  # over an epoch


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
    epochs = _sums(_joined(map(_sums_of_steps, _parts(run.metrics_file)), SUMS))
    has_errors = epochs.pop("with_error").sum() == epochs["steps"].sum()
    epochs["loss"] /= epochs["images"]
    epochs["training_error"] /= epochs["images"] if has_errors else float("nan")
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
    recent = run.newest_metrics(RECENT)
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
    width = min(WIDTH, until)
    sums, counts = np.zeros(width), np.zeros(width)
    for part in _parts(run.metrics_file):
        steps = part[part["step"] <= until]  # the run may have continued meanwhile
        bins = (steps["step"] - 1) * width // until
        sums += np.bincount(bins, weights=steps["loss"], minlength=width)
        counts += np.bincount(bins, minlength=width)
    return tuple((sums[counts > 0] / counts[counts > 0]).tolist())


def _last_validation(run: Run) -> str:
    found = validations(run)
    if found.empty:
        return ""
    row = found.iloc[-1]
    errors = f"{100 * row['top1_error']:.1f} / {100 * row['top5_error']:.1f} %"
    return f"{row['split']} after epoch {int(row['epoch'])}: {errors}"


def _sums_of_steps(steps: pd.DataFrame) -> pd.DataFrame:
    """What the means of each epoch need, from some of its steps."""
    images, errors = steps["images"], steps["top1_error"]
    return _sums(
        pd.DataFrame({
            "epoch": steps["epoch"], "steps": 1, "images": images, "loss": steps["loss"] * images,
            "learning_rate": steps["learning_rate"], "training_error": errors * images, "with_error": errors.notna(),
        })
    )  # fmt: skip


def _sums(parts: pd.DataFrame) -> pd.DataFrame:
    """The parts of each epoch as one row."""
    columns = {name: "last" if name == "learning_rate" else "sum" for name in SUMS if name != "epoch"}
    return parts.groupby("epoch", as_index=False).agg(columns)


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
