"""Where the errors are: by class, and which class is taken for which. Read from the predictions of a split."""

from functools import partial
from pathlib import Path

import pandas as pd

from alexrepro.files import write_whole
from alexrepro.runs.evaluation import Evaluation, Findings
from alexrepro.runs.predictions import Predictions, read_predictions

SHOWN = 10


def breakdown(predictions: Predictions) -> dict[str, pd.DataFrame]:
    """Two tables of a labeled split: `classes`, the worst first, and `confusions`, the most frequent first.

    classes: class, name, images, top1_wrong, top5_wrong, top1_error, top5_error (fractions), one row a class.
    confusions: class, name, taken_for, taken_for_name, images, one row for each wrong first guess that was made.
    """
    about = predictions.about
    images = pd.DataFrame({
        "label": predictions.labels, "guess": predictions.top5[:, 0],
        "top1_wrong": predictions.wrong(1), "top5_wrong": predictions.wrong(5),
    })  # fmt: skip
    by_class = images.groupby("label").agg(
        images=("guess", "size"), top1_wrong=("top1_wrong", "sum"), top5_wrong=("top5_wrong", "sum")
    )
    for top in ("top1", "top5"):
        by_class[f"{top}_error"] = by_class[f"{top}_wrong"] / by_class["images"]
    classes = by_class.sort_values(["top1_error", "top5_error"], ascending=False, kind="stable").reset_index()
    pairs = images[images["top1_wrong"]].groupby(["label", "guess"]).size().reset_index(name="images")
    confusions = pairs.sort_values("images", ascending=False, kind="stable", ignore_index=True)
    for table, column, at, names in (
        (classes, "label", 0, ("class", "name")),
        (confusions, "label", 0, ("class", "name")),
        (confusions, "guess", 2, ("taken_for", "taken_for_name")),
    ):
        numbers = table.pop(column)
        table.insert(at, names[0], [about.classes[number] for number in numbers])
        table.insert(at + 1, names[1], [about.class_names[number] for number in numbers])
    return {"classes": classes, "confusions": confusions}


def save_breakdown(evaluation: Evaluation) -> tuple[dict[str, pd.DataFrame], list[Path]]:
    """The breakdown of an evaluation, written beside it as two CSV files."""
    findings = Findings(Path(evaluation.run))
    found = breakdown(read_predictions(findings.predictions(evaluation.split, evaluation.crops)))
    paths = []
    for name, table in found.items():
        path = findings.breakdown(evaluation.split, evaluation.crops, name)
        write_whole(path, partial(table.to_csv, index=False, lineterminator="\n"))
        paths.append(path)
    return found, paths
