"""The networks that ran before and beside #145, as far as their layer and parameter files tell: like it, but ...

A name is that of the file: net-147 is layers-147.cfg. Epochs are those at which the author changed rates, ±1, and the
last one is not counted, as it was not finished.
"""

from collections.abc import Mapping
from typing import Any

from alexrepro.paper.network import SideInput
from alexrepro.paper.training import At, Script
from alexrepro.recipes.alexnet_2012 import AS_RUN_2010, AS_RUN_2012
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.variations import VARIATIONS

EARLY = ("conv1", "conv2")  # what froze early in the networks before #145; in it, conv1 alone


def by_hand(*drops: int, off: int | None, low: int | None, frozen: int, early: tuple[str, ...] = ("conv1",)) -> Script:
    """A schedule of 2012: the general rate divided by ten at each drop, from 0.01 on.

    off: when the color shift ends; low and frozen: when the early stages go to 1e-5 and stop.
    """
    lines = [At(epoch, rate=10.0 ** -(3 + drop)) for drop, epoch in enumerate(drops)]
    if off is not None:
        lines.append(At(off, color_shift=False))
    if low is not None:
        lines.append(At(low, rate=1e-5, stages=early))
    lines.append(At(frozen, rate=0.0, bias_rate=0.0, stages=early))
    return Script(tuple(sorted(lines, key=lambda line: line.epoch)))


def _run(base: Recipe, number: str, says: str, but: Mapping[str, Any], *, schedule: Script, epochs: int) -> Recipe:
    changes = {**but, "training.schedule": schedule, "training.epochs": epochs}
    return base.but(changes, name=f"net-{number}", says=says)


# The runs behind the differences of §3.2 to §3.4, and the one without links between the towers.
NET_145_HALF = _run(
    VARIATIONS["one-tower"].of(AS_RUN_2010), "145-half", "one GPU: half the kernels but for conv5 and the full layers",
    {},
    schedule=by_hand(20, 48, 79, off=66, low=66, frozen=72), epochs=95,  # the last drop is not noted; chosen: #145's
)  # fmt: skip
NET_147 = _run(
    AS_RUN_2012, "147", "pooling windows that do not overlap",
    VARIATIONS["non-overlapping-pooling"].but,
    schedule=by_hand(23, 51, 79, off=None, low=None, frozen=79), epochs=89,
)  # fmt: skip
NET_148 = _run(
    AS_RUN_2012, "148", "no normalization of any kind", VARIATIONS["no-norm"].but,
    schedule=by_hand(22, 44, 86, off=69, low=69, frozen=73), epochs=96,
)  # fmt: skip
NET_150 = _run(
    AS_RUN_2012, "150", "no links between the towers before fc8; conv2 and fc6 are wider instead",
    {"network.conv2.maps": 320, "network.conv3.reads": "own", "network.fc6.maps": 8192, "network.fc6.reads": "own",
     "network.fc7.reads": "own"},
    schedule=by_hand(25, 49, 79, off=66, low=66, frozen=72), epochs=91,
)  # fmt: skip

# Before #145: conv1 had 32 kernels a tower, and conv2 saw a small copy of the image, too.
SIDE_INPUT = {"network.conv1.maps": 64, "network.side_input": SideInput()}
CONTRAST = {"network.conv2.order": ("response", "norm", "contrast_norm", "pool")}
NET_131 = _run(
    AS_RUN_2012, "131", "a small copy of the image into conv2, contrast normalization, k = 1",
    {**SIDE_INPUT, **CONTRAST, "network.norm.k": 1.0},
    schedule=by_hand(22, 46, 81, off=66, low=66, frozen=75, early=EARLY), epochs=99,
)  # fmt: skip
NET_135 = _run(
    AS_RUN_2012, "135", "a small copy of the image into conv2, contrast normalization", {**SIDE_INPUT, **CONTRAST},
    schedule=by_hand(20, 47, 81, off=66, low=66, frozen=75, early=EARLY), epochs=95,
)  # fmt: skip
NET_137 = _run(
    AS_RUN_2012, "137", "a small copy of the image into conv2", SIDE_INPUT,
    schedule=by_hand(26, 50, 84, off=75, low=None, frozen=75, early=EARLY), epochs=98,
)  # fmt: skip
NET_137_2010 = _run(
    NET_137, "137-2010", "#137 on ILSVRC-2010", {},
    schedule=by_hand(25, 49, 85, off=81, low=81, frozen=85, early=EARLY), epochs=102,
)  # fmt: skip

# "Full" images: the whole picture on a canvas of the mean, with one mean a channel. Its end is not noted: conv1 is
# frozen five epochs after its rate fell, and the last drop is #145's (chosen).
NET_145F = _run(
    AS_RUN_2012, "145f", "whole images on a canvas of the mean color, one mean a channel",
    {"augmentation.square": "padded", "augmentation.mean": "channel"},
    schedule=by_hand(19, 47, 79, off=61, low=61, frozen=66), epochs=90,
)  # fmt: skip
