"""Response normalization across maps (§3.3) and within a map (layers-145.cfg [cnorm2]), exact in both directions.

Both are y = x · d^-β with d = k + c · W(x²), where W sums over a symmetric window. The sums are plain torch in the
format of the maps, or, where asked, loops that torch compiles.
B batch, C maps, H W pixels.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexrepro.model import fused_lrn
from alexrepro.paper.network import Norm, SameMapNorm

Window = Callable[[Tensor], Tensor]


class _Normalize(torch.autograd.Function):
    """x · (k + c · W(x²))^-β in one pass forward and one backward, operation by operation."""

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


class _Across(torch.autograd.Function):
    """The closed form across maps."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, reach: Tensor, constants: Tensor, beta: float) -> Tensor:
        y, root = fused_lrn.across(x, reach, constants, beta)
        ctx.save_for_backward(x, root, reach, constants)
        ctx.beta = beta
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        x, root, reach, constants = ctx.saved_tensors
        return fused_lrn.across_gradient(gradients[0], x, root, reach, constants, ctx.beta), None, None, None


class _Within(torch.autograd.Function):
    """The closed form within a map."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, size_px: int, constants: Tensor, beta: float) -> Tensor:
        y, root = fused_lrn.within(x, size_px, constants, beta)
        ctx.save_for_backward(x, root, constants)
        ctx.size_px, ctx.beta = size_px, beta
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        x, root, constants = ctx.saved_tensors
        return fused_lrn.within_gradient(gradients[0], x, root, ctx.size_px, constants, ctx.beta), None, None, None


class _Norm(nn.Module):
    """What the norms share: constants, and whether their loops are compiled."""

    constants: Tensor
    is_compiled = False

    def __init__(self, norm: Norm | SameMapNorm) -> None:
        super().__init__()
        constants = torch.tensor([norm.k, norm.coefficient], dtype=torch.float64)
        self.register_buffer("constants", constants, persistent=False)


def compile_norms(model: nn.Module) -> None:
    """Let every norm of a network run as a compiled loop from now on."""
    for module in model.modules():
        if isinstance(module, _Norm):
            module.is_compiled = True


class ResponseNorm(_Norm):
    """Each value divided by a power of the sum of squares over n neighboring maps (§3.3).

    (B, C, H, W) -> the same size. `groups` towers are held; windows stop at their borders if `norm.per_tower`.
    """

    band: Tensor
    reach: Tensor

    def __init__(self, norm: Norm, *, maps: int, groups: int) -> None:
        super().__init__(norm)
        self.norm = norm
        self.groups = groups if norm.per_tower else 1
        per_group = maps // self.groups
        index = torch.arange(per_group)
        near = (index[:, None] - index[None, :]).abs() <= norm.n // 2  # i - n/2 .. i + n/2, clipped at the ends
        self.register_buffer("band", near.float().repeat(self.groups, 1)[:, :, None, None], persistent=False)
        self.register_buffer("reach", fused_lrn.reaches(maps, self.groups, norm.n), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The normalized maps."""
        norm = self.norm
        if self.is_compiled:
            return cast(Tensor, _Across.apply(x, self.reach, self.constants, norm.beta))
        return cast(Tensor, _Normalize.apply(x, self._sum, norm.k, norm.coefficient, norm.beta))

    def _sum(self, squares: Tensor) -> Tensor:
        """Sum over neighboring maps: a 1×1 convolution with a matrix of ones near its diagonal."""
        return F.conv2d(squares, self.band.to(squares.dtype), groups=self.groups)


class SameMap(_Norm):
    """Each value divided by a power of the sum of squares over a square around it in its own map.

    (B, C, H, W) -> the same size; pixels outside the map count as zero (layers-145.cfg [cnorm2]).
    """

    def __init__(self, norm: SameMapNorm) -> None:
        super().__init__(norm)
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """The normalized maps."""
        norm = self.norm
        if self.is_compiled:
            return cast(Tensor, _Within.apply(x, norm.size_px, self.constants, norm.beta))
        return cast(Tensor, _Normalize.apply(x, self._sum, norm.k, norm.coefficient, norm.beta))

    def _sum(self, squares: Tensor) -> Tensor:
        size = self.norm.size_px
        return F.avg_pool2d(squares, size, stride=1, padding=size // 2, divisor_override=1)


class ContrastNorm(SameMap):
    """As SameMap, but of the squared differences from each pixel's local mean (networks before #137; layer.cu).

    The value itself stays: the mean is subtracted in the denominator only. Means are of the pixels inside the map.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The normalized maps."""
        norm = self.norm
        mean = F.avg_pool2d(x, norm.size_px, stride=1, padding=norm.size_px // 2, count_include_pad=False)
        denominators = norm.k + norm.coefficient * self._sum((x - mean).square())
        return x * _power(denominators, norm.beta)
