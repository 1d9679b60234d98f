"""Response normalization across maps (§3.3) and within a map (layers-145.cfg [cnorm2]), exact in both directions.

Both are y = x · d^-β with d = k + c · W(x²), where W sums over a window: plain torch, compiled loops (`fused_lrn`), or
kernels for a GPU (`gpu_norm`). Batch normalization, which came later, is torch's.
B batch, C maps, H W pixels, P processes that hold the towers together.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexrepro.model.bf16 import fast_bf16
from alexrepro.model.fused_lrn import lrn, spatial_lrn, window_mask, window_sum
from alexrepro.model.tower_parallel import LocalTowers, SumOverReplicas
from alexrepro.paper.network import Norm, SameMapNorm

Form = Literal["plain", "compiled", "kernels"]


class _Normalize(torch.autograd.Function):
    """x · (k + c · W(x²))^-β, operation by operation."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: Callable[[Tensor], Tensor], norm: Norm | SameMapNorm) -> Tensor:
        with _without_autocast(x):
            d = window(x * x).mul_(norm.coefficient).add_(norm.k)
            ctx.save_for_backward(x, d)
            ctx.window, ctx.norm = window, norm
            return x * _power(d, norm.beta)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        x, d = ctx.saved_tensors
        scaled = gradients[0] * _power(d, ctx.norm.beta)
        with fast_bf16(x.device.type) if x.dtype == torch.bfloat16 else nullcontext():
            spread = ctx.window((scaled * x).div_(d)).mul_(x)
        return scaled.sub_(spread, alpha=2 * ctx.norm.coefficient * ctx.norm.beta), None, None


def _without_autocast(x: Tensor) -> AbstractContextManager[None]:
    """Keeps the format of x: on a GPU autocast would compute powers in float32, on a CPU in the format of x."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


def _power(d: Tensor, beta: float) -> Tensor:
    """d^-β; for the paper's β = 3/4 by square roots, several times faster than a general power."""
    if beta == 0.75:
        root = d.rsqrt()
        return root * root.sqrt()
    return d.pow(-beta)


class WindowNorm(nn.Module):
    """Each value divided by a power of a sum of squares over a window around it: (B, C, H, W) -> the same size."""

    constants: Tensor
    form: Form = "plain"
    _sum: Callable[[Tensor], Tensor]
    _loops: Callable[[Tensor], Tensor]
    _kernels: Callable[[Tensor], Tensor]

    def __init__(self, norm: Norm | SameMapNorm) -> None:
        super().__init__()
        self.norm: Any = norm
        constants = torch.tensor([norm.k, norm.coefficient], dtype=torch.float64)
        self.register_buffer("constants", constants, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The normalized maps."""
        if self.form == "plain":
            return cast(Tensor, _Normalize.apply(x, self._sum, self.norm))
        return self._loops(x) if self.form == "compiled" else self._kernels(x)

    @property
    def _settings(self) -> list[float]:
        return [self.norm.k, self.norm.coefficient, self.norm.beta]


class ResponseNorm(WindowNorm):
    """Over n neighboring maps (§3.3) of `groups` towers that are held; `norm.per_tower`: of the same tower only."""

    band: Tensor
    mask: Tensor

    def __init__(self, norm: Norm, *, maps: int, groups: int) -> None:
        super().__init__(norm)
        self.groups = groups if norm.per_tower else 1
        per_group = maps // self.groups
        index = torch.arange(per_group)
        near = (index[:, None] - index[None, :]).abs() <= norm.n // 2  # i - n/2 .. i + n/2, clipped at the ends
        self.register_buffer("band", near.float().repeat(self.groups, 1)[:, :, None, None], persistent=False)
        self.register_buffer("mask", window_mask(maps, self.groups, norm.n), persistent=False)

    def _loops(self, x: Tensor) -> Tensor:
        return lrn(x, self.mask, self.constants, self.norm.beta)

    def _kernels(self, x: Tensor) -> Tensor:
        return cast(Tensor, torch.ops.alexrepro.lrn(x, self.groups, self.norm.n, self._settings))

    def _sum(self, squares: Tensor) -> Tensor:  # a 1×1 convolution with a matrix of ones near its diagonal
        return F.conv2d(squares, self.band.to(squares.dtype), groups=self.groups)


class ShardedResponseNorm(nn.Module):
    """Response normalization whose windows reach into the maps of the next process (§3.3: N counts all maps).

    (B, C/P, H, W) -> the same size. Only the maps within reach of a border are sent.
    """

    def __init__(self, norm: Norm, *, maps: int, towers: LocalTowers) -> None:
        super().__init__()
        self.towers, self.maps, self.reach = towers, maps, norm.n // 2
        self.has_before, self.has_after = towers.rank > 0, towers.rank < towers.processes - 1
        self.norm = ResponseNorm(norm, maps=maps + self.reach * (self.has_before + self.has_after), groups=1)

    def forward(self, x: Tensor) -> Tensor:
        """The normalized maps."""
        reach = self.reach
        edges = self.towers.all_gather_maps(torch.cat([x[:, :reach], x[:, self.maps - reach :]], dim=1))
        before, after = (edges[:, 2 * self.towers.rank * reach + start :][:, :reach] for start in (-reach, 2 * reach))
        seen = [before] * self.has_before + [x] + [after] * self.has_after
        normalized: Tensor = self.norm(torch.cat(seen, dim=1))
        return normalized[:, reach * self.has_before :][:, : self.maps]


class SameMap(WindowNorm):
    """Over a square of pixels of its own map; those outside the map count as zero (layers-145.cfg [cnorm2])."""

    def _loops(self, x: Tensor) -> Tensor:
        return spatial_lrn(x, self.norm.size_px, self.constants, self.norm.beta)

    def _kernels(self, x: Tensor) -> Tensor:
        return cast(Tensor, torch.ops.alexrepro.spatial_lrn(x, self.norm.size_px, self._settings))

    def _sum(self, squares: Tensor) -> Tensor:
        return window_sum(squares, self.norm.size_px)


class ContrastNorm(SameMap):
    """As SameMap, but the denominator sums squared differences from the local mean (networks before #137; layer.cu)."""

    def forward(self, x: Tensor) -> Tensor:
        """The normalized maps."""
        norm = self.norm
        mean = F.avg_pool2d(x, norm.size_px, stride=1, padding=norm.size_px // 2, count_include_pad=False)
        with _without_autocast(x):
            denominators = norm.k + norm.coefficient * self._sum((x - mean).square())
            return x * _power(denominators, norm.beta)


class BatchNorm(nn.BatchNorm2d):
    """torch's batch normalization: in training by the mean and variance of each map over the whole batch.

    replicas: the processes that have the other images of every batch. Their sums are added, so that outputs and running
    statistics are those of one process, whose images they would be.
    """

    replicas: Any = None  # a group of torch.distributed

    def forward(self, x: Tensor, is_training: bool = False) -> Tensor:
        """The normalized maps (B, C, H, W); by the running statistics in testing."""
        if is_training and self.replicas is not None:
            return self._over_replicas(x, self.replicas)
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, is_training, self.momentum or 0, self.eps
        )

    def _over_replicas(self, x: Tensor, group: Any) -> Tensor:
        with _without_autocast(x):
            wide = x.to(torch.promote_types(x.dtype, torch.float32))
            places = wide.new_tensor([x.numel() / x.shape[1]])  # of this process's images; 0 if it has none
            total = cast(Tensor, SumOverReplicas.apply(torch.cat([places, wide.sum((0, 2, 3))]), group))
            count, mean = total[0].detach(), total[1:] / total[0].detach()
            centered = wide - mean[:, None, None]
            variance = cast(Tensor, SumOverReplicas.apply(centered.square().sum((0, 2, 3)), group)) / count
            with torch.no_grad():
                assert self.running_mean is not None
                assert self.running_var is not None
                self.running_mean.lerp_(mean, self.momentum or 0)
                self.running_var.lerp_(variance * count / (count - 1), self.momentum or 0)
            scale = self.weight * (variance + self.eps).rsqrt()
            return (centered * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def use_norms(model: nn.Module, form: Form) -> None:
    """Let every norm of a network run in a form from now on."""
    if form == "kernels":
        import alexrepro.model.gpu_norm  # noqa: F401 -- registers them; needs Triton
    for module in model.modules():
        if isinstance(module, WindowNorm):
            module.form = form
