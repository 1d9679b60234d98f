"""One stage of the network in torch: its kernels, then response, normalization, pooling, dropout in its order.

Layers are plain torch where the paper's operation equals torch's. They differ in three places: conv1's zeros on
the right and below only, response normalization, and dropout that halves at test time instead of doubling in training.
B batch, C maps, H W pixels, T towers (all held by this process).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexrepro.model.normalization import ResponseNorm, SameMap
from alexrepro.paper.network import Network, Operation, Size, Stage


class Dropout(nn.Module):
    """Zero a unit with this probability in training; multiply by the rest of it in testing (§4.2).

    The mask is an argument, never drawn here, so that a step can be repeated exactly.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, units: Tensor, mask: Tensor | None) -> Tensor:
        """Units times a 0/1 mask of their size (training), or times 1 - probability when there is no mask."""
        return units * (1 - self.probability) if mask is None else units * mask


class Kernels(nn.Module):
    """The learned part of a stage: a convolution or a full connection, each tower seeing its own maps or all."""

    def __init__(self, network: Network, stage: Stage, size: Size) -> None:
        super().__init__()
        self.stage = stage
        self.groups = network.groups(stage)
        self.pad_after_px = network.pad_after_px(stage, size[1]) if stage.kind == "conv" else 0
        seen = size[0] // self.groups
        shape = (stage.kernel_px, stage.kernel_px) if stage.kind == "conv" else ()
        inputs = seen if stage.kind == "conv" else seen * size[1] * size[2]
        self.weight = nn.Parameter(torch.empty(stage.maps, inputs, *shape))
        self.bias = nn.Parameter(torch.empty(stage.maps))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, maps, H', W'), or (B, maps) after a full connection."""
        if self.stage.kind == "full":
            return self._full(x.flatten(1))
        if self.pad_after_px:  # conv1: 1 + ceil((224 - 11) / 4) = 55 needs 3 zeros right and below (filter_acts.cu)
            x = F.pad(x, (0, self.pad_after_px, 0, self.pad_after_px))
        return F.conv2d(x, self.weight, self.bias, self.stage.stride_px, self.stage.pad_px, groups=self.groups)

    def _full(self, x: Tensor) -> Tensor:
        if self.groups == 1:
            return F.linear(x, self.weight, self.bias)
        towers = zip(x.chunk(self.groups, 1), self.weight.chunk(self.groups), self.bias.chunk(self.groups), strict=True)
        return torch.cat([F.linear(*tower) for tower in towers], dim=1)


class StageLayers(nn.Module):
    """A stage: kernels, then its operations in the recipe's order; absent operations are skipped."""

    def __init__(self, network: Network, stage: Stage, size: Size) -> None:
        super().__init__()
        self.kernels = Kernels(network, stage, size)
        self.reads_both = stage.reads == "both"
        made = [(name, self._operation(name, network, stage)) for name in stage.order]
        self.operations = nn.ModuleDict({name: module for name, module in made if module is not None})

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """What the next stage reads; the mask is that of this stage's dropout, if it has one."""
        x = self.kernels(x)
        for operation in self.operations.values():
            x = operation(x, mask) if isinstance(operation, Dropout) else operation(x)
        return x

    @property
    def has_dropout(self) -> bool:
        """Whether this stage needs a mask in training."""
        return "dropout" in self.operations

    @staticmethod
    def _operation(name: Operation, network: Network, stage: Stage) -> nn.Module | None:
        match name:
            case "response":
                return nn.ReLU() if network.response == "relu" else nn.Tanh()
            case "norm":
                norm = network.norm
                return ResponseNorm(norm, maps=stage.maps, groups=network.towers) if norm else None
            case "same_map_norm":
                return SameMap(network.same_map_norm) if network.same_map_norm else None
            case "pool":
                return nn.MaxPool2d(network.pool.size_px, network.pool.stride_px, ceil_mode=True)
            case "dropout":
                return Dropout(network.dropout) if network.dropout else None
