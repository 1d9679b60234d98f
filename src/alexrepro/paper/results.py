"""Every number that the authors published or logged: errors, differences, the 2012 logs, and those of the figures.

The schedules of the logged runs are in `recipes/catalog.toml`.
"""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from alexrepro.paper.citation import Citation

T = TypeVar("T")
Crops = Literal["center", "ten", "ten-logits"]  # the last: logits averaged instead of softmax outputs

VAL_2010 = "ilsvrc2010-val"
TEST_2010 = "ilsvrc2010-test"
VAL_2012 = "ilsvrc2012-val"
CIFAR_TEST = "cifar10-test"
TEST_2012 = "ilsvrc2012-test"  # its labels are not public
# The data sets that the published numbers are about (§2; the exact counts are those of the releases).
CLASSES = {"ilsvrc2010": 1000, "ilsvrc2012": 1000, "cifar10": 10}
IMAGES = {
    "ilsvrc2010-train": 1_261_406, VAL_2010: 50_000, TEST_2010: 150_000,
    "ilsvrc2012-train": 1_281_167, VAL_2012: 50_000, TEST_2012: 100_000,
    "cifar10-train": 50_000, CIFAR_TEST: 10_000,
}  # fmt: skip
PARTIAL = "-partial"  # in the name of a data set of which images or classes are missing

# Figure 1: ReLUs reach this training error on CIFAR-10 this many times sooner than tanh.
FIGURE_1_TRAINING_ERROR = 0.25
FIGURE_1_TIMES_SOONER = 6
FIGURE_1_HIGHEST_ERROR = 0.75  # where its axis ends
PARAMETERS = "60 million"  # abstract
NEURONS = "650,000"  # abstract
CAPTION_NEURONS = {  # Figure 2; 55 × 48 × 96 in conv1, where 55 × 55 × 96 is meant
    "conv1": 253_440, "conv2": 186_624, "conv3": 64_896, "conv4": 64_896, "conv5": 43_264,
    "fc6": 4_096, "fc7": 4_096, "fc8": 1_000,
}  # fmt: skip
FIGURE_3_KERNELS_PER_ROW = 16  # shownet.py; 48 and 48 kernels are three rows and three
FIGURE_4_GUESSES = 8  # images on the left
FIGURE_4_QUERIES = 5  # images on the right
FIGURE_4_NEIGHBORS = 6  # training images next to each
VALIDATION_TEST_GAP = 0.001  # §6: validation and test errors differ by no more than 0.1 %


def release_of(name: str) -> str:
    """The data set or split as it was released: `ilsvrc2012-val` for itself and for `ilsvrc2012-partial-val`."""
    return name.replace(PARTIAL, "")


@dataclass(frozen=True)
class Reported:
    """Errors that the authors or the challenge published, as fractions; None where there is a dash.

    members: of an entry of the challenge, the networks that the name of its file lists.
    """

    name: str
    label: str
    split: str
    cites: Citation
    crops: Crops | None = None
    top1_error: float | None = None
    top5_error: float | None = None
    members: Sequence[str] = ()


@dataclass(frozen=True)
class ReportedDelta:
    """A printed difference in error, as fractions: the variation minus the paper's network."""

    name: str
    cites: Citation
    top1_delta: float | None = None
    top5_delta: float | None = None
    split: str | None = None
    crops: Crops = "ten"  # those of the 2012 logs; the text names none


@dataclass(frozen=True)
class Logged:
    """One evaluation logged in a parameter file; loss is -log p of the true class in nats, None if it was not logged.

    epochs: length of the training, as far as it is logged: `91`, `about 95`, `over 91`. part: what distinguishes two
    results of one configuration.
    """

    config: str
    split: str
    crops: Crops | None
    loss: float | None
    top1_error: float
    top5_error: float
    epochs: str
    part: str = ""
    file: str = ""

    @property
    def cites(self) -> Citation:
        """The file that holds the log."""
        return Citation(f"layer-params-{self.file or self.config}.cfg", self.part)


_TABLES: dict[str, dict[str, Any]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _read(kind: Callable[..., T], table: str) -> tuple[T, ...]:
    rows = _TABLES[table].items()
    return tuple(kind(name=name, **row | {"cites": Citation(*row["cites"])}) for name, row in rows)


TABLE_1 = SPARSE_CODING, SIFT_FVS, CNN_2010 = _read(Reported, "table-1")
(CNN_2010_CENTER,) = _read(Reported, "footnote-5")
TABLE_2 = SIFT_FVS_2012, CNN_2012, CNN_2012_FIVE, CNN_2012_PRETRAINED, CNN_2012_SEVEN = _read(Reported, "table-2")
TABLE_2_TEST = CNN_2012_FIVE_TEST, CNN_2012_SEVEN_TEST = _read(Reported, "table-2-test")
FALL_2009, FALL_2009_BEFORE = _read(Reported, "fall-2009")
ALL_REPORTED = (*TABLE_1, CNN_2010_CENTER, *TABLE_2, *TABLE_2_TEST, FALL_2009, FALL_2009_BEFORE)
QUOTED = {quoted.name: quoted for quoted in _read(Reported, "cuda-convnet")}
LATER_WEIGHTS = {later.name: later for later in _read(Reported, "later-weights")}
LATER_AUTHOR = _read(Reported, "later-author")  # ten crops, then the center
ZEILER_FERGUS = {theirs.name: theirs for theirs in _read(Reported, "zeiler-fergus")}
ALL_DELTAS = ONE_TOWER, NO_NORM, NO_OVERLAP, NO_COLOR_SHIFT, WITHOUT_MIDDLE = _read(ReportedDelta, "deltas")
SUBMISSIONS = SUPPLIED_DATA, EXTRA_DATA, SECOND_BEST = _read(Reported, "submitted")
LOGGED = tuple(
    Logged(config, split, crops or None, loss or None, *rest)
    for config, split, crops, loss, *rest in _TABLES["logs"]["rows"]
)


def logged(config: str, *, split: str | None = None, crops: Crops = "ten") -> Logged:
    """The logged result of a configuration on a split, by default the first one logged; never of a continued run.

    Raises KeyError if there is none.
    """
    for entry in LOGGED:
        if (entry.config, entry.crops, entry.part) == (config, crops, "") and split in (None, entry.split):
            return entry
    raise KeyError(config, split, crops)
