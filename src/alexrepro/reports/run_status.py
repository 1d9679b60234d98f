"""A run at one moment, in words: how far it is, its loss as a line of blocks, its pace, its last validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean

import numpy as np

from alexrepro.reports.figures.curves import metrics_in_parts, validations
from alexrepro.runs.run import Run

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 50  # characters of a line of blocks
RECENT = 100  # updates over which loss and pace are averaged


@dataclass(frozen=True)
class Snapshot:
    """What the files of a run say now; numbers are None before the first update.

    loss: mean of recent updates, nats. seconds_left: at the recent pace. losses: one mean per character of the line.
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
            return f"{self.folder}: no update yet"
        parts = [
            f"epoch {self.epoch}/{self.epochs}",
            f"update {self.step:,}/{self.steps:,}",
            f"loss {self.loss:.3f}",
            f"rate {self.learning_rate:g}",
            f"{self.images_per_second:,.0f} images/s",
            "complete" if self.is_complete else f"{duration(self.seconds_left)} left",
            self.validation,
        ]
        return ", ".join(filter(None, parts))

    def lines(self) -> list[str]:
        """The run, its curve of the loss, and the line."""
        if not self.losses:
            return [self.line()]
        low, high = min(self.losses), max(self.losses)
        return [self.folder, f"{sparkline(self.losses)}  loss {high:.3f} to {low:.3f}", self.line()]


def snapshot(run: Run) -> Snapshot:
    """The run as it is now, finished or not."""
    recipe, environment = run.recipe, run.environment
    epochs, is_complete = recipe.training.epochs, run.result is not None
    steps = epochs * environment["steps_per_epoch"]
    recent = list(islice(run.newest_metrics, RECENT))
    if not recent:
        return Snapshot(str(run.folder), is_complete, 0, steps, 0, epochs)
    step, pace = int(recent[0]["step"]), fmean(float(row["images_per_second"]) for row in recent)
    return Snapshot(
        str(run.folder),
        is_complete,
        step,
        steps,
        int(recent[0]["epoch"]),
        epochs,
        loss=fmean(float(row["loss"]) for row in recent),
        learning_rate=float(recent[0]["learning_rate"]),
        images_per_second=pace,
        seconds_left=(steps - step) * recipe.training.batch / pace if pace else None,
        losses=_mean_losses(run, until=step),
        validation=_last_validation(run),
    )


def _mean_losses(run: Run, *, until: int) -> tuple[float, ...]:
    """Mean losses of equal parts of the run up to a step, as many as the line of blocks has characters."""
    width = min(WIDTH, until)
    sums, counts = np.zeros(width), np.zeros(width)
    for part in metrics_in_parts(run):
        updates = part[part["step"] <= until]  # the run may have gone on meanwhile
        places = (updates["step"].to_numpy() - 1) * width // until
        sums += np.bincount(places, weights=updates["loss"], minlength=width)
        counts += np.bincount(places, minlength=width)
    return tuple((sums[counts > 0] / counts[counts > 0]).tolist())


def sparkline(values: Sequence[float]) -> str:
    """One block per value, as high as it lies between the least and the greatest."""
    low, high = min(values), max(values)
    places = [(value - low) / (high - low) if high > low else 0.0 for value in values]
    return "".join(BLOCKS[round(place * (len(BLOCKS) - 1))] for place in places)


def duration(seconds: float | None) -> str:
    """Seconds for people: `3 d 4 h`, `2 h 5 min`, `7 min`, `40 s`."""
    if seconds is None:
        return "unknown time"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86_400)
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"


def _last_validation(run: Run) -> str:
    found = validations(run)
    if found.empty:
        return ""
    row = found.iloc[-1]
    errors = f"{100 * row['top1_error']:.1f} / {100 * row['top5_error']:.1f} %"
    return f"{row['split']} after epoch {int(row['epoch'])}: {errors}"
