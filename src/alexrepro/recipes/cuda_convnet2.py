"""The networks that ran before and beside #145, as far as their layer and parameter files tell: like it, but ...

A name is that of the file: net-147 is layers-147.cfg. Epochs are those at which the author changed rates, ±1, and the
last one is not counted, as it was not finished. A file holds the rates at the end of its run and its notes tell no rate
of the biases: where the file ends with a tenth of 0.02, it falls with the first drop, as in #145-2010 (inferred).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from alexrepro.paper.network import SideInput
from alexrepro.paper.training import At, Script
from alexrepro.recipes.as_printed_and_run import AS_RUN_2010, AS_RUN_2012
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.variations import VARIATIONS

EARLY = ("conv1", "conv2")  # what froze early in the networks before #145; in it, conv1 alone


def by_hand(
    *drops: int, off: int | None, low: int | None, frozen: int, early: tuple[str, ...] = ("conv1",),
    biases_drop: bool = False, more: tuple[At, ...] = (),
) -> Script:  # fmt: skip
    """A schedule of 2012: the general rate divided by ten at each drop, from 0.01 on.

    off: when the color shift ends; low and frozen: when the early stages go to 1e-5 and stop. biases_drop: whether the
    rate of the biases falls to 0.002 with the first drop.
    """
    lines = [At(epoch, learning_rate=10.0 ** -(3 + drop)) for drop, epoch in enumerate(drops)]
    lines[0] = replace(lines[0], bias_learning_rate=0.002 if biases_drop else None)
    lines += more
    if off is not None:
        lines.append(At(off, color_shift=False))
    if low is not None:
        lines.append(At(low, learning_rate=1e-5, stages=early))
    lines.append(At(frozen, learning_rate=0.0, bias_learning_rate=0.0, stages=early))
    return Script(tuple(sorted(lines, key=lambda line: line.epoch)))


def _run(
    base: Recipe, number: str, description: str, but: Mapping[str, Any], *, schedule: Script, epochs: int
) -> Recipe:
    changes = {**but, "training.schedule": schedule, "training.epochs": epochs}
    return base.but(changes, name=f"net-{number}", description=description)


# The runs behind the differences of §3.2 to §3.4, and the one without links between the towers.
# The last drop of 145-half is not noted (chosen: when #145's was). Its file ends with conv1 at 1e-5, which the notes
# freeze at 72, and with 0.002 for the biases of conv1 and conv2 alone.
NET_145_HALF = _run(
    VARIATIONS["one-tower"].of(AS_RUN_2010),
    "145-half",
    "one GPU: half the kernels but for conv5 and the full layers",
    {},
    schedule=by_hand(
        20,
        48,
        79,
        off=66,
        low=66,
        frozen=72,
        more=(
            At(20, bias_learning_rate=0.002, stages=("conv1", "conv2")),
            At(79, learning_rate=1e-5, bias_learning_rate=0.002, stages=("conv1",)),
        ),
    ),
    epochs=95,
)
NET_147 = _run(
    AS_RUN_2012, "147", "pooling windows that do not overlap",
    VARIATIONS["non-overlapping-pooling"].but,
    schedule=by_hand(23, 51, 79, off=None, low=None, frozen=79, biases_drop=True), epochs=89,
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
CONTRAST = {"network.conv2.order": ("activation", "norm", "contrast_norm", "pool")}
NET_131 = _run(
    AS_RUN_2012, "131", "a small copy of the image into conv2, contrast normalization, k = 1",
    {**SIDE_INPUT, **CONTRAST, "network.norm.k": 1.0},  # layer-params-131.cfg has no minDiv
    schedule=by_hand(22, 46, 81, off=66, low=66, frozen=75, early=EARLY, biases_drop=True), epochs=99,
)  # fmt: skip
NET_135 = _run(
    AS_RUN_2012, "135", "a small copy of the image into conv2, contrast normalization", {**SIDE_INPUT, **CONTRAST},
    schedule=by_hand(20, 47, 81, off=66, low=66, frozen=75, early=EARLY, biases_drop=True), epochs=95,
)  # fmt: skip


def _spared(first: int, second: int) -> tuple[At, ...]:
    """conv4 and conv5 miss the last drop: layer-params-137.cfg ends with 1e-4 there; of which run, it does not say."""
    return tuple(
        At(epoch, learning_rate=rate, stages=("conv4", "conv5")) for epoch, rate in ((first, 1e-3), (second, 1e-4))
    )  # fmt: skip


NET_137 = _run(
    AS_RUN_2012, "137", "a small copy of the image into conv2", SIDE_INPUT,
    schedule=by_hand(26, 50, 84, off=75, low=None, frozen=75, early=EARLY, biases_drop=True, more=_spared(26, 50)),
    epochs=98,
)  # fmt: skip
NET_137_2010 = _run(
    NET_137, "137-2010", "#137 on ILSVRC-2010", {},
    schedule=by_hand(25, 49, 85, off=81, low=81, frozen=85, early=EARLY, biases_drop=True, more=_spared(25, 49)),
    epochs=102,
)  # fmt: skip

# "Full" images: the whole picture on a gray canvas, minus one number, the mean over all pixels and channels. After its
# second drop nothing is noted but a move to another machine: the rest is #145's (chosen).
NET_145F = _run(
    AS_RUN_2012, "145f", "whole images on a gray canvas, minus one mean over all pixels and channels",
    {"augmentation.square": "padded", "augmentation.mean": "scalar"},  # convdata_jpeg.py: self.data_mean.mean()
    schedule=by_hand(19, 47, 79, off=67, low=67, frozen=72), epochs=90,
)  # fmt: skip
