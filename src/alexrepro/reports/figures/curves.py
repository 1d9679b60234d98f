"""Curves of training: as tables, step by step or epoch by epoch; and a run at one moment, in words.

Runs may still be in progress: an unfinished last line is left out.
"""

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import pandas as pd

from alexrepro.paper.results import FIGURE_1_TRAINING_ERROR
from alexrepro.progress import counted, duration
from alexrepro.runs import rows
from alexrepro.runs.rows import METRICS
from alexrepro.runs.run import Run

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH = 50  # characters of a loss curve
RECENT = 100  # steps over which loss and speed are averaged
OVER_AN_EPOCH = {
    **dict.fromkeys(("steps", "images", "loss", "training_error", "with_error"), "sum"),
    "learning_rate": "last",
}


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
        for part in rows.parts(run.metrics_file, METRICS)
    )  # fmt: skip
    epochs = sums(_joined(map(sums, parts), ["epoch", *OVER_AN_EPOCH]))
    has_errors = epochs.pop("with_error").sum() == epochs["steps"].sum()
    epochs["loss"] /= epochs["images"]
    epochs["training_error"] /= epochs["images"] if has_errors else float("nan")
    tested = run.validations[["epoch", "top1_error", "top5_error", "loss"]]
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


def trained(run: Run, step: int) -> str:
    """A run and how far it was trained: `tiny on cifar10, seed 0, after step 10 of 900 (epoch 1 of 13)`."""
    epochs, per_epoch = run.recipe.training.epochs, run.environment["steps_per_epoch"]
    progress = f"step {step:,} of {epochs * per_epoch:,} (epoch {ceil(step / per_epoch)} of {epochs})"
    if step >= epochs * per_epoch:
        progress = f"all {epochs} epochs" if epochs > 1 else "its one epoch"
    return f"{run.recipe.name} on {run.environment['dataset']}, seed {run.environment['seed']}, after {progress}"


def grouped(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Runs that differ in the seed only, by what a legend calls them: the recipe, and what else tells them apart."""
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        recipe, epochs = run.recipe, run.recipe.training.epochs
        detail = f"{counted(epochs, 'epoch')}, {recipe.digest}"
        groups.setdefault((recipe.name, run.environment["dataset"], detail), []).append(run)
    names, datasets = Counter(kind[:2] for kind in groups), {dataset for _, dataset, _ in groups}
    found = {}
    for (name, dataset, detail), seeds in groups.items():
        parts = [name, dataset if len(datasets) > 1 else "", detail if names[name, dataset] > 1 else ""]
        found[", ".join([*filter(None, parts), *([f"{len(seeds)} seeds"] if len(seeds) > 1 else [])])] = seeds
    return found


@dataclass(frozen=True)
class Snapshot:
    """A run as its files show it now.

    has_ended: whether it is complete, or no process trains it. lines: the folder; if it has begun, the loss curve, the
    progress, the loss and the last validation; and of a run that stopped, why if that is known, and how to go on.
    """

    has_ended: bool
    lines: tuple[str, ...]


def snapshot(run: Run) -> Snapshot:
    """The run as it is now, finished or not."""
    has_ended = not run.is_training  # asked first: a run is complete before its process ends
    is_complete = run.result is not None
    has_ended = has_ended or is_complete
    recent = run.newest_metrics(RECENT)
    lines = [str(run.folder), _loss_curve(run), *_progress(run, recent, has_ended=has_ended)] if len(recent) else []
    if has_ended and not is_complete:
        command = (run.environment.get("starts") or [{}])[-1].get("command", ("alexrepro", "train"))
        lines.append(f"Stopped{f': {run.failure}' if run.failure else ''}. Go on with: {shlex.join(command)}")
    return Snapshot(has_ended, tuple(lines if len(recent) else [f"{run.folder}: no step yet", *lines]))


def _progress(run: Run, recent: pd.DataFrame, *, has_ended: bool) -> list[str]:
    """Epoch, step, speed and time left; loss and learning rate; the last validation. recent: the newest steps."""
    training, newest = run.recipe.training, recent.iloc[-1]
    steps, step = training.epochs * run.environment["steps_per_epoch"], int(newest["step"])
    speed = recent["images_per_second"].mean()
    time_left = duration((steps - step) * training.batch / speed if speed else None)
    state = f"{time_left} left" if not has_ended else "complete" if run.result is not None else "stopped"
    return [
        f"epoch {newest['epoch']:.0f}/{training.epochs}, step {step:,}/{steps:,}, {speed:,.0f} images/s, {state}",
        f"loss {recent['loss'].mean():.3f}, learning rate {newest['learning_rate']:g}",
        *(
            f"{row['split']} after epoch {int(row['epoch'])}: top-1 error {100 * row['top1_error']:.1f} %, "
            f"top-5 error {100 * row['top5_error']:.1f} %"
            for _, row in run.validations.tail(1).iterrows()
        ),
    ]


def _loss_curve(run: Run) -> str:
    """The mean losses of equal parts of the run, one character each, scaled between the least and the greatest."""
    losses = _joined((part[["loss"]] for part in rows.parts(run.metrics_file, METRICS)), ["loss"])["loss"]
    means = losses.groupby(np.arange(len(losses)) * min(WIDTH, len(losses)) // len(losses)).mean()
    low, high = means.min(), means.max()
    heights = (means - low) / (high - low) if high > low else 0 * means
    curve = "".join(BLOCKS[round(height * (len(BLOCKS) - 1))] for height in heights)
    return f"{curve}  loss {high:.3f} to {low:.3f}"


def _joined(parts: Iterable[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    found = list(parts)
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(columns), dtype="float64")
