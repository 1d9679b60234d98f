"""Curves of training as tables: losses, rates and errors epoch by epoch, also while the run is going.

A file that is being written may end in half a line, which is left out.
"""

import io
from collections.abc import Iterator

import pandas as pd

from alexrepro.runs import rows
from alexrepro.runs.run import Run

BY_EPOCH = (
    "epoch",
    "updates",
    "images",
    "loss",
    "learning_rate",
    "training_error",
    "top1_error",
    "top5_error",
    "validation_loss",
)
ROWS_A_PART = 20_000


def metrics(run: Run) -> pd.DataFrame:
    """One row per update, as in metrics.csv."""
    parts = list(metrics_in_parts(run))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(rows.METRICS), dtype="float64")


def metrics_in_parts(run: Run) -> Iterator[pd.DataFrame]:
    """The same in parts that fit into memory however long the run is."""
    if content := rows.full_lines(run.metrics_file):
        yield from pd.read_csv(io.BytesIO(content), chunksize=ROWS_A_PART)


def validations(run: Run) -> pd.DataFrame:
    """One row per validated epoch, as in validation.csv."""
    content = rows.full_lines(run.validation_file)
    return pd.read_csv(io.BytesIO(content or (",".join(rows.VALIDATION) + "\n").encode()))


def by_epoch(run: Run) -> pd.DataFrame:
    """One row per epoch: mean training loss over its images, last learning_rate, and the validation's errors and loss.

    Columns: epoch, updates and images (so far), loss, learning_rate, training_error (where the run noted it),
    top1_error, top5_error, validation_loss.
    """
    parts = [_sums(updates) for updates in metrics_in_parts(run)]
    if not parts:
        return pd.DataFrame(columns=list(BY_EPOCH), dtype="float64")
    grouped = _grouped(pd.concat(parts))
    found = grouped[["epoch", "updates", "images"]].assign(
        loss=grouped["loss"] / grouped["images"], learning_rate=grouped["learning_rate"]
    )
    is_noted = grouped["noted"].sum() == grouped["updates"].sum()  # a sum leaves out what is missing
    found["training_error"] = grouped["training_error"] / grouped["images"] if is_noted else None
    tested = validations(run)[["epoch", "top1_error", "top5_error", "loss"]]
    return found.merge(tested.rename(columns={"loss": "validation_loss"}), on="epoch", how="left")


def _sums(updates: pd.DataFrame) -> pd.DataFrame:
    """What the means over images of each epoch need, and its last rate."""
    weights = updates["images"]
    errors = updates["top1_error"] if "top1_error" in updates else pd.Series(float("nan"), updates.index)
    sums = pd.DataFrame({
        "epoch": updates["epoch"], "updates": 1, "images": weights, "loss": updates["loss"] * weights,
        "learning_rate": updates["learning_rate"], "training_error": errors * weights, "noted": errors.notna(),
    })  # fmt: skip
    return _grouped(sums)


def _grouped(sums: pd.DataFrame) -> pd.DataFrame:
    """The rows of each epoch as one."""
    return sums.groupby("epoch", as_index=False).agg(
        {n: "last" if n == "learning_rate" else "sum" for n in sums if n != "epoch"}
    )
