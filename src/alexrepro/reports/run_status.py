"""A run at one moment, in words: progress, loss curve, speed, last validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean

import numpy as np

from alexrepro.reports.figures.curves import metrics, validations
from alexrepro.runs.run import Run

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 50  # characters of a sparkline
RECENT = 100  # steps over which loss and speed are averaged
DAY, HOUR, MINUTE = 86_400, 3600, 60


@dataclass(frozen=True)
class Snapshot:
    """A run as its files show it now; numbers are None before the first step.

    loss: mean of recent steps, nats. seconds_left: at the recent speed. losses: means, one per character of the curve.
    """

    folder: str
    is_complete: bool
    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float | None = None
    learning_rate: float | None = None
    images_per_second: float | None = None
    seconds_left: float | None = None
    losses: tuple[float, ...] = ()
    validation: str = ""

    def line(self) -> str:
        """Everything but the curve on one line."""
        if self.loss is None:
            return f"{self.folder}: no step yet"
        parts = [
            f"epoch {self.epoch}/{self.epochs}",
            f"step {self.step:,}/{self.steps:,}",
            f"loss {self.loss:.3f}",
            f"learning rate {self.learning_rate:g}",
            f"{self.images_per_second:,.0f} images/s",
            "complete" if self.is_complete else f"{duration(self.seconds_left)} left",
            self.validation,
        ]
        return ", ".join(filter(None, parts))

    def lines(self) -> list[str]:
        """The folder, the loss curve, and the line."""
        if not self.losses:
            return [self.line()]
        low, high = min(self.losses), max(self.losses)
        return [self.folder, f"{sparkline(self.losses)}  loss {high:.3f} to {low:.3f}", self.line()]


def snapshot(run: Run) -> Snapshot:
    """The run as it is now, finished or not."""
    recipe, environment = run.recipe, run.environment
    epochs, is_complete = recipe.training.epochs, run.result is not None
    steps = epochs * environment["updates_per_epoch"]
    recent = list(islice(run.newest_metrics, RECENT))
    if not recent:
        return Snapshot(str(run.folder), is_complete, 0, steps, 0, epochs)
    step, speed = int(recent[0]["step"]), fmean(float(row["images_per_second"]) for row in recent)
    return Snapshot(
        str(run.folder),
        is_complete,
        step,
        steps,
        int(recent[0]["epoch"]),
        epochs,
        loss=fmean(float(row["loss"]) for row in recent),
        learning_rate=float(recent[0]["learning_rate"]),
        images_per_second=speed,
        seconds_left=(steps - step) * recipe.training.batch / speed if speed else None,
        losses=_mean_losses(run, until=step),
        validation=_last_validation(run),
    )


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
