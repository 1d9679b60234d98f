"""The network of `alexnet.py` laid out for a GPU: the same weights and sums, in shapes for which kernels are fast.

Each tower's maps are a tensor of their own, so that its convolution is dense instead of one of `groups`; and conv1
reads a block of 4×4 pixels as one pixel of 48 channels, which turns its 11×11 kernels of stride 4 into 3×3 ones.
B batch, C maps, S side of a crop, T towers, s stride, k side of a kernel, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from alexrepro.model.alexnet import AlexNet
from alexrepro.model.layers import ConvOrLinear, StageModule
from alexrepro.model.normalization import ResponseNorm, use_norms
from alexrepro.model.operations import OPERATIONS, Dropout
from alexrepro.model.tower_parallel import LocalTowers
from alexrepro.paper.network import Network, Operation

Parts = list[Tensor]  # the maps of each tower, or one tensor with those of all


@dataclass(frozen=True)
class Layout:
    """What is changed: dense convolutions of each tower, conv1 over blocks, and hand-written norm kernels."""

    dense_towers: bool = True
    blocks: bool = True
    norm_kernels: bool = True


class FastNetwork(nn.Module):
    """Computes the logits of an AlexNet that holds all towers, with its weights in any number format."""

    def __init__(self, model: AlexNet, layout: Layout) -> None:
        super().__init__()
        network = model.network
        self.model, self.is_dense = model, layout.dense_towers
        self.blocks = blocks_of(network) if layout.blocks else 0
        self.operations = nn.ModuleDict()
        for stage in network.stages:
            names = cast(list[Operation], list(model.stage(stage.name).operations))
            own = {str(name): OPERATIONS[name].build(network, stage, LocalTowers()) for name in names}
            if "norm" in own and self._is_in_parts(stage.name) and network.norm and network.norm.per_tower:
                own["norm"] = ResponseNorm(network.norm, maps=stage.maps // network.towers, groups=1)
            self.operations[stage.name] = nn.ModuleDict(own)
        self.to(next(model.parameters()).device)
        if layout.norm_kernels:
            use_norms(self.operations, "kernels")

    def forward(self, crops: Tensor, masks: Mapping[str, Tensor] | None, weights: Mapping[str, Tensor]) -> Tensor:
        """Logits (B, K) of crops (B, 3, S, S), in the format of the weights; those are `named_kernels` of the model."""
        network = self.model.network
        parts: Parts = [crops / self.model.input_std.to(crops.dtype) if network.input_std else crops]
        for name in self.model.stages:
            operations = cast(nn.ModuleDict, self.operations[name])
            parts = self._kernels(self.model.stage(name), parts, weights[f"{name}.weight"], weights[f"{name}.bias"])
            for kind, operation in operations.items():
                if isinstance(operation, Dropout):
                    units = _whole(parts)
                    parts = [operation(units, masks[name].to(units.dtype) if masks is not None else None)]
                elif kind == "norm" and network.norm and not network.norm.per_tower:
                    parts = [operation(_whole(parts))]
                else:
                    parts = [operation(part) for part in parts]
        return _whole(parts)

    def _is_in_parts(self, name: str) -> bool:
        stage = self.model.stage(name).kernels.stage
        return self.is_dense and stage.kind == "conv" and stage.maps % self.model.network.towers == 0

    def _kernels(self, stage: StageModule, parts: Parts, weight: Tensor, bias: Tensor) -> Parts:
        kernels = cast(ConvOrLinear, stage.kernels)
        about, towers = kernels.stage, self.model.network.towers
        if about.kind == "full":
            x = _whole(parts).flatten(1)
            if kernels.groups == 1:
                return [F.linear(x, weight, bias)]
            rows = zip(x.chunk(towers, 1), weight.chunk(towers), bias.chunk(towers), strict=True)
            return [F.linear(*tower) for tower in rows]
        stride_px = about.stride_px
        if self.blocks and about == self.model.network.stages[0]:
            parts, weight, stride_px = [in_blocks(parts[0], stride_px, self.blocks)], in_blocks(weight, stride_px), 1
        elif after_px := kernels.pad_after_px:
            parts = [F.pad(part, (0, after_px, 0, after_px)) for part in parts]
        if not self._is_in_parts(about.name):
            return [F.conv2d(_whole(parts), weight, bias, stride_px, about.pad_px, groups=kernels.groups)]
        if kernels.groups == 1:
            parts = [_whole(parts)] * towers
        elif len(parts) == 1:
            parts = [part.contiguous(memory_format=torch.channels_last) for part in parts[0].chunk(towers, 1)]
        rows = zip(parts, weight.chunk(towers), bias.chunk(towers), strict=True)
        return [F.conv2d(x, w, b, stride_px, about.pad_px) for x, w, b in rows]


class OwnNetwork(nn.Module):
    """Computes the logits as a part of an AlexNet itself does, with its weights in any number format."""

    def __init__(self, model: AlexNet) -> None:
        super().__init__()
        self.model = model
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        self.names = {kernel: names[id(parameter)] for kernel, parameter in model.named_kernels().items()}

    def forward(self, crops: Tensor, masks: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> Tensor:
        """Logits (B, K) of crops (B, 3, S, S), in the format of the weights; those are `named_kernels` of the model."""
        own = {self.names[kernel]: weight for kernel, weight in weights.items()}
        rounded = {name: mask.to(crops.dtype) for name, mask in masks.items()}
        return cast(Tensor, functional_call(self.model, own, (crops, rounded)))


def can_lay_out(network: Network) -> bool:
    """Whether a network can be laid out so: no kernels for each location, no side input, no norm that learns."""
    is_plain = network.side_input is None and not (network.norm and network.norm.learns)
    return is_plain and all(stage.kind != "local" for stage in network.stages)


def blocks_of(network: Network) -> int:
    """Blocks in a row of what the first stage reads, each of its stride's side; 0 if it cannot read blocks."""
    first = network.stages[0]
    blocks = network.conv_output_px(first, network.input_px) - 1 + -(-first.kernel_px // first.stride_px)
    fits = network.input_px <= blocks * first.stride_px
    return blocks if first.kind == "conv" and first.stride_px > 1 and first.pad_px == 0 and fits else 0


def in_blocks(pixels: Tensor, block_px: int, blocks: int = 0) -> Tensor:
    """Every s×s pixels as one: (B, 3, S, S) -> (B, 3·s·s, blocks, blocks), with zeros after the last pixel.

    Without a number of blocks, there are as many as hold the pixels: kernels (C, 3, 11, 11) become (C, 48, 3, 3).
    """
    side_px = pixels.shape[-1]
    after_px = (blocks or -(-side_px // block_px)) * block_px - side_px
    found = F.pixel_unshuffle(F.pad(pixels, (0, after_px, 0, after_px)), block_px)
    return found.contiguous(memory_format=torch.channels_last)


def _whole(parts: Parts) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)
