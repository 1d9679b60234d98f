"""Curves of training as tables: losses, learning rates and errors, step by step or epoch by epoch.

Runs may still be in progress: an unfinished last line is left out.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from alexrepro.paper.pictures import FIGURE_1_TRAINING_ERROR
from alexrepro.runs import rows
from alexrepro.runs.rows import METRICS, VALIDATION
from alexrepro.runs.run import Run


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


def _rows(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    found = rows.full_lines(path)
    if found.count(b"\n") < 2:  # no file, or only the names of its columns
        return pd.DataFrame(columns=list(columns), dtype="float64")
    return pd.read_csv(io.BytesIO(found))
