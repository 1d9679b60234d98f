"""One stage of the network in torch: its kernels, then response, normalization, pooling, dropout in its order.

Layers are plain torch where the paper's operation equals torch's. They differ in three places: conv1's zeros on
the right and below only, response normalization, and dropout that halves at test time instead of doubling in training.
A process that holds some of the towers holds that part of a stage's maps; the last stage is replicated where its
classes cannot be divided.
B batch, C maps, H W pixels, P processes that hold the towers together.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexrepro.model.locally_connected import LocalKernels
from alexrepro.model.normalization import ContrastNorm, ResponseNorm, SameMap
from alexrepro.model.tower_parallel import LocalTowers
from alexrepro.paper.network import Network, Norm, Operation, SideInput, Size, Stage


class Dropout(nn.Module):
    """Zero a unit with this probability in training; multiply by the rest of it in testing (§4.2).

    Later networks leave testing alone and divide by the rest of it in training. The mask is an argument, never drawn
    here, so that a step can be repeated exactly.
    """

    def __init__(self, probability: float, scales: Literal["testing", "training"] = "testing") -> None:
        super().__init__()
        kept = 1 - probability
        self.in_testing, self.in_training = (kept, 1.0) if scales == "testing" else (1.0, 1 / kept)

    def forward(self, units: Tensor, mask: Tensor | None) -> Tensor:
        """Units times a 0/1 mask of their size (training), or scaled for testing when there is no mask."""
        return units * self.in_testing if mask is None else units * (mask * self.in_training)


class Kernels(nn.Module):
    """The learned part of a stage: a convolution or a full connection, each tower seeing its own maps or all.

    `processes` share its maps evenly; `size` is that of the input of all towers.
    """

    def __init__(self, network: Network, stage: Stage, size: Size, *, processes: int = 1) -> None:
        super().__init__()
        self.stage = stage
        self.groups = max(1, network.groups(stage) // processes)
        self.pad_after_px = network.pad_after_px(stage, size[1]) if stage.kind == "conv" else 0
        seen = size[0] // network.groups(stage)
        maps = stage.maps // processes
        shape = (stage.kernel_px, stage.kernel_px) if stage.kind == "conv" else ()
        inputs = seen if stage.kind == "conv" else seen * size[1] * size[2]
        self.weight = nn.Parameter(torch.empty(maps, inputs, *shape))
        self.bias = nn.Parameter(torch.empty(maps))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, maps, H', W'), or (B, maps) after a full connection."""
        if self.stage.kind == "full":
            return self._full(x.flatten(1))
        if self.pad_after_px:  # conv1: 1 + ceil((224 - 11) / 4) = 55 needs 3 zeros right and below
            x = F.pad(x, (0, self.pad_after_px, 0, self.pad_after_px))
        return F.conv2d(x, self.weight, self.bias, self.stage.stride_px, self.stage.pad_px, groups=self.groups)

    def _full(self, x: Tensor) -> Tensor:
        if self.groups == 1:
            return F.linear(x, self.weight, self.bias)
        towers = zip(x.chunk(self.groups, 1), self.weight.chunk(self.groups), self.bias.chunk(self.groups), strict=True)
        return torch.cat([F.linear(*tower) for tower in towers], dim=1)


class SideKernels(nn.Module):
    """What a stage sees of the crop itself, blurred and made small (networks up to #141)."""

    gaussian: Tensor

    def __init__(self, side: SideInput, *, maps: int, channels: int, output_px: int, input_px: int) -> None:
        super().__init__()
        self.side, self.channels = side, channels
        self.pad_after_px = (output_px - 1) * side.stride_px + side.kernel_px - side.side_px(input_px)
        self.weight = nn.Parameter(torch.empty(maps, channels, side.kernel_px, side.kernel_px))
        taps = torch.arange(side.taps, dtype=torch.float64) - side.taps // 2
        line = (-0.5 * (taps / side.sigma_px) ** 2).exp()
        self.register_buffer("gaussian", (line / line.sum()).float(), persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        """(B, 3, 224, 224) -> (B, maps, 27, 27)."""
        line, side, half = self.gaussian.to(crops.dtype), self.side, self.side.taps // 2
        rows = line.view(1, 1, -1, 1).repeat(self.channels, 1, 1, 1)
        blurred = F.conv2d(crops, rows, padding=(half, 0), groups=self.channels)
        blurred = F.conv2d(blurred, rows.transpose(2, 3), padding=(0, half), groups=self.channels)
        small = blurred[:, :, side.first_px :: side.every_px, side.first_px :: side.every_px]  # (B, 3, 56, 56)
        small = F.pad(small, (0, self.pad_after_px, 0, self.pad_after_px))
        return F.conv2d(small, self.weight, stride=side.stride_px)


class JoinedNorm(nn.Module):
    """Response normalization whose windows reach into the maps of the next process (§3.3: N counts all maps).

    (B, C/P, H, W) -> the same size. Only the maps within reach of a border travel.
    """

    def __init__(self, norm: Norm, *, maps: int, towers: LocalTowers) -> None:
        super().__init__()
        self.towers, self.maps, self.reach = towers, maps, norm.n // 2
        self.has_before, self.has_after = towers.rank > 0, towers.rank < towers.processes - 1
        seen = maps + self.reach * (self.has_before + self.has_after)
        self.norm = ResponseNorm(norm, maps=seen, groups=1)

    def forward(self, x: Tensor) -> Tensor:
        """The normalized maps."""
        reach = self.reach
        edges = self.towers.all_gather_maps(torch.cat([x[:, :reach], x[:, self.maps - reach :]], dim=1))
        before, after = (edges[:, 2 * self.towers.rank * reach + start :][:, :reach] for start in (-reach, 2 * reach))
        seen = [before] * self.has_before + [x] + [after] * self.has_after
        normalized: Tensor = self.norm(torch.cat(seen, dim=1))
        return normalized[:, reach * self.has_before :][:, : self.maps]


class StageLayers(nn.Module):
    """A stage: kernels, then its operations in the recipe's order; absent operations are skipped."""

    def __init__(self, network: Network, stage: Stage, size: Size, towers: LocalTowers | None = None) -> None:
        super().__init__()
        towers = towers or LocalTowers()
        self.is_replicated = stage.maps % towers.processes > 0
        self.towers = LocalTowers() if self.is_replicated else towers
        processes = self.towers.processes
        self.kernels: Kernels | LocalKernels = (
            LocalKernels(network, stage, size)
            if stage.kind == "local"
            else Kernels(network, stage, size, processes=processes)
        )
        self.reads_both = stage.reads == "both"
        self.side = _side_kernels(network, stage, size, maps=stage.maps // processes)
        units = network.dropped(stage, size) if "dropout" in stage.order else ()
        self.dropped = units[:1] if stage.kind == "full" else units
        made = [(name, self._operation(name, network, stage)) for name in _pooled_first(stage.order)]
        self.operations = nn.ModuleDict({name: module for name, module in made if module is not None})

    def forward(self, x: Tensor, mask: Tensor | None, crops: Tensor | None = None) -> Tensor:
        """What the next stage reads; the mask is that of this stage's dropout, if it has one."""
        x = self.kernels(x)
        if self.side is not None:
            assert crops is not None, "this stage reads the crops, too"
            x = x + self.side(crops)
        for operation in self.operations.values():
            x = operation(x, mask) if isinstance(operation, Dropout) else operation(x)
        return x

    @property
    def has_dropout(self) -> bool:
        """Whether this stage needs a mask in training."""
        return "dropout" in self.operations

    def _operation(self, name: Operation, network: Network, stage: Stage) -> nn.Module | None:
        match name:
            case "activation":
                return nn.ReLU() if network.activation == "relu" else nn.Tanh()
            case "norm":
                return self._norm(network.norm, network.towers, stage.maps) if network.norm else None
            case "same_map_norm":
                return SameMap(network.same_map_norm) if network.same_map_norm else None
            case "contrast_norm":
                return ContrastNorm(network.same_map_norm) if network.same_map_norm else None
            case "average_pool":  # over the pixels inside the map, as the 2012 code divides
                return nn.AvgPool2d(network.pool.size_px, network.pool.stride_px, ceil_mode=True)
            case "pool":
                return nn.MaxPool2d(network.pool.size_px, network.pool.stride_px, ceil_mode=True)
            case "dropout":
                rate = network.dropout
                return Dropout(rate, network.dropout_scales) if rate else None

    def _norm(self, norm: Norm, towers: int, maps: int) -> nn.Module:
        processes = self.towers.processes
        if processes > 1 and norm.n > 1 and not norm.per_tower:
            return JoinedNorm(norm, maps=maps // processes, towers=self.towers)
        return ResponseNorm(norm, maps=maps // processes, groups=max(1, towers // processes))


def _pooled_first(order: tuple[Operation, ...]) -> tuple[Operation, ...]:
    """Max-pooling before the response instead of right after it: both rise, so the outputs are the same, for less."""
    names = list(order)
    for place in range(len(names) - 1):
        if names[place : place + 2] == ["activation", "pool"]:
            names[place : place + 2] = ["pool", "activation"]
    return tuple(names)


def _side_kernels(network: Network, stage: Stage, size: Size, *, maps: int) -> SideKernels | None:
    side = network.side_input
    if side is None or side.stage != stage.name:
        return None
    output_px = network.conv_output_px(stage, size[1])
    return SideKernels(side, maps=maps, channels=network.channels, output_px=output_px, input_px=network.input_px)
