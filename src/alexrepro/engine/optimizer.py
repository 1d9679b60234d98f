"""The paper's update rule, with the learning rate inside the velocity (§5).

v ← 0.9 · v - 0.0005 · ε · w - ε · ⟨∂L/∂w⟩;  w ← w + v. After a drop of ε the velocity still holds the old, larger
steps for about ten updates; torch's SGD, which multiplies the whole buffer by ε, shrinks at once.
"""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from alexrepro.engine.schedule import Rates
from alexrepro.model.alexnet import AlexNet
from alexrepro.model.layers import StageLayers
from alexrepro.paper.training import Training


class Momentum:
    """Velocities of every weight and bias, and the update of §5."""

    def __init__(self, model: AlexNet, training: Training) -> None:
        self.training = training
        self.kernels = {name: cast(StageLayers, stage).kernels for name, stage in model.stages.items()}
        self.decay_factors = {stage.name: stage.decay_factor for stage in model.network.stages}
        self.velocities = {name: torch.zeros_like(p) for name, p in model.named_kernels().items()}

    def freeze(self, rates: Rates) -> None:
        """Stages whose rates are 0 stop learning: no gradient, no decay, no motion (weights.cu)."""
        for name, kernels in self.kernels.items():
            kernels.weight.requires_grad_(rates.weights[name] > 0)
            kernels.bias.requires_grad_(rates.biases[name] > 0)

    @torch.no_grad()
    def step(self, rates: Rates) -> None:
        """Update every parameter from its gradient, then clear the gradients.

        Gradients are means over the batch, as the cross entropy gives them (data.cu divides by the cases).
        """
        decay, bias_decay = self.training.weight_decay, self.training.bias_decay
        for name, kernels in self.kernels.items():
            self._move(f"{name}.weight", kernels.weight, rates.weights[name], decay * self.decay_factors[name])
            self._move(f"{name}.bias", kernels.bias, rates.biases[name], bias_decay)

    def load(self, velocities: Mapping[str, Tensor]) -> None:
        """Take over saved velocities."""
        for name, velocity in self.velocities.items():
            velocity.copy_(velocities[name])

    def _move(self, name: str, parameter: nn.Parameter, rate: float, decay: float) -> None:
        if rate == 0:
            return
        velocity, gradient = self.velocities[name], parameter.grad
        assert gradient is not None, f"{name} has no gradient"
        velocity.mul_(self.training.momentum).sub_(gradient, alpha=rate)
        if decay:
            velocity.sub_(parameter, alpha=rate * decay)
        parameter.add_(velocity)
        parameter.grad = None
