"""What must hold of a recipe as a whole, checked once after all its changes.

A field's type is checked where it is set; here are the ranges, and what ties several fields together.
"""

from collections.abc import Iterator
from math import isfinite

from alexrepro.errors import Refusal
from alexrepro.paper.network import Network, Stage
from alexrepro.paper.training import STORED_PX, Augmentation, Decay, Plateau, Training

Check = tuple[str, bool, str]  # field, whether it holds, what it must


def check(network: Network, training: Training, augmentation: Augmentation) -> None:
    """Raise Refusal for the first field that cannot be computed with."""
    names = {stage.name for stage in network.stages}
    fields = (
        *_of_network(network), *_of_training(training), *_of_augmentation(augmentation, network),
        ("training.begins_with", set(training.begins_with) <= names, f"name stages: {', '.join(sorted(names))}"),
    )  # fmt: skip
    for field, holds, must in fields:
        if not holds:
            raise Refusal(f"{field} must {must}.", fix=f"Change it with: --set {field}=VALUE.")
    for stage, size in network.inputs():
        if stage.kind == "local" and network.towers > 1:
            raise Refusal(
                f"{stage.name} is locally connected, and that is not shared between {network.towers} towers.",
                fix="Use one tower: --set network.towers=1.",
            )
        if stage.reads == "own" and (stage.maps % network.towers or size[0] % network.towers):
            raise Refusal(
                f"{stage.name} has {stage.maps} maps and reads {size[0]}, each tower its own, "
                f"and they do not divide between {network.towers} towers.",
                fix=f"Choose a multiple: --set network.{stage.name}.maps=N, or --set network.towers=1.",
            )
    for layer in network.layers():
        if min(layer.output) < 1:
            raise Refusal(
                f"{layer.name} would have the size {layer.output}: the input of {network.input_px} px is too small.",
                fix="Raise network.input_px, or lower strides and kernels.",
            )


def _of_network(network: Network) -> Iterator[Check]:
    yield "network.input_px", network.input_px >= 1, "be 1 or more"
    yield "network.towers", network.towers >= 1, "be 1 or more"
    yield "network.channels", network.channels >= 1, "be 1 or more"
    yield "network.pool.size_px", network.pool.size_px >= 1, "be 1 or more"
    yield "network.pool.stride_px", network.pool.stride_px >= 1, "be 1 or more"
    if network.input_std is not None:
        deviations, channels = network.input_std, network.channels
        fits = len(deviations) == channels and all(isfinite(std) and std > 0 for std in deviations)
        yield "network.input_std", fits, f"have a number above 0 for each of {channels} channels"
    yield "network.dropout", 0 <= network.dropout < 1, "be 0 or more and below 1"
    names = [stage.name for stage in network.stages]
    yield "network.stages", bool(names) and len(set(names)) == len(names), "have different names"
    if network.norm:
        yield "network.norm.n", network.norm.n >= 1 and network.norm.n % 2 == 1, "be odd"
    if network.same_map_norm:
        size_px = network.same_map_norm.size_px
        yield "network.same_map_norm.size_px", size_px >= 1 and size_px % 2 == 1, "be odd"
    for stage in network.stages:
        yield from _of_stage(stage, f"network.{stage.name}")


def _of_stage(stage: Stage, path: str) -> Iterator[Check]:
    yield f"{path}.maps", stage.maps >= 1, "be 1 or more"
    yield f"{path}.kernel_px", stage.kernel_px >= 1 or stage.kind == "full", "be 1 or more"
    yield f"{path}.stride_px", stage.stride_px >= 1, "be 1 or more"
    yield f"{path}.pad_px", stage.pad_px >= 0, "be 0 or more"
    yield f"{path}.order", len(set(stage.order)) == len(stage.order), "name each operation once"
    yield f"{path}.weight_std", _is_rate(stage.weight_std), "be 0 or more"
    yield f"{path}.dropout", stage.dropout is None or 0 <= stage.dropout < 1, "be 0 or more and below 1, or none"


def _of_training(training: Training) -> Iterator[Check]:
    yield "training.batch", training.batch >= 1, "be 1 or more"
    yield "training.epochs", training.epochs >= 1, "be 1 or more"
    yield "training.momentum", 0 <= training.momentum < 1, "be 0 or more and below 1"
    factor = training.rate_factor
    yield "training.rate_factor", isfinite(factor) and factor > 0, "be above 0"
    for name in ("rate", "bias_rate", "weight_decay", "bias_decay"):
        yield f"training.{name}", _is_rate(getattr(training, name)), "be 0 or more"
    if isinstance(training.schedule, Plateau):
        yield "training.schedule.factor", training.schedule.factor > 1, "be above 1"
        yield "training.schedule.patience_epochs", training.schedule.patience_epochs >= 1, "be 1 or more"
        return
    if isinstance(training.schedule, Decay):
        falling = {"": training.rate, "bias_": training.bias_rate}
        for kind, first in falling.items():
            end, levels = (getattr(training.schedule, f"{kind}{name}") for name in ("end", "levels"))
            yield f"training.schedule.{kind}end", end > 0 and first > 0, f"be above 0, as training.{kind}rate"
            yield f"training.schedule.{kind}levels", levels is None or levels >= 2, "be 2 or more, or none"
    rates = [rate for line in training.schedule.at for rate in (line.rate, line.bias_rate) if rate is not None]
    yield "training.schedule.at", all(map(_is_rate, rates)), "have rates of 0 or more"


def _of_augmentation(augmentation: Augmentation, network: Network) -> Iterator[Check]:
    yield "augmentation.shared_by", augmentation.shared_by >= 1, "be 1 or more"
    stored = augmentation.stored_px
    yield (
        "augmentation.stored_px",
        stored % 32 == 0 and 0 < stored <= STORED_PX,
        f"be a multiple of 32 up to {STORED_PX}",
    )
    yield "network.input_px", network.input_px <= stored, f"be at most {stored}, the side of the stored images"
    room_px, last = stored - network.input_px, augmentation.last_offset_px
    yield "augmentation.last_offset_px", 0 <= last <= room_px, f"be from 0 to {room_px}, the room around a view"
    if augmentation.color_shift:
        yield "augmentation.color_shift.divide_by", augmentation.color_shift.divide_by > 0, "be above 0"


def _is_rate(value: float) -> bool:
    return isfinite(value) and value >= 0
