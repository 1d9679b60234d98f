"""AlexNet: the stages of a `Network` in a row, with the paper's initial weights (§3.5, §5).

A tensor's maps are its towers side by side, so that one process that holds both towers is the grouped network.
B batch, K classes.
"""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from alexrepro.keys import key
from alexrepro.model.layers import StageLayers
from alexrepro.model.wire import Alone, Wire
from alexrepro.paper.network import Network


class AlexNet(nn.Module):
    """The network of §3: views (B, 3, 224, 224) in, logits (B, K) out."""

    def __init__(self, network: Network, wire: Wire | None = None) -> None:
        super().__init__()
        self.network = network
        self.wire = wire or Alone()
        self.stages = nn.ModuleDict({s.name: StageLayers(network, s, size) for s, size in network.inputs()})

    def forward(self, views: Tensor, masks: Mapping[str, Tensor] | None = None) -> Tensor:
        """Logits of the views; `masks` from `draw_masks` in training, None in testing."""
        x = views  # (B, 3, 224, 224)
        for name, module in self.stages.items():  # conv1 … fc8
            stage = cast(StageLayers, module)
            if stage.reads_both:
                x = self.wire.join(x)  # (B, C·t/T, …) -> (B, C, …)
            x = stage(x, masks[name] if masks is not None and stage.has_dropout else None)
        return self.wire.collect(x)  # (B, K)

    def named_kernels(self) -> dict[str, nn.Parameter]:
        """Every weight and bias as `<stage>.weight` and `<stage>.bias`, in the order of the stages."""
        return {
            f"{name}.{part}": cast(nn.Parameter, getattr(cast(StageLayers, stage).kernels, part))
            for name, stage in self.stages.items()
            for part in ("weight", "bias")
        }

    def draw_masks(self, batch: int, *, key_of_step: int) -> dict[str, Tensor]:
        """A 0/1 mask (B, units) for each stage with dropout, drawn at full width from the key of the step (§4.2)."""
        parameter = next(self.parameters())
        masks = {}
        for stage in self.network.stages:
            if cast(StageLayers, self.stages[stage.name]).has_dropout:
                generator = torch.Generator(parameter.device).manual_seed(key(key_of_step, stage.name))
                chances = torch.rand(batch, stage.maps, generator=generator, device=parameter.device)
                masks[stage.name] = (chances >= self.network.dropout).to(parameter.dtype)
        return masks


def build(network: Network, *, seed: int) -> AlexNet:
    """The network with the paper's initial weights and biases: Gaussian weights, constant biases (§5).

    Every stage draws from its own key on the CPU, so the weights depend on the seed and the stage alone.
    """
    model = AlexNet(network)
    with torch.no_grad():
        for stage in network.stages:
            kernels = cast(StageLayers, model.stages[stage.name]).kernels
            generator = torch.Generator().manual_seed(key(seed, "weights", stage.name))
            kernels.weight.normal_(0.0, stage.weight_std, generator=generator)
            kernels.bias.fill_(stage.bias)
    return model
