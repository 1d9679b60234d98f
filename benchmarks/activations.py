"""What each stage of a network passes on, and the gradients of its weights, for one batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexrepro.model.alexnet import AlexNet
from alexrepro.model.layers import StageModule
from alexrepro.model.operations import Dropout


@dataclass(frozen=True)
class StageStats:
    """What one stage passes on, before its dropout, and the gradient of the loss for its weights.

    activation_mean: over all units and images; activation_std: a unit's standard deviation over the images, averaged
    over the units. weight_rms, gradient_rms: root mean squares over the stage's weights; the loss is a batch mean.
    """

    stage: str
    activation_mean: float
    activation_std: float
    weight_rms: float
    gradient_rms: float

    def update_ratio(self, learning_rate: float) -> float:
        """Length of the first step, decay apart, as a fraction of the weights: ε · |∂L/∂w| / |w| (§5).

        Decay moves the weights by 0.0005 · ε of their length; where the ratio is not larger, decay rules the stage.
        """
        return learning_rate * self.gradient_rms / self.weight_rms if self.weight_rms else float("inf")


@dataclass(frozen=True)
class ActivationStats:
    """The mean cross entropy of a batch in nats, and every stage in the order of the network."""

    loss: float
    stages: tuple[StageStats, ...]


def activation_stats(model: AlexNet, crops: Tensor, labels: Tensor) -> ActivationStats:
    """Activations of every stage for the crops, and gradients of its weights for their labels.

    crops: (B, 3, S, S) on the model's device, B >= 2; labels: int64 (B,), below K. Leaves no gradient behind.
    Raises ValueError for a single image; no stage may be frozen.
    """
    if len(crops) < 2:
        raise ValueError("a deviation over images needs two of them")
    weights = {name: cast(StageModule, stage).kernels.weight for name, stage in model.stages.items()}
    with _recorded(model) as activations, torch.enable_grad():
        loss = F.cross_entropy(model(crops), labels)
    gradients = torch.autograd.grad(loss, list(weights.values()))
    stages = tuple(
        StageStats(name, *activations[name], weight_rms=_rms(weight), gradient_rms=_rms(gradient))
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
    )
    return ActivationStats(loss.item(), stages)


@contextmanager
def _recorded(model: AlexNet) -> Iterator[dict[str, tuple[float, float]]]:
    """Mean and deviation of the activations by stage, filled by a forward pass within the block."""
    found: dict[str, tuple[float, float]] = {}

    def hook(name: str) -> Any:
        def record(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            found[name] = output.detach().mean().item(), output.detach().std(0).mean().item()

        return record

    handles = [_last(cast(StageModule, s)).register_forward_hook(hook(name)) for name, s in model.stages.items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _last(stage: StageModule) -> nn.Module:
    """The last operation of a stage that is not dropout, or its kernels."""
    return [stage.kernels, *(op for op in stage.operations.values() if not isinstance(op, Dropout))][-1]


def _rms(values: Tensor) -> float:
    return values.detach().square().mean().sqrt().item()
