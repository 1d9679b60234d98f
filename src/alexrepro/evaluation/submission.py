"""Submission files of the ILSVRC challenge: writing one for the test split of 2012, scoring one for 2010 (eval_flat.m).

One line an image in the order of the file names: up to five class numbers, the best first. The numbers are the
devkit's, from 1 on (its readme.txt). N images, G = 5.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexrepro.data.sources.official_files import Year, class_table, truth, truth_file
from alexrepro.data.store.manifest import LEFT_OUT, Manifest
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.evaluate import OpenedRuns, predict_split
from alexrepro.files import reading, write_text
from alexrepro.runs.evaluation import TOP
from alexrepro.runs.predictions import Predictions

YEAR: Year = "2010"  # the only year whose ground truth of the test split was published
SPLITS = ("val", "test")
SHOWN = 20  # characters of a line that is wrong
DIGITS = re.compile(r"\d{1,5}")


@dataclass(frozen=True)
class FlatErrors:
    """The errors of a submission if the first 1, 2, ... 5 classes of each image count, as fractions of the images."""

    split: str
    images: int
    errors: tuple[float, ...]


def submit(opened: OpenedRuns, file: Path) -> int:
    """Write the submission of a run or of an ensemble for a store, labeled or not; returns the number of lines.

    The predictions are saved, too. Raises UserError, before inference, if the store cannot be submitted.
    """
    ids = check_submission(opened.job.store.manifest)
    *_, (predictions, _) = predict_split(opened)
    write_submission(predictions, ids, file)
    return len(predictions.names)


def check_submission(manifest: Manifest) -> tuple[int, ...]:
    """The devkit's number of each class, in the order of the labels.

    Raises UserError if the store does not have them, or if an image was left out, whose line would be missing.
    """
    if manifest.ilsvrc_ids is None:
        raise UserError(
            f"The store of {manifest.full_name} lacks the devkit's class numbers, which a submission consists of; "
            "Kaggle's copy of the data does not include them.",
            fix="Put the devkit (ILSVRC2012_devkit_t12.tar.gz) next to the images and prepare them again.",
            exit_code=Exit.MISSING_INPUT,
        )
    left_out = [defect["path"] for defect in manifest.defects if defect["action"] == LEFT_OUT]
    if left_out:
        raise UserError(
            f"{len(left_out)} images of {manifest.full_name} were left out, so every later line would belong to "
            f"another image: {left_out[0]}.",
            fix="Replace the unreadable images and prepare them again.",
            exit_code=Exit.BAD_DATA,
        )
    return manifest.ilsvrc_ids


def write_submission(predictions: Predictions, ids: tuple[int, ...], file: Path) -> None:
    """Write one line of class numbers for each image; ids: the devkit's number of each class, by label."""
    names = predictions.names.to_pylist()
    in_order = sorted(range(len(names)), key=names.__getitem__)
    lines = (" ".join(str(ids[label]) for label in predictions.top5[row]) for row in in_order)
    write_text(file, "".join(f"{line}\n" for line in lines))


def score_submission(file: Path, devkit: Path) -> FlatErrors:
    """The errors of a submission to ILSVRC-2010, on the split that has as many images as the file has lines.

    devkit: a folder with meta.mat and ground truths, in it or in its `data/`. Raises UserError naming the line that is
    not in the format, or what the devkit lacks.
    """
    table = class_table(devkit, YEAR)
    if table is None:
        raise UserError(
            f"{devkit} has no meta.mat of ILSVRC-{YEAR}.",
            fix="Name the folder of ILSVRC2010_devkit-1.0.tar.gz, packed or not, with --devkit.",
            exit_code=Exit.MISSING_INPUT,
        )
    classes = len(table.wnids)
    top5 = read_submission(file, classes=classes)
    truths = {split: truth(devkit, truth_file(YEAR, split), classes=classes) or [] for split in SPLITS}
    fitting = [split for split, labels in truths.items() if labels and len(labels) == len(top5)]
    if len(fitting) != 1:
        sizes = ", ".join(f"{len(labels):,} images of {split}" for split, labels in truths.items())
        raise _wrong(f"{file} ends after line {len(top5):,}, and {devkit} has the classes of {sizes}")
    correct = np.logical_or.accumulate(top5 == np.array(truths[fitting[0]])[:, None], axis=1)
    return FlatErrors(fitting[0], len(top5), tuple((~correct).mean(0).tolist()))


def read_submission(file: Path, *, classes: int) -> NDArray[np.int64]:
    """The class numbers of each line, (N, G), with 0 where a line has fewer than five.

    Raises UserError naming the line that has more than five, or anything but numbers from 1 to `classes`.
    """
    rows = []
    with reading(file), file.open(encoding="ascii", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            words = line.split()
            if len(words) > TOP or not all(DIGITS.fullmatch(word) and 1 <= int(word) <= classes for word in words):
                shown = " ".join(words)[:SHOWN]
                raise _wrong(f"{file}, line {number:,}, is not up to five numbers from 1 to {classes:,}: {shown!a}")
            rows.append([*map(int, words), *[0] * (TOP - len(words))])
    return np.array(rows, dtype=np.int64).reshape(-1, TOP)


def _wrong(what: str) -> UserError:
    fix = "Write one line for each image of a split, in the order of the file names, with numbers of the devkit."
    return UserError(f"{what}.", fix=fix, exit_code=Exit.BAD_DATA)
