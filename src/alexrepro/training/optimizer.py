"""The paper's update rule, with the learning rate inside the velocity (§5).

v ← 0.9 · v - 0.0005 · ε · w - ε · ⟨∂L/∂w⟩;  w ← w + v. After a drop of ε the velocity still holds the old, larger
steps for about ten updates; torch's SGD, which multiplies the whole buffer by ε, shrinks at once.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from alexrepro.model.alexnet import AlexNet
from alexrepro.model.compiled import Compiled
from alexrepro.paper.training import Rates, Training

Factors = list[tuple[float, float]]  # of each parameter: ε, and 0.0005 · ε


class Momentum:
    """Stochastic gradient descent by the rule of §5, with a velocity for every weight and bias.

    If it `compiles`, all of it is one loop over memory, which rounds each velocity once more than the plain update.
    """

    bytes_per_parameter: ClassVar[int] = 4  # of its state: a velocity in float32

    def __init__(self, model: AlexNet, training: Training, *, compiles: bool = False) -> None:
        self.training = training
        self.compiles = compiles
        self.kernels = model.named_kernels()
        self.decay_factors = {stage.name: stage.decay_factor for stage in model.network.stages}
        self._velocities = {name: torch.zeros_like(parameter) for name, parameter in self.kernels.items()}
        self._factors: tuple[Factors, Tensor] | None = None  # the last ones, and the same on the device

    def state(self) -> dict[str, Tensor]:
        """Everything to be saved with the weights: the velocity of each parameter, by its name; zero at first."""
        return self._velocities

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over a saved state."""
        for name, velocity in self._velocities.items():
            velocity.copy_(state[name])

    def freeze(self, rates: Rates) -> None:
        """Stages whose rates are 0 stop learning: no gradient, no decay, no motion (weights.cu)."""
        for name, parameter in self.kernels.items():
            parameter.requires_grad_(_rate(rates, name) > 0)

    @torch.no_grad()
    def step(self, rates: Rates) -> None:
        """Update every parameter from its gradient, then clear the gradients.

        Gradients are means over the batch, as the cross entropy gives them (layer.cu bpropWeights divides by cases).
        """
        moving = [name for name in self.kernels if _rate(rates, name) > 0]
        factors = [self._rate_and_shrink(rates, name) for name in moving]
        parameters: list[Tensor] = [self.kernels[name] for name in moving]
        velocities = [self._velocities[name] for name in moving]
        gradients = [gradient for parameter in parameters if (gradient := parameter.grad) is not None]
        if self.compiles:
            self._on_device(factors)
            self.move(dict(zip(moving, gradients, strict=True)))
        else:
            for w, v, g, (learning_rate, shrink) in zip(parameters, velocities, gradients, factors, strict=True):
                v.mul_(self.training.momentum)
                v.add_(g, alpha=-learning_rate)
                if shrink:
                    v.add_(w, alpha=-shrink)
                w.add_(v)
        for parameter in parameters:
            parameter.grad = None

    def set_rates(self, rates: Rates) -> None:
        """The rates of the next moves of a recorded step, for every parameter that is not frozen."""
        learning = [name for name, parameter in self.kernels.items() if parameter.requires_grad]
        self._on_device([self._rate_and_shrink(rates, name) for name in learning])

    @torch.no_grad()
    def move(self, gradients: Mapping[str, Tensor], *, copies: Mapping[str, Tensor] | None = None) -> None:
        """Update the parameters that have gradients at the rates that were set, and copies in another number format."""
        assert self._factors is not None
        kernels: list[Tensor] = [self.kernels[name] for name in gradients]
        velocities = [self._velocities[name] for name in gradients]
        rounded = [copies[name] for name in gradients] if copies else []
        move = _move_at_once if self.compiles else _move_at_once.plain
        move(kernels, velocities, list(gradients.values()), self._factors[1], self.training.momentum, copies=rounded)

    def _rate_and_shrink(self, rates: Rates, name: str) -> tuple[float, float]:
        stage, _, part = name.partition(".")
        learning_rate = _rate(rates, name)
        if part in ("weight", "side"):
            decay = self.training.weight_decay * self.decay_factors[stage]
        else:  # gains, too, would shrink to nothing, and nothing is gained by it
            decay = self.training.bias_decay
        return learning_rate, learning_rate * decay

    def _on_device(self, factors: Factors) -> Tensor:
        """Rates and shrinks on the device, (parameters, 2); sent there only when they change."""
        if self._factors is None or self._factors[0] != factors:
            on_device = next(iter(self._velocities.values())).new_tensor(factors)
            if self._factors is not None and len(self._factors[0]) == len(factors):
                on_device = self._factors[1].copy_(on_device)  # where a recorded step reads them
            self._factors = factors, on_device
        return self._factors[1]


@Compiled
def _move_at_once(
    parameters: list[Tensor],
    velocities: list[Tensor],
    gradients: list[Tensor],
    factors: Tensor,
    momentum: float,
    *,
    copies: Sequence[Tensor] = (),
) -> None:
    """The same for all parameters, each with its own rate and shrink; numbers in memory need no compiling anew."""
    for i, (w, v, g) in enumerate(zip(parameters, velocities, gradients, strict=True)):
        moved = momentum * v - factors[i, 0] * g - factors[i, 1] * w
        v.copy_(moved)
        w.copy_(w + moved)
        if copies:
            copies[i].copy_(w)


def _rate(rates: Rates, name: str) -> float:
    """The rate of a stage's bias or shift, or of whatever else it learns."""
    stage, _, part = name.partition(".")
    return rates.biases[stage] if part in ("bias", "shift") else rates.weights[stage]


Optimizer = Momentum  # or another class with all of its methods
OPTIMIZERS: dict[str, type[Optimizer]] = {"momentum": Momentum}  # what `training.optimizer` may be


def make_optimizer(model: AlexNet, training: Training, *, compiles: bool = False) -> Optimizer:
    """The optimizer of a recipe for a network that is on its device, with nothing in its state yet."""
    return OPTIMIZERS[training.optimizer](model, training, compiles=compiles)
