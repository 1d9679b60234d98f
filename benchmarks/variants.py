"""Single changes between the recipes as printed and as run in 2012, whose first steps `signals.py` compares."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2012
from alexrepro.recipes.recipe import Recipe

MIDDLE = ("conv3", "conv4", "conv5")


def every(stages: tuple[str, ...], name: str, value: Any) -> dict[str, Any]:
    return {f"network.{stage}.{name}": value for stage in stages}


def divided_by(gray_levels: float) -> dict[str, Any]:
    """Inputs in other units: 57.5 standardizes them, 255 maps them to 0 to 1."""
    return {"network.input_std": (gray_levels,) * 3}


def torch_weights() -> dict[str, float]:
    """Standard deviation of torch's default weights: uniform within 1/√fan-in, so 1/√(3 · fan-in)."""
    network = AS_PRINTED.network
    fan_in = {layer.name: layer.weights // layer.output[0] for layer in network.layers() if layer.weights}
    return {f"network.{name}.weight_std": round(1 / sqrt(3 * inputs), 5) for name, inputs in fan_in.items()}


@dataclass(frozen=True)
class Variant:
    """A recipe and changes to it."""

    name: str
    base: Recipe = AS_PRINTED
    but: Mapping[str, Any] = field(default_factory=dict)


BIASED = ("conv2", "conv4", "conv5", "fc6", "fc7")
SAFE_BIAS = every(BIASED, "bias", 0.1)
TORCH_LIKE = {**torch_weights(), **every(BIASED, "bias", 0.0)}
VARIANTS = (
    Variant("as-printed"),
    Variant("as-run-2012", AS_RUN_2012),
    Variant("printed, 0.03 in conv3-5", but=every(MIDDLE, "weight_std", 0.03)),
    Variant("printed, conv1 norm before ReLU", but={"network.conv1.order": ("norm", "pool", "activation")}),
    Variant("printed, alpha / n", but={"network.norm.divide_alpha_by_n": True}),
    Variant("printed, norm per tower", but={"network.norm.per_tower": True}),
    Variant(
        "printed, same-map norm",
        but={
            "network.same_map_norm.alpha": 1e-3,
            "network.conv2.order": ("activation", "norm", "same_map_norm", "pool"),
        },
    ),
    Variant("printed, no norm", but={"network.norm": None}),
    Variant("printed, central mean", but={"augmentation.mean": "central"}),
    Variant("printed, one crop for 32 images", but={"augmentation.images_per_crop": 32}),
    Variant("printed, color shift off", but={"augmentation.color_shift": None}),
    Variant("printed, color shift / 1.1", but={"augmentation.color_shift.divide_by": 1.1}),
    Variant("printed, color shift by variances", but={"augmentation.color_shift.reading": "variance"}),
    Variant("printed, biases 0.1", but=SAFE_BIAS),
    Variant("printed, pixels / 57.5", but=divided_by(57.5)),
    Variant("printed, pixels / 255", but=divided_by(255.0)),
    Variant("printed, torch's weights, biases 0", but=TORCH_LIKE),
    Variant("printed, torch's weights, biases 0, pixels / 57.5", but={**TORCH_LIKE, **divided_by(57.5)}),
    Variant(
        "printed, as Caffe's AlexNet",
        but={**SAFE_BIAS, **every(("fc6", "fc7"), "weight_std", 0.005), "network.norm.k": 1.0,
             "network.norm.divide_alpha_by_n": True, "augmentation.color_shift": None},
    ),
    Variant("run, 0.01 in conv3-5", AS_RUN_2012, every(MIDDLE, "weight_std", 0.01)),
    Variant("run, color shift off", AS_RUN_2012, {"augmentation.color_shift": None}),
    Variant("printed, color shift off, 64 images", but={"augmentation.color_shift": None, "training.batch": 64}),
    Variant(
        "run, color shift off, 64 images", AS_RUN_2012,
        {"augmentation.color_shift": None, "training.batch": 64},
    ),
)  # fmt: skip
