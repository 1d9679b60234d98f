"""The sixth conv layer and its chain of pre-training over other data sets (§6; layers-146-*.cfg, initw.py).

`alexrepro train net-146-2009 --store fall2009 --init-from RUN` takes the stages that `training.init_from_stages` names
from
an earlier run: #145 -> net-146-2009 -> net-146-2011 -> net-146-2012-2011, which is the paper's 1 CNN*. Classes follow
the store. The notes on 2009 and 2011 tell the epoch and the batch file of 1024 images within it, 6.2600 being the
2,600th of some 4,350 of epoch 6; the nearest whole epoch is taken (chosen). No note tells a rate of the biases: conv6's
is taken to be that of the file's end throughout, others as in siblings.py (inferred).
"""

from typing import Any

from alexrepro.paper.network import Stage
from alexrepro.paper.training import At, Script
from alexrepro.recipes.as_printed_and_run import AS_RUN_2012
from alexrepro.recipes.cuda_convnet2 import EARLY, NET_137
from alexrepro.recipes.recipe import Recipe

CONV6 = Stage(
    name="conv6", maps=256, kernel_px=3, pad_px=1, reads="both", weight_std=0.03, bias=1.0
)  # layers-146-2009.cfg
BOTTLENECK = Stage(name="fc8a", kind="full", maps=2048, reads="both", order=())  # layers-146-2011.cfg: linear, 2x1024
CONVS = ("conv1", "conv2", "conv3", "conv4", "conv5")


def _with(recipe: Recipe, stage: Stage, before: str) -> dict[str, Any]:
    """The change of a recipe that puts a stage before another one."""
    stages = recipe.network.stages
    place = [s.name for s in stages].index(before)
    return {"network.stages": (*stages[:place], stage, *stages[place:])}


def _chained(base: Recipe, number: str, description: str, lines: tuple[At, ...], epochs: int, **more: Any) -> Recipe:
    script = Script(tuple(sorted(lines, key=lambda line: line.epoch)))
    changes = {"training.learning_rate": 1e-3, "training.epochs": epochs, "training.schedule": script}
    changes |= {path.replace("__", "."): value for path, value in more.items()}
    return base.but(changes, name=f"net-{number}", description=description)


_CONV6_BIASES = At(1, bias_learning_rate=0.002, stages=("conv6",))  # layer-params-146-*.cfg [conv6a] epsB
_SIX = AS_RUN_2012.but(_with(AS_RUN_2012, CONV6, before="fc6"), description="#145 with a sixth conv layer")
NET_146_2009 = _chained(
    _SIX, "146-2009", "#145 with a sixth conv layer, on the ImageNet of fall 2009",
    (
        _CONV6_BIASES,
        At(1, learning_rate=0.01, stages=("conv6", "fc6", "fc7", "fc8")),
        At(2, learning_rate=1e-3, stages=("conv6", "fc6", "fc7", "fc8")),
    ),
    6, training__init_from_stages=CONVS,
)  # fmt: skip  # the notes, with some 8,700 batch files an epoch: 2.1600, stopped at 6.6491
NET_146_2011 = _chained(
    _SIX.but(_with(_SIX, BOTTLENECK, before="fc8")), "146-2011",
    "that network with a linear layer before its 21,843 outputs, on the ImageNet of fall 2011",
    (
        _CONV6_BIASES,
        At(1, learning_rate=0.01, stages=("fc6", "fc7", "fc8a", "fc8")),
        At(6, learning_rate=1e-3, stages=("fc6", "fc7", "fc8a", "fc8")),
    ),
    8, training__init_from_stages=(*CONVS, "conv6"),
)  # fmt: skip  # stopped at 8.11295, of some 13,900 batch files
_TUNED = (At(22, learning_rate=1e-4), At(38, color_shift=False), At(42, learning_rate=1e-5))
NET_146_2012_2011 = _chained(
    _SIX,
    "146-2012-2011",
    "1 CNN*: that network, fine-tuned on ILSVRC-2012",
    (
        At(1, bias_learning_rate=0.022, stages=("conv6",)),  # layer-params-146-2012-2011.cfg [conv6a] epsB
        At(1, learning_rate=1e-4, stages=("conv1",)),
        At(
            1, learning_rate=0.01, stages=("fc8",)
        ),  # the notes: 1e-3 for the first 300 batch files, about a quarter of an epoch
        At(5, learning_rate=1e-5, stages=("conv1",)),
        At(7, learning_rate=0.0, bias_learning_rate=0.0, stages=("conv1",)),
        At(9, learning_rate=1e-3, stages=("fc8",)),
        *_TUNED,
        At(22, learning_rate=1e-4, stages=("fc8",)),
        At(42, learning_rate=1e-5, stages=("fc8",)),
    ),
    53,
    training__init_from_stages=(*CONVS, "conv6", "fc6", "fc7"),
)
NET_146_2012_2009 = _chained(
    _SIX, "146-2012-2009", "that network after fall 2009 alone, fine-tuned on ILSVRC-2012",
    (
        _CONV6_BIASES,
        At(1, learning_rate=1e-4, stages=("conv1",)),
        At(3, learning_rate=1e-5, stages=("conv1",)),
        At(4, learning_rate=0.0, bias_learning_rate=0.0, stages=("conv1",)),
        *_TUNED,
    ),
    51, training__init_from_stages=(*CONVS, "conv6", "fc6", "fc7"),
)  # fmt: skip
_SIX_WITH_SIDE_INPUT = NET_137.but(_with(NET_137, CONV6, before="fc6"))
NET_141_2009_2012 = _chained(
    _SIX_WITH_SIDE_INPUT, "141-2009-2012", "#137 with a sixth conv layer, after fall 2009, fine-tuned on ILSVRC-2012",
    (
        At(13, learning_rate=1e-4, bias_learning_rate=0.002),
        At(26, color_shift=False),
        At(26, learning_rate=1e-5, stages=EARLY),
        At(32, learning_rate=0.0, bias_learning_rate=0.0, stages=EARLY),
        At(43, learning_rate=1e-5),
    ),
    53, training__init_from_stages=(*CONVS, "conv6", "fc6", "fc7"),
)  # fmt: skip
# After 28 epochs its errors were noted as somewhat worse than those of #131, and training went on from 1e-3 with the
# color shift; at epoch 56 the validation error is noted to rise. Whether it gave the printed 67.4 / 40.9 is not noted.
NET_141_2009_HALF = _chained(
    _SIX_WITH_SIDE_INPUT, "141-2009-half",
    "#137 with a sixth conv layer, on half of fall 2009; perhaps the one of 67.4 / 40.9 (§6)",
    (
        At(7, learning_rate=1e-3, bias_learning_rate=0.002),
        At(14, learning_rate=1e-4),
        At(19, color_shift=False),
        At(19, learning_rate=1e-5, stages=EARLY),
        At(21, learning_rate=0.0, bias_learning_rate=0.0, stages=EARLY),
        At(26, learning_rate=1e-5),
        At(29, learning_rate=1e-3, color_shift=True),
        At(29, learning_rate=1e-3, bias_learning_rate=0.002, stages=EARLY),
        At(44, learning_rate=1e-4),
        At(44, learning_rate=1e-4, stages=EARLY),
    ),
    55, training__learning_rate=0.01,
)  # fmt: skip  # the notes: 6.2600, 13.3361, 18.2396, 21.1949, 25.3718, stopped at 28.3271; 44.183, 56

LIKE_145 = (NET_146_2009, NET_146_2011, NET_146_2012_2009, NET_146_2012_2011)
LIKE_137 = (NET_141_2009_2012, NET_141_2009_HALF)
