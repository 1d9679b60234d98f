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
