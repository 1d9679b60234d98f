"""Curves of training as tables: losses, rates and errors epoch by epoch, also while the run is going.

A file that is being written may end in half a line, which is left out.
"""

import io
from pathlib import Path

import pandas as pd

from alexrepro.engine.run import METRICS, VALIDATION, Run


def metrics(run: Run) -> pd.DataFrame:
    """One row per update, as in metrics.csv."""
    return _whole_lines(run.metrics_file, METRICS)


def validations(run: Run) -> pd.DataFrame:
    """One row per validated epoch, as in validation.csv."""
    return _whole_lines(run.validation_file, VALIDATION)


def by_epoch(run: Run) -> pd.DataFrame:
    """One row per epoch: mean training loss over its images, last rate, and the validation's errors and loss.

    Columns: epoch, updates and images (so far), loss, rate, training_error (where the run noted it), top1_error,
    top5_error, validation_loss.
    """
    updates = metrics(run)
    weights = updates["images"]
    sums = pd.DataFrame({"epoch": updates["epoch"], "updates": 1, "images": weights, "loss": updates["loss"] * weights})
    if "top1_error" in updates and updates["top1_error"].notna().all():
        sums["training_error"] = updates["top1_error"] * weights
    grouped = sums.groupby("epoch", as_index=False).sum()
    found = grouped[["epoch", "updates", "images"]].assign(loss=grouped["loss"] / grouped["images"])
    found["rate"] = updates.groupby("epoch")["rate"].last().to_numpy()
    found["training_error"] = grouped["training_error"] / grouped["images"] if "training_error" in grouped else None
    tested = validations(run)[["epoch", "top1_error", "top5_error", "loss"]]
    return found.merge(tested.rename(columns={"loss": "validation_loss"}), on="epoch", how="left")


def _whole_lines(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    if not whole:
        return pd.DataFrame(columns=list(columns), dtype="float64")
    return pd.read_csv(io.BytesIO(whole))
