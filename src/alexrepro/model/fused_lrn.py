"""Response normalization and its derivative as formulas for a compiler: one loop over memory in each direction.

y = x · d^-β with d = k + c · W(x²), where W sums over a symmetric window and so is its own adjoint:
dL/dx = g · d^-β - 2cβ · x · W(g · x · d^(-β-1)). `constants` holds k and c.
Every value is read in its own format, computed in float32 or better, and rounded once. For β = 3/4 every power is a
product of roots d^-1/4, which take a CPU most of the time and are saved for backward; a GPU recomputes them.
B batch, C maps, H W pixels, P = B·H·W, n neighbors, h = n // 2.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from alexrepro.model.compiled import Compiled, any_length

Tensors = list[Tensor]
Settings = tuple[Tensor, Tensor, float]  # window mask, constants, β
Shift = Callable[[Tensor, int], Tensor]  # rows and j -> for each value, the value j maps further
Formula = Callable[[Shift, Tensors, Settings], Tensors]


def window_mask(maps: int, groups: int, n: int) -> Tensor:
    """1 where map c + j has a neighbor c + j + i in its own group, else 0: (n, n, C), j and i from -h to h."""
    half = n // 2
    steps = torch.arange(-half, half + 1)
    index = torch.arange(maps) + steps[:, None, None]  # (n, 1, C)
    size = maps // groups
    return ((index + steps[:, None]) // size == index // size).float()


def lrn(x: Tensor, mask: Tensor, constants: Tensor, beta: float) -> Tensor:
    """Maps (B, C, H, W) normalized over neighboring maps, in the format of x."""
    return cast(Tensor, _ClosedForm.apply(x, (_across, _across_derivative), (mask, constants, beta)))


def spatial_lrn(x: Tensor, size_px: int, constants: Tensor, beta: float) -> Tensor:
    """Maps (B, C, H, W) normalized over squares of their own pixels, in the format of x."""
    return cast(Tensor, _ClosedForm.apply(x, (_within, _within_derivative), (size_px, constants, beta)))


class _ClosedForm(torch.autograd.Function):
    """A norm and its derivative as two functions; the first may return what the second needs besides the input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, forms: tuple[Callable[..., Any], Callable[..., Tensor]], settings: Any) -> Tensor:
        any_length(x)
        y, *saved = forms[0](x, *settings)
        ctx.save_for_backward(x, *saved)
        ctx.derivative, ctx.settings = forms[1], settings
        return cast(Tensor, y)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        any_length(*gradients, *ctx.saved_tensors)
        return ctx.derivative(*gradients, *ctx.saved_tensors, *ctx.settings), None, None


def _across(x: Tensor, *settings: *Settings) -> Tensors:
    rows = _rows(x)
    outs = [torch.empty_like(rows)]
    if _is_flat(x):
        outs.append(torch.empty_like(rows, dtype=_precise(rows[:0]).dtype))
    _fill(outs, _formula, [rows], settings)
    return [_maps(outs[0], x), *outs[1:]]


def _across_derivative(g: Tensor, x: Tensor, *given: Any) -> Tensor:
    *root, mask, constants, beta = given
    rows = _rows(x)
    out = torch.empty_like(rows)
    _fill([out], _derivative, [_rows(g), rows, *root], (mask, constants, beta))
    return _maps(out, x)


def _is_flat(x: Tensor) -> bool:
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def _rows(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> (P, C), without a copy if memory is channels_last."""
    return maps.permute(0, 2, 3, 1).contiguous().view(-1, maps.shape[1])


def _maps(rows: Tensor, like: Tensor) -> Tensor:
    """(P, C) -> (B, C, H, W), channels_last."""
    batch, channels, height, width = like.shape
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _precise(values: Tensor) -> Tensor:
    """Values in float32 at least."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _padded(rows: Tensor, offset: int) -> Tensor:
    """Shifted rows, with zeros where there is no map: (P, C) -> (P, C)."""
    return _precise(F.pad(rows, (-offset, offset)))


def _flat(rows: Tensor, offset: int) -> Tensor:
    """Shifted rows as memory has them, with maps of another row where there is no map: (P, C) -> (P - 2, C).

    The first and the last row would read outside. A loop over this has no conditions, which a CPU needs to be fast.
    """
    memory, maps = rows.view(-1), rows.shape[1]
    return _precise(memory[maps + offset : memory.numel() - maps + offset].view(-1, maps))


def _root(shift: Shift, x: Tensor, j: int, settings: Settings) -> Tensor:
    """d^-1/4 of the map j maps further."""
    mask, constants, _ = settings
    half = len(mask) // 2
    total = torch.zeros((), device=x.device)
    for i in range(-half, half + 1):
        total = total + shift(x, j + i).square() * mask[half + j, half + i]
    return (constants[0] + constants[1] * total).rsqrt().sqrt()


def _formula(shift: Shift, given: Tensors, settings: Settings) -> Tensors:
    root = _root(shift, given[0], 0, settings)
    return [shift(given[0], 0) * root.pow(4 * settings[2]), root]


def _derivative(shift: Shift, given: Tensors, settings: Settings) -> Tensors:
    g, x, *saved = given
    mask, constants, beta = settings
    half = len(mask) // 2
    spread = torch.zeros((), device=x.device)
    roots = {j: shift(saved[0], j) if saved else _root(shift, x, j, settings) for j in range(-half, half + 1)}
    for j, root in roots.items():
        spread = spread + shift(g, j) * shift(x, j) * root.pow(4 * beta + 4) * mask[half, half + j]
    return [shift(g, 0) * roots[0].pow(4 * beta) - 2 * beta * constants[1] * shift(x, 0) * spread]


@Compiled
def _write(outs: Tensors, formula: Formula, shift: Shift, given: Tensors, settings: Settings) -> None:
    for out, values in zip(outs, formula(shift, given, settings), strict=False):
        out.copy_(values)


def _fill(outs: Tensors, formula: Formula, given: Tensors, settings: Settings) -> None:
    """Fill rows (P, C) with a formula; on a CPU from flat memory, except the first and the last row."""
    if not _is_flat(given[0]):
        any_length(*outs, *given)
        _write(outs, formula, _padded, given, settings)
        return
    ends = slice(None)
    inner = [rows[1:-1] for rows in outs]
    if len(inner[0]) and given[0].shape[1] >= len(settings[0]):
        any_length(*inner, *given)
        _write(inner, formula, _flat, given, settings)
        ends = slice(None, None, len(outs[0]) - 1)
    for rows, values in zip(outs, formula(_padded, [rows[ends] for rows in given], settings), strict=True):
        rows[ends] = values


def window_sum(values: Tensor, size_px: int) -> Tensor:
    """Sums over squares of pixels; those outside the map count as zero."""
    return F.avg_pool2d(values, size_px, stride=1, padding=size_px // 2, divisor_override=1)


@Compiled
def _within(x: Tensor, size_px: int, constants: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    values = _precise(x)
    root = (constants[0] + constants[1] * window_sum(values.square(), size_px)).rsqrt().sqrt()
    return (values * root.pow(4 * beta)).to(x.dtype), root


@Compiled
def _within_derivative(g: Tensor, x: Tensor, root: Tensor, *settings: *tuple[int, Tensor, float]) -> Tensor:
    size_px, constants, beta = settings
    values = _precise(x)
    spread = values * window_sum(_precise(g) * values * root.pow(4 * beta + 4), size_px)
    return (_precise(g) * root.pow(4 * beta) - 2 * beta * constants[1] * spread).to(x.dtype)
