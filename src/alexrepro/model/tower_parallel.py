"""Tower parallelism: how a stage that reads both towers gets the maps that another process holds (§3.2).

A process holds all towers (`LocalTowers`) or an equal part of them (`ShardedTowers`); the network does not know which.
B batch, C maps, H W pixels, K classes, T towers, t of them held here.
"""

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor

# The names changed between torch 2.11 and 2.15; the older ones warn where both exist.
_all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
_reduce_scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor


class LocalTowers:
    """All towers are in this process, so nothing is sent. rank: of `processes` that hold the towers together."""

    rank, processes = 0, 1

    def all_gather_maps(self, maps: Tensor) -> Tensor:
        """The maps of all towers, (B, C·t/T, ...) -> (B, C, ...); their gradient is summed over the processes."""
        return maps

    def gather_logits(self, logits: Tensor) -> Tensor:
        """The logits of all classes, (B, K·t/T) -> (B, K); every process already has their full gradient."""
        return logits

    def gather_full(self, rows: Tensor) -> Tensor:
        """The full weight, bias or velocity from this process's rows of it, without gradient."""
        return rows


class ShardedTowers(LocalTowers):
    """The processes of a group hold the towers together; in 2012 these were two GPUs with one tower each."""

    def __init__(self, group: dist.ProcessGroup) -> None:
        self.group = group
        self.rank, self.processes = dist.get_rank(group), dist.get_world_size(group)

    def all_gather_maps(self, maps: Tensor) -> Tensor:
        """The maps of all towers; each process gets the slice of its own maps from the summed gradient."""
        return cast(Tensor, _Gather.apply(maps, self, True))

    def gather_logits(self, logits: Tensor) -> Tensor:
        """The logits of all classes; each process keeps the slice of its own classes from the gradient."""
        return cast(Tensor, _Gather.apply(logits, self, False))

    @torch.no_grad()
    def gather_full(self, rows: Tensor) -> Tensor:
        """The rows of all processes, in the order of their ranks."""
        rows = rows.contiguous()
        full = rows.new_empty(self.processes * len(rows), *rows.shape[1:])
        _all_gather(full, rows, group=self.group)
        return full


class SumOverReplicas(torch.autograd.Function):
    """The sum of a tensor over the processes of a group, and of its gradient."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: dist.ProcessGroup) -> Tensor:
        """The sum, the same in all."""
        ctx.group = group
        total = tensor.clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The sum of the gradients: each process's loss depends on every process's tensor."""
        total = gradients[0].clone()
        dist.all_reduce(total, group=ctx.group)
        return total, None


class _Gather(torch.autograd.Function):
    """Concatenate the maps of every process, sent as (B, H, W, C); without images, which is so in all, nothing is."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, towers: ShardedTowers, is_summed: bool) -> Tensor:
        ctx.towers, ctx.is_summed = towers, is_summed
        own = maps.movedim(1, -1).contiguous()  # (B, H, W, C·t/T)
        parts = own.new_empty(towers.processes, *own.shape)
        if own.numel():
            _all_gather(parts.flatten(0, 1), own, group=towers.group)
        return torch.cat(parts.unbind(), dim=-1).movedim(-1, 1)  # (B, C, H, W)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        towers: ShardedTowers = ctx.towers
        parts = gradients[0].movedim(1, -1).chunk(towers.processes, dim=-1)
        own = parts[towers.rank].contiguous()  # (B, H, W, C·t/T)
        if ctx.is_summed and own.numel():
            own = torch.empty_like(own)
            _reduce_scatter(own, torch.cat([part.contiguous() for part in parts]), group=towers.group)
        return own.movedim(-1, 1), None, None
