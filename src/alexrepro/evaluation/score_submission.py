"""Scores of a file of answers to ILSVRC-2010, as its devkit counts them (eval_flat.m).

A file has one line for each photo of a split in the order of the file names, with up to five class numbers, from 1 on
and the best first. N images, G guesses (five), K classes.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alexrepro.data.sources.devkit import Year, class_table, truth, truth_file
from alexrepro.errors import Exit, UserError
from alexrepro.runs.evaluation import GUESSES

YEAR: Year = "2010"
SPLITS = ("val", "test")
MOST_BYTES = 20_000_000  # five guesses for each of the 150,000 test photos have less than 4,000,000
SHOWN = 20  # characters of a word that is no class number


@dataclass(frozen=True)
class Scores:
    """flat: the fraction of images whose class is not among the first 1, 2, ... 5 predictions."""

    split: str
    images: int
    flat: tuple[float, ...]


def score(file: Path, devkit: Path) -> Scores:
    """The scores of a file on the split that has as many images as the file has lines.

    devkit: a folder with meta.mat and ground truths, in it or in its `data/`. Raises UserError if the file is not one
    of that format, naming the line, or if the devkit lacks what is needed.
    """
    table = class_table(devkit, YEAR)
    if table is None:
        raise UserError(
            f"{devkit} has no meta.mat of ILSVRC-{YEAR}.",
            fix="Name the folder of ILSVRC2010_devkit-1.0.tar.gz, packed or not, with --devkit.",
            exit_code=Exit.MISSING_INPUT,
        )
    guesses = read_guesses(file, classes=len(table.wnids))
    split, labels = _truth(devkit, file, images=len(guesses), classes=len(table.wnids))
    return Scores(split, len(guesses), count_guesses(guesses, labels))


def read_guesses(file: Path, *, classes: int) -> NDArray[np.int64]:
    """The class numbers of each line, (N, G), with 0 where a line has fewer than five.

    Raises UserError naming the line that has more than five or something else than a number from 1 to `classes`.
    """
    if not file.is_file():
        raise UserError(f"There is no file {file}.", fix="Name one with --predictions.", exit_code=Exit.MISSING_INPUT)
    if file.stat().st_size > MOST_BYTES:
        raise _wrong(f"{file} has more than {MOST_BYTES:,} bytes")
    rows = []
    with file.open(encoding="ascii", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            words = line.split()
            if len(words) > GUESSES:
                raise _wrong(f"{file}, line {number:,}, has {len(words)} guesses")
            for word in words:
                if not re.fullmatch(r"\d{1,5}", word) or not 1 <= int(word) <= classes:
                    raise _wrong(f"{file}, line {number:,}, has {word[:SHOWN]!a}, which is no number of a class")
            rows.append([*map(int, words), *[0] * (GUESSES - len(words))])
    return np.array(rows, dtype=np.int64).reshape(-1, GUESSES)


def count_guesses(guesses: NDArray[np.int64], labels: NDArray[np.int64]) -> tuple[float, ...]:
    """Flat errors for 1 to G guesses.

    guesses: (N, G) numbers from 1 on, or 0 for none. labels: (N,) numbers from 1 on.
    """
    right = np.logical_or.accumulate(guesses == labels[:, None], axis=1)
    return tuple((~right).mean(0).tolist())


def _truth(devkit: Path, file: Path, *, images: int, classes: int) -> tuple[str, NDArray[np.int64]]:
    """The split with so many images, and their class numbers."""
    truths = {split: truth(devkit, truth_file(YEAR, split), classes=classes) for split in SPLITS}
    known = {split: labels for split, labels in truths.items() if labels is not None}
    if not known:
        names = " or ".join(truth_file(YEAR, split) for split in SPLITS)
        raise UserError(f"{devkit} has no {names}.", fix="Put one there.", exit_code=Exit.MISSING_INPUT)
    fitting = [split for split, labels in known.items() if len(labels) == images]
    if len(fitting) != 1:
        sizes = ", ".join(f"{len(labels):,} images of {split}" for split, labels in known.items())
        raise _wrong(f"{file} ends after line {images:,}, and {devkit} has the classes of {sizes}")
    return fitting[0], np.array(known[fitting[0]], dtype=np.int64)


def _wrong(what: str) -> UserError:
    return UserError(
        f"{what}.",
        fix="Write one line for each photo of a split, in the order of the file names, with up to five class numbers "
        "of the devkit.",
        exit_code=Exit.BAD_DATA,
    )
