"""The signal that a network carries and the gradient that comes back, stage by stage, on one batch.

Explains a loss that stays at chance: a constant that hides the images on the way up, or a gradient that does not reach
conv1. The pass is that of testing: scaled units stand for dropout, whose masks would hide the signal.
B batch, K classes.
"""

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
class StageSignal:
    """What one stage passes on, before its dropout, and the gradient of the loss for its weights.

    response_mean: over all units and images; response_std: a unit's standard deviation over the images, averaged over
    the units. weight_rms, gradient_rms: root mean squares over the stage's weights; the loss is a mean over the batch.
    """

    stage: str
    response_mean: float
    response_std: float
    weight_rms: float
    gradient_rms: float

    def update_ratio(self, learning_rate: float) -> float:
        """Length of the first step, decay apart, as a share of the weights: ε · |∂L/∂w| / |w| (§5).

        Decay moves the weights by 0.0005 · ε of their length; where the ratio is not larger, decay rules the stage.
        """
        return learning_rate * self.gradient_rms / self.weight_rms if self.weight_rms else float("inf")


@dataclass(frozen=True)
class Signals:
    """The mean cross entropy of a batch in nats, and every stage in the order of the network."""

    loss: float
    stages: tuple[StageSignal, ...]


def signals(model: AlexNet, crops: Tensor, labels: Tensor) -> Signals:
    """The response of every stage to the crops and the gradient of its weights for their labels.

    crops: (B, 3, S, S) on the model's device, B >= 2; labels: int64 (B,), below K. Leaves no gradient behind.
    Raises ValueError for a single image; no stage may be frozen.
    """
    if len(crops) < 2:
        raise ValueError("a deviation over images needs two of them")
    kernels = {name: cast(StageModule, stage).kernels for name, stage in model.stages.items()}
    with _responses(model) as responses, torch.enable_grad():
        loss = F.cross_entropy(model(crops), labels)
    weights = [kernel.weight for kernel in kernels.values()]
    gradients = torch.autograd.grad(loss, weights)
    stages = tuple(
        StageSignal(name, *responses[name], weight_rms=_rms(weight), gradient_rms=_rms(gradient))
        for name, weight, gradient in zip(kernels, weights, gradients, strict=True)
    )
    return Signals(loss.item(), stages)


@contextmanager
def _responses(model: AlexNet) -> Iterator[dict[str, tuple[float, float]]]:
    """Mean and deviation of what every stage passes on, by stage; filled by a forward pass within the block."""
    found: dict[str, tuple[float, float]] = {}

    def note(name: str, response: Tensor) -> None:
        response = response.detach()
        found[name] = response.mean().item(), response.std(0).mean().item()

    def hook(name: str) -> Any:
        return lambda _module, _inputs, output: note(name, output)

    handles = [_last(cast(StageModule, s)).register_forward_hook(hook(name)) for name, s in model.stages.items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _last(stage: StageModule) -> nn.Module:
    """The operation whose output is the stage's response: the last one that is not dropout, or the kernels."""
    return [stage.kernels, *(op for op in stage.operations.values() if not isinstance(op, Dropout))][-1]


def _rms(values: Tensor) -> float:
    return values.detach().square().mean().sqrt().item()
