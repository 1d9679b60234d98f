"""The file that the contest of 2012 takes: five class numbers for each photo of the test split, best first.

One line a photo in the order of the file names; the numbers are those of the devkit, from 1 on (its readme.txt).
"""

from collections.abc import Sequence
from pathlib import Path

from alexrepro.data.store.manifest import LEFT_OUT, Manifest
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.ensemble import open_runs
from alexrepro.evaluation.inference import answer_all
from alexrepro.files import write_text
from alexrepro.paper.results import Crops
from alexrepro.runs.predictions import Predictions
from alexrepro.runs.run import Run


def submit(
    runs: Sequence[Run],
    store: Store,
    file: Path,
    *,
    crops: Crops,
    device: Device,
    folder: Path,
    weights: Sequence[float] = (),
) -> int:
    """Write the answers of a run, or of the average of several, for a store with or without labels; returns the lines.

    The answers are saved as predictions, too; the arguments are those of `evaluate_runs`. Raises UserError before any
    work if the store cannot be submitted.
    """
    ids = check_submission(store.manifest)
    found = open_runs(runs, store, weights=weights, device=device, folder=folder)
    *_, (predictions, _) = answer_all(
        found.who, found.candidates, store, crops=crops, device=device, members=found.members
    )
    write_submission(predictions, ids, file)
    return len(predictions.names)


def check_submission(manifest: Manifest) -> tuple[int, ...]:
    """The devkit's number of each class, in the order of the labels.

    Raises UserError if the store does not know them, or if a photo was left out, whose line would be missing.
    """
    if manifest.ilsvrc_ids is None:
        raise UserError(
            f"The store of {manifest.full_name} does not know the devkit's class numbers, which a submission is made "
            "of; Kaggle's copy of the data leaves them out.",
            fix="Put the devkit (ILSVRC2012_devkit_t12.tar.gz) beside the photos and prepare them again.",
            exit_code=Exit.MISSING_INPUT,
        )
    left_out = [defect["path"] for defect in manifest.defects if defect["action"] == LEFT_OUT]
    if left_out:
        raise UserError(
            f"{len(left_out)} photos of {manifest.full_name} were left out, and every later line would be another's: "
            f"{left_out[0]}.",
            fix="Replace the unreadable photos and prepare them again.",
            exit_code=Exit.BAD_DATA,
        )
    return manifest.ilsvrc_ids


def write_submission(predictions: Predictions, ids: tuple[int, ...], file: Path) -> None:
    """Write one line of class numbers for each image, in the order of the file names.

    ids: the devkit's number of each class, in the order of the labels.
    """
    in_order = sorted(range(len(predictions.names)), key=lambda row: predictions.names[row])
    lines = (" ".join(str(ids[guess]) for guess in predictions.guesses[row]) for row in in_order)
    write_text(file, "".join(f"{line}\n" for line in lines))
