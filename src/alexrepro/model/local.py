"""Locally connected kernels: as a convolution, but every place of the map has kernels of its own (conv-local-13pct).

B batch, C maps, P places of the output, k side of a kernel.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexrepro.paper.network import Network, Size, Stage


class LocalKernels(nn.Module):
    """Weights (P, C·k·k, maps) and biases (P, maps): one matrix for each place, without sharing (layer.py local)."""

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
        windows = F.unfold(F.pad(x, (pad, after, pad, after)), self.stage.kernel_px, stride=self.stage.stride_px)
        seen = windows.permute(2, 0, 1)  # (B, C·k·k, P) -> (P, B, C·k·k)
        found = torch.baddbmm(self.bias[:, None], seen, self.weight)  # (P, B, maps)
        return found.permute(1, 2, 0).reshape(len(x), -1, self.side_px, self.side_px)
