"""Response normalization across maps (§3.3) and within a map (layers-145.cfg [cnorm2]), exact in both directions.

Both are y = x · d^-β with d = k + c · W(x²), where W sums over a symmetric window and so is its own adjoint:
dL/dx = g · d^-β - 2cβ · x · W(g · x · d^(-β-1)).
B batch, C maps, H W pixels.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexrepro.paper.network import Norm, SameMapNorm

Window = Callable[[Tensor], Tensor]


class _Normalize(torch.autograd.Function):
    """x · (k + c · W(x²))^-β in one pass forward and one backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, window: Window, k: float, c: float, beta: float) -> Tensor:  # noqa: PLR0917
        d = window(x * x).mul_(c).add_(k)
        ctx.save_for_backward(x, d)
        ctx.window, ctx.c, ctx.beta = window, c, beta
        return x * _power(d, beta)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (g,) = gradients
        x, d = ctx.saved_tensors
        scaled = g * _power(d, ctx.beta)
        spread = ctx.window((scaled * x).div_(d)).mul_(x)
        return scaled.sub_(spread, alpha=2 * ctx.c * ctx.beta), None, None, None, None


def _power(d: Tensor, beta: float) -> Tensor:
    """d^-β; for the paper's β = 3/4 by square roots, several times faster than a general power."""
    if beta == 0.75:
        root = d.rsqrt()
        return root * root.sqrt()
    return d.pow(-beta)


class ResponseNorm(nn.Module):
    """Each value divided by a power of the sum of squares over n neighboring maps (§3.3).

    (B, C, H, W) -> the same size. `groups` towers are held; windows stop at their borders if `norm.per_tower`.
    """

    band: Tensor

    def __init__(self, norm: Norm, *, maps: int, groups: int) -> None:
        super().__init__()
        self.norm = norm
        self.groups = groups if norm.per_tower else 1
        per_group = maps // self.groups
        index = torch.arange(per_group)
        near = (index[:, None] - index[None, :]).abs() <= norm.n // 2  # i - n/2 .. i + n/2, clipped at the ends
        self.register_buffer("band", near.float().repeat(self.groups, 1)[:, :, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The normalized maps."""
        norm = self.norm
        return cast(Tensor, _Normalize.apply(x, self._sum, norm.k, norm.coefficient, norm.beta))

    def _sum(self, squares: Tensor) -> Tensor:
        """Sum over neighboring maps: a 1×1 convolution with a matrix of ones near its diagonal."""
        return F.conv2d(squares, self.band.to(squares.dtype), groups=self.groups)


class SameMap(nn.Module):
    """Each value divided by a power of the sum of squares over a square around it in its own map.

    (B, C, H, W) -> the same size; pixels outside the map count as zero (layers-145.cfg [cnorm2]).
    """

    def __init__(self, norm: SameMapNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """The normalized maps."""
        norm = self.norm
        return cast(Tensor, _Normalize.apply(x, self._sum, norm.k, norm.coefficient, norm.beta))

    def _sum(self, squares: Tensor) -> Tensor:
        size = self.norm.size_px
        return F.avg_pool2d(squares, size, stride=1, padding=size // 2, divisor_override=1)
