"""The winter after the paper: the network of #145 under rates that fall by a formula, and small changes to it.

Biases learn at 0.02, and from half-time on at 0.002 (layer-params-165.cfg on; before it chosen). The runs ended near
epoch 95.
"""

from typing import Any

from alexrepro.paper.training import At, Decay
from alexrepro.recipes.alexnet_2012 import AS_RUN_2012
from alexrepro.recipes.recipe import Recipe


def _later(
    number: str, says: str, decay: tuple[float, float, int | None], *, off: int, frozen: int, epochs: int = 95,
    but: dict[str, Any] | None = None,
) -> Recipe:  # fmt: skip
    """decay: first rate, last rate, levels; off and frozen: the epochs when the color shift and conv1 end."""
    start, end, levels = decay
    lines = (
        At(1 + epochs // 2, bias_rate=0.002),
        At(off, color_shift=False),
        At(frozen, rate=0.0, bias_rate=0.0, stages=("conv1",)),
    )
    changes = {
        "training.rate": start,
        "training.epochs": epochs,
        "training.schedule": Decay(end, levels, tuple(sorted(lines, key=lambda line: line.epoch))),
        **(but or {}),
    }
    how = f"in {levels} levels" if levels else "a little every epoch"
    return AS_RUN_2012.but(changes, name=f"net-{number}", says=f"{says}; rate {start:g} to {end:g} {how}")


SAME = "the network of #145"
FULL_DECAY = {f"network.{name}.decay_factor": 2.0 for name in ("fc6", "fc7", "fc8")}
# How many levels #163 to #167 had is not noted: four, as #169 and #170 (chosen).
LATER = (
    _later("155", SAME, (0.02, 5e-6, None), off=61, frozen=74),
    _later("156", SAME, (0.02, 1e-5, None), off=61, frozen=72),
    _later("157", SAME, (0.04, 5e-6, None), off=62, frozen=73),
    _later("158", SAME, (0.04, 2e-6, None), off=63, frozen=77),
    _later("163", "twice the decay in the full layers", (0.01, 1e-5, 4), off=61, frozen=73, but=FULL_DECAY),
    _later("165", "twice the decay in the full layers", (0.01, 2e-5, 4), off=63, frozen=78, but=FULL_DECAY),
    _later(
        "166", "conv2 normalized before its response, too", (0.01, 2e-5, 4), off=64, frozen=73,
        but={"network.conv2.order": ("norm", "response", "same_map_norm", "pool")},
    ),
    _later(
        "167", "conv2 not normalized", (0.01, 2e-5, 4), off=63, frozen=73,
        but={"network.conv2.order": ("response", "pool")},
    ),
    _later("169", SAME, (0.01, 2e-5, 4), off=60, frozen=73),
    _later("170", SAME, (0.01, 4e-5, 4), off=68, frozen=74),
    _later(
        "170-256-double", "batches of 256 at twice the rates", (0.02, 8e-5, 4), off=61, frozen=73, epochs=84,
        but={"training.batch": 256, "training.bias_rate": 0.04},
    ),
    _later("171", SAME, (0.01, 2e-5, 5), off=60, frozen=72),
    _later(
        "177", "dropout over conv4, too", (0.01, 4e-5, 4), off=60, frozen=73,
        but={"network.conv4.order": ("response", "dropout")},
    ),
)  # fmt: skip
