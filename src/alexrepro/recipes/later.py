"""The winter after the paper: the network of #145 under rates that fall by a formula, and small changes to it.

A file holds the first rates and the factors by which they fall, of the weights and of the biases alike up to #163
(`sched`), apart from #165 on (`schedW`, `schedB`). The runs ended near epoch 95.
"""

from typing import Any

from alexrepro.paper.training import At, Decay
from alexrepro.recipes.as_printed_and_run import AS_RUN_2012
from alexrepro.recipes.recipe import Recipe


def _later(
    number: str, description: str, decay: tuple[float, float, int | None], *, off: int, frozen: int, epochs: int = 95,
    bias_end: float, bias_levels: int | None = 2, but: dict[str, Any] | None = None,
) -> Recipe:  # fmt: skip
    """decay: first and last rate, levels; off and frozen: the epochs when the color shift and conv1 end.

    Biases begin at twice the rate of the weights.
    """
    start, end, levels = decay
    lines = (At(off, color_shift=False), At(frozen, learning_rate=0.0, bias_learning_rate=0.0, stages=("conv1",)))
    changes = {
        "training.learning_rate": start,
        "training.bias_learning_rate": 2 * start,
        "training.epochs": epochs,
        "training.schedule": Decay(end, levels, bias_end, bias_levels, lines),
        **(but or {}),
    }
    how = f"in {levels} levels" if levels else "a little every epoch"
    return AS_RUN_2012.but(changes, name=f"net-{number}", description=f"{description}; rate {start:g} to {end:g} {how}")


SAME = "the network of #145"
FULL_DECAY = {f"network.{name}.decay_factor": 2.0 for name in ("fc6", "fc7", "fc8")}
LATER = (
    _later("155", SAME, (0.02, 5e-6, None), off=61, frozen=74, bias_end=1e-5, bias_levels=None),
    _later("156", SAME, (0.02, 1e-5, None), off=61, frozen=72, bias_end=2e-5, bias_levels=None),
    _later("157", SAME, (0.04, 5e-6, None), off=62, frozen=73, bias_end=1e-5, bias_levels=None),
    _later("158", SAME, (0.04, 2e-6, None), off=63, frozen=77, bias_end=4e-6, bias_levels=None),
    _later(
        "163", "twice the decay in the full layers", (0.01, 1e-5, 4), off=61, frozen=73, bias_end=2e-5, bias_levels=4,
        but=FULL_DECAY,
    ),
    _later(
        "165", "twice the decay in the full layers", (0.01, 2e-5, 4), off=63, frozen=78, bias_end=2e-3, but=FULL_DECAY
    ),
    _later(
        "166", "conv2 normalized and pooled before its response", (0.01, 1e-5, 4), off=64, frozen=73, bias_end=2e-3,
        but={"network.conv2.order": ("norm", "same_map_norm", "pool", "activation")},  # the neuron stands on pool2
    ),
    _later(
        "167", "conv2 not normalized", (0.01, 1e-5, 4), off=63, frozen=73, bias_end=2e-3,
        but={"network.conv2.order": ("activation", "pool")},
    ),
    _later("169", SAME, (0.01, 2e-5, 4), off=60, frozen=73, bias_end=2e-3),
    _later("170", SAME, (0.01, 4e-5, 4), off=68, frozen=74, bias_end=2e-3),
    _later(
        "170-256-double", "batches of 256 at twice the rates", (0.02, 8e-5, 4), off=61, frozen=73, epochs=84,
        bias_end=4e-3, but={"training.batch": 256},
    ),
    _later("171", SAME, (0.01, 2e-5, 5), off=60, frozen=72, bias_end=2e-3),
    _later(
        "177", "dropout over conv4, too, of one unit in five", (0.01, 4e-5, 4), off=60, frozen=73, bias_end=2e-3,
        but={"network.conv4.order": ("activation", "dropout"), "network.conv4.dropout": 0.2},  # [hsconv4a] keep=0.8
    ),
)  # fmt: skip
