"""The paper's network as recipes: its text, what was run on ILSVRC-2012 and on ILSVRC-2010, and a small one.

Each names the command that trains it and the result it should reach.
"""

from math import sqrt
from typing import Any

from alexrepro.paper.network import SameMapNorm
from alexrepro.paper.training import At, Script
from alexrepro.recipes.recipe import Recipe

# The notebook of #145, layer-params-145.cfg: epochs at which the author changed rates by hand (fidelity of ±1 epoch).
SCRIPT_2012 = Script(
    (
        At(25, learning_rate=1e-3),
        At(51, learning_rate=1e-4),
        At(67, color_shift=False),
        At(67, learning_rate=1e-5, bias_learning_rate=0.02, stages=("conv1",)),
        At(72, learning_rate=0.0, bias_learning_rate=0.0, stages=("conv1",)),
        At(79, learning_rate=1e-5),
    )
)
# layer-params-145-2010.cfg; the bias rate of 0.02 before epoch 23 is inferred from run4.sh.
SCRIPT_2010 = Script(
    (
        At(23, learning_rate=1e-3, bias_learning_rate=0.002),
        At(51, learning_rate=1e-4),
        At(68, color_shift=False),
        At(68, learning_rate=1e-5, bias_learning_rate=0.002, stages=("conv1",)),
        At(72, learning_rate=0.0, bias_learning_rate=0.0, stages=("conv1",)),
        At(78, learning_rate=1e-5),
    )
)

AS_PRINTED = Recipe()
"""`alexrepro train as-printed`: the text of the paper. Whether it learns at all is an open question."""

AS_RUN_2012 = AS_PRINTED.but(
    {
        "network.norm.divide_alpha_by_n": True,  # layer.py NormLayerParser: scale / size
        "network.norm.per_tower": True,  # layers-145.cfg: each tower has its own rnorm layer
        "network.same_map_norm": SameMapNorm(),  # layers-145.cfg [cnorm2]
        "network.conv1.order": ("norm", "pool", "activation"),  # layers-145.cfg: the neuron is on pool1
        "network.conv2.order": ("activation", "norm", "same_map_norm", "pool"),  # layers-145.cfg
        "network.conv5.order": ("pool", "activation"),  # layers-145.cfg: the neuron is on pool3
        "network.conv3.weight_std": 0.03,  # layers-145.cfg initW
        "network.conv4.weight_std": 0.03,
        "network.conv5.weight_std": 0.03,
        "training.bias_learning_rate": 0.02,  # layer-params-145.cfg epsB
        "training.epochs": 90,  # layer-params-145.cfg: stopped in epoch 91
        "training.schedule": SCRIPT_2012,
        "training.shuffle_every_epoch": False,  # convdata_jpeg.py reads the batches in one cyclic order
        "augmentation.images_per_crop": 32,  # convdata_jpeg.py crop_chunk
        "augmentation.mean": "central",  # convdata_jpeg.py
        "augmentation.color_shift.divide_by": 1.1,  # convdata_jpeg.py
    },
    name="as-run-2012",
    description="what layers-145.cfg and its notebook show was run on ILSVRC-2012",
)
"""`alexrepro train as-run-2012`: expect 40.7 / 18.2 % on ilsvrc2012-val, ten crops, within 0.5 / 0.4 points."""

AS_RUN_2010 = AS_RUN_2012.but(
    {"training.epochs": 92, "training.schedule": SCRIPT_2010},  # layer-params-145-2010.cfg: stopped in epoch 93
    name="as-run-2010",
    description="the same network on ILSVRC-2010, whose test labels are public",
)
"""`alexrepro train as-run-2010`: expect 37.5 / 17.0 % on ilsvrc2010-test, ten crops, within 0.5 / 0.4 points."""

TINY_WIDTH = 1 / 8
# The kinds of lines of the notebook; the first rate holds longer than in #145, as there are few steps (chosen).
TINY_SCRIPT = Script(
    (
        At(10, learning_rate=1e-3),
        At(11, learning_rate=1e-4, color_shift=False),
        At(12, learning_rate=1e-5, bias_learning_rate=0.02, stages=("conv1",)),
        At(13, learning_rate=0.0, bias_learning_rate=0.0, stages=("conv1",)),
    )
)


def _tiny() -> Recipe:
    """#145 at an eighth of its width, on a schedule of thirteen epochs (silent, chosen throughout)."""
    widths: dict[str, Any] = {}
    for stage in AS_RUN_2012.network.stages[:-1]:
        widths[f"network.{stage.name}.maps"] = int(stage.maps * TINY_WIDTH)
        if stage.name != "conv1":  # keeps the signal of the full network: fan-in is an eighth
            widths[f"network.{stage.name}.weight_std"] = round(stage.weight_std / sqrt(TINY_WIDTH), 4)
    widths["network.fc8.maps"] = 20
    widths["network.fc8.weight_std"] = round(0.01 / sqrt(TINY_WIDTH), 4)
    short = {
        "training.batch": 32,
        "training.learning_rate": 0.005,  # learns twice as fast as at 0.01 (chosen)
        "training.bias_learning_rate": 0.01,
        "training.epochs": 13,
        "training.schedule": TINY_SCRIPT,
        "augmentation.images_per_crop": 8,  # four crops a batch, as in #145
    }
    return AS_RUN_2012.but(
        widths | short, name="tiny", description="#145 at reduced width and on a short schedule, for the miniature"
    )


TINY = _tiny()
"""`alexrepro train tiny`: minutes on two cores with the miniature; expect under 30 % top-1 error on its test split."""
