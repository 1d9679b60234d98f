"""Locally connected kernels: as a convolution, but every place of the map has kernels of its own (conv-local-13pct).

B batch, C maps, P places of the output, k side of a kernel.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexrepro.paper.network import Network, Size, Stage


class LocalKernels(nn.Module):
    """Weights (P, C·k·k, maps) and biases (P, maps): one matrix for each place, without sharing (layer.py local).

    What a place sees is laid out with its images side by side, which takes a third of the time of F.unfold.
    """

    def __init__(self, network: Network, stage: Stage, size: Size) -> None:
        super().__init__()
        self.stage = stage
        self.side_px = network.conv_output_px(stage, size[1])
        self.pad_after_px = network.pad_after_px(stage, size[1])
        places = self.side_px**2
        self.weight = nn.Parameter(torch.empty(places, size[0] * stage.kernel_px**2, stage.maps))
        self.bias = nn.Parameter(torch.empty(places, stage.maps))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, maps, H', W')."""
        pad, after = self.stage.pad_px, self.stage.pad_px + self.pad_after_px
        kernel, stride = self.stage.kernel_px, self.stage.stride_px
        padded = F.pad(x, (pad, after, pad, after)).permute(2, 3, 0, 1).contiguous()  # (H, W, B, C)
        span = stride * (self.side_px - 1) + 1
        shifted = [padded[y : y + span : stride, z : z + span : stride] for y in range(kernel) for z in range(kernel)]
        seen = torch.stack(shifted, dim=3).view(len(self.weight), len(x), -1)  # (P, B, k·k·C)
        weight = torch.unflatten(self.weight, 1, (-1, kernel**2)).transpose(1, 2).flatten(1, 2)  # its C·k·k as k·k·C
        found = torch.baddbmm(self.bias[:, None], seen, weight)  # (P, B, maps)
        return found.view(self.side_px, self.side_px, len(x), -1).permute(2, 3, 0, 1)
