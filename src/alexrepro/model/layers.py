"""One stage of the network in torch: its kernels, then activation, normalization, pooling and dropout in its order.

Three of them differ from torch's: conv1's zeros on the right and below only, response normalization, and dropout.
A process with some of the towers holds that part of a stage's maps, or all classes where they cannot be divided.
B batch, C maps, H W pixels, L locations in a map, k side of a kernel.
"""

from itertools import takewhile

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexrepro.model.normalization import BatchNorm
from alexrepro.model.operations import OPERATIONS, Dropout, pooled_first
from alexrepro.model.tower_parallel import LocalTowers
from alexrepro.paper.network import Network, SideInput, Size, Stage


class ConvOrLinear(nn.Module):
    """A convolution or a full connection, each tower reading its own maps or all; size: of the input of all towers."""

    def __init__(self, network: Network, stage: Stage, size: Size, *, processes: int = 1) -> None:
        super().__init__()
        self.stage = stage
        self.groups = max(1, network.groups(stage) // processes)
        self.pad_after_px = network.pad_after_px(stage, size[1]) if stage.kind == "conv" else 0
        inputs = size[0] // network.groups(stage)
        maps = stage.maps // processes
        shape = (inputs, stage.kernel_px, stage.kernel_px) if stage.kind == "conv" else (inputs * size[1] * size[2],)
        self.weight = nn.Parameter(torch.empty(maps, *shape))
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


class LocallyConnected(nn.Module):
    """Weights (L, C·k·k, maps) and biases (L, maps): one matrix for each location (conv-local-13pct; layer.py local).

    Windows are laid out with the images of a batch side by side, which takes a third of the time of F.unfold.
    """

    def __init__(self, network: Network, stage: Stage, size: Size) -> None:
        super().__init__()
        self.stage = stage
        self.side_px = network.conv_output_px(stage, size[1])
        self.pad_after_px = network.pad_after_px(stage, size[1])
        self.weight = nn.Parameter(torch.empty(self.side_px**2, size[0] * stage.kernel_px**2, stage.maps))
        self.bias = nn.Parameter(torch.empty(self.side_px**2, stage.maps))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, maps, H', W')."""
        pad, after = self.stage.pad_px, self.stage.pad_px + self.pad_after_px
        kernel, stride = self.stage.kernel_px, self.stage.stride_px
        padded = F.pad(x, (pad, after, pad, after)).permute(2, 3, 0, 1).contiguous()  # (H, W, B, C)
        span = stride * (self.side_px - 1) + 1
        shifted = [padded[y : y + span : stride, z : z + span : stride] for y in range(kernel) for z in range(kernel)]
        windows = torch.stack(shifted, dim=3).view(len(self.weight), len(x), -1)  # (L, B, k·k·C)
        weight = torch.unflatten(self.weight, 1, (-1, kernel**2)).transpose(1, 2).flatten(1, 2)  # its C·k·k as k·k·C
        found = torch.baddbmm(self.bias[:, None], windows, weight)  # (L, B, maps)
        return found.view(self.side_px, self.side_px, len(x), -1).permute(2, 3, 0, 1)


class SideInputConv(nn.Module):
    """What a stage adds from the crop itself, blurred and subsampled (networks up to #141)."""

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


class StageModule(nn.Module):
    """A stage: kernels, then its operations in the recipe's order; operations that the network lacks are skipped."""

    def __init__(self, network: Network, stage: Stage, size: Size, towers: LocalTowers | None = None) -> None:
        super().__init__()
        towers = towers or LocalTowers()
        self.is_replicated = stage.maps % towers.processes > 0
        self.towers = LocalTowers() if self.is_replicated else towers
        processes = self.towers.processes
        self.kernels: ConvOrLinear | LocallyConnected = (
            LocallyConnected(network, stage, size)
            if stage.kind == "local"
            else ConvOrLinear(network, stage, size, processes=processes)
        )
        self.reads_both = stage.reads == "both"
        side, self.side = network.side_input, None
        if side is not None and side.stage == stage.name:
            output_px = network.conv_output_px(stage, size[1])
            self.side = SideInputConv(
                side, maps=stage.maps // processes, channels=network.channels, output_px=output_px,
                input_px=network.input_px,
            )  # fmt: skip
        units = network.output(stage, size, tuple(takewhile(lambda name: name != "dropout", stage.order)))
        self.dropped = units[:1] if stage.kind == "full" else units
        names = [name for name in pooled_first(stage.order) if name in network.operations(stage)]
        self.operations = nn.ModuleDict({name: OPERATIONS[name].build(network, stage, self.towers) for name in names})

    def forward(
        self, x: Tensor, mask: Tensor | None, crops: Tensor | None = None, *, is_training: bool = False
    ) -> Tensor:
        """What the next stage reads; mask: of this stage's dropout, if it has one."""
        x = self.kernels(x)
        if self.side is not None:
            assert crops is not None, "this stage reads the crops, too"
            x = x + self.side(crops)
        for operation in self.operations.values():
            if isinstance(operation, BatchNorm):
                x = operation(x, is_training)
            else:
                x = operation(x, mask) if isinstance(operation, Dropout) else operation(x)
        return x

    def learned_parts(self) -> dict[str, nn.Parameter]:
        """What batch or layer normalization learns: a `gain` and a `shift` for each map."""
        found = [named for module in self.operations.values() for named in module.named_parameters()]
        return {{"weight": "gain", "bias": "shift"}[name]: parameter for name, parameter in found}

    def statistics(self) -> dict[str, Tensor]:
        """The `running_mean` and `running_var` of batch normalization."""
        found = [named for module in self.operations.values() for named in module.named_buffers()]
        return {name: buffer for name, buffer in found if name.startswith("running_")}

    @property
    def has_dropout(self) -> bool:
        """Whether this stage needs a mask in training."""
        return "dropout" in self.operations
