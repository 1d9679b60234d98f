"""The wire between towers: how a stage that reads both towers gets the maps it does not hold (§3.2).

A process holds all towers (`Alone`) or some of them (`Paired`); the network asks its wire and does not know which.
B batch, C maps, H W pixels, K classes, T towers, t of them here, P processes that share them.
"""

from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
import torch.distributed as dist
from torch import Tensor

# The names changed between torch 2.11 and 2.15; the older ones warn where both exist.
_all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
_reduce_scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor


class Wire(Protocol):
    """What a network asks of the connection between its towers."""

    @property
    def index(self) -> int:
        """Which share of the towers this process holds."""

    @property
    def processes(self) -> int:
        """How many processes share the towers."""

    def join(self, maps: Tensor) -> Tensor:
        """All towers' maps, from the maps held here: (B, C·t/T, ...) -> (B, C, ...).

        Each process goes on to compute something else from them, so their gradient is summed over the processes.
        """

    def collect(self, logits: Tensor) -> Tensor:
        """All classes' logits, from the classes computed here: (B, K·t/T) -> (B, K).

        Every process goes on to compute the same from them, so the gradient of each is whole already.
        """

    def whole(self, share: Tensor) -> Tensor:
        """A weight, bias or velocity of all towers, from this process's rows of it; without gradient."""


class Alone:
    """Every tower lives in this process, so there is nothing to fetch."""

    index, processes = 0, 1

    def join(self, maps: Tensor) -> Tensor:
        """The maps themselves."""
        return maps

    def collect(self, logits: Tensor) -> Tensor:
        """The logits themselves."""
        return logits

    def whole(self, share: Tensor) -> Tensor:
        """The share itself."""
        return share


class Paired:
    """The towers are shared by the processes of a group; in 2012 by two GPUs, one tower each."""

    def __init__(self, group: dist.ProcessGroup) -> None:
        self.group = group
        self.index, self.processes = dist.get_rank(group), dist.get_world_size(group)

    def join(self, maps: Tensor) -> Tensor:
        """All towers' maps; the gradient is summed, and each process keeps its slice of the sum."""
        return cast(Tensor, _Gather.apply(maps, self, True))

    def collect(self, logits: Tensor) -> Tensor:
        """All classes' logits; each process keeps its slice of the gradient."""
        return cast(Tensor, _Gather.apply(logits, self, False))

    @torch.no_grad()
    def whole(self, share: Tensor) -> Tensor:
        """The rows of all processes, below one another."""
        share = share.contiguous()
        rows = share.new_empty(self.processes * len(share), *share.shape[1:])
        _all_gather(rows, share, group=self.group)
        return rows


@dataclass
class Traffic:
    """What one process sends to the others for one image, and how many values all of them have gathered by then."""

    values: int = 0
    bytes_forward: int = 0
    bytes_back: int = 0


class Cut:
    """A wire that is cut: copies of what is held here stand for what the others hold, and nothing travels.

    It counts what would, in `traffic`, and lets the work beside it be timed.
    """

    def __init__(self, index: int, processes: int) -> None:
        self.index, self.processes = index, processes
        self.traffic = Traffic()

    def join(self, maps: Tensor) -> Tensor:
        """The maps, once for each process; of the gradient, the others' slices would travel."""
        self._count(maps, travels_back=True)
        return torch.cat([maps] * self.processes, dim=1)

    def collect(self, logits: Tensor) -> Tensor:
        """The logits, once for each process; the others' slices of the gradient are not needed."""
        self._count(logits, travels_back=False)
        return torch.cat([logits, *[logits.detach()] * (self.processes - 1)], dim=1)

    def whole(self, share: Tensor) -> Tensor:
        """The share itself."""
        return share

    def _count(self, maps: Tensor, *, travels_back: bool) -> None:
        sent = maps[0].numel() * maps.element_size() * (self.processes - 1)
        self.traffic.values += maps[0].numel() * self.processes
        self.traffic.bytes_forward += sent
        self.traffic.bytes_back += sent * travels_back


class _Gather(torch.autograd.Function):
    """Concatenate along the maps what every process of the wire holds.

    Maps travel last, (B, H, W, C), which is how tensors in channels-last memory lie anyway. A process without images
    has nothing to say, and neither have the others of its group.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, wire: Paired, is_summed: bool) -> Tensor:
        ctx.wire, ctx.is_summed = wire, is_summed
        own = maps.movedim(1, -1).contiguous()  # (B, H, W, c)
        parts = own.new_empty(wire.processes, *own.shape)
        if own.numel():
            _all_gather(parts.flatten(0, 1), own, group=wire.group)
        return torch.cat(parts.unbind(), dim=-1).movedim(-1, 1)  # (B, C, H, W)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        wire: Paired = ctx.wire
        parts = gradients[0].movedim(1, -1).chunk(wire.processes, dim=-1)
        own = parts[wire.index].contiguous()  # (B, H, W, c)
        if ctx.is_summed and own.numel():
            own = torch.empty_like(own)
            _reduce_scatter(own, torch.cat([part.contiguous() for part in parts]), group=wire.group)
        return own.movedim(-1, 1), None, None
