"""Response normalization and its derivative as formulas for a compiler: one loop over memory in each direction.

y = x · d^-β with d = k + c · W(x²), where W sums over a symmetric window and so is its own adjoint:
dL/dx = g · d^-β - 2cβ · x · W(g · x · d^(-β-1)).
Every value is read in its own format, the arithmetic is float32 or better, and the result is rounded once. What costs
a processor most is the root d^-1/4, of which all powers are products for the paper's β = 3/4, so it is kept for the
way back; a GPU computes it anew, since there memory is what costs.
B batch, C maps, H W pixels, P = B·H·W rows of maps, n neighbors, h = n // 2.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from alexrepro.model.compiled import Compiled, any_length

Tensors = list[Tensor]
Shift = Callable[[Tensor, int], Tensor]  # rows and a number of places -> for each value the one so many maps further


def reaches(maps: int, groups: int, n: int) -> Tensor:
    """1 where map c + j has a neighbor c + j + i in its own group, else 0: (n, n, C), j and i from -h to h."""
    index = torch.arange(maps)
    group = index // (maps // groups)
    half = n // 2
    places = range(-half, half + 1)
    own = [(index + i >= 0) & (index + i < maps) & (group.roll(-i) == group) for i in places]
    return torch.stack([torch.stack(own).roll(-j, 1) for j in places]).float()


def across(x: Tensor, reach: Tensor, constants: Tensor, beta: float) -> tuple[Tensor, Tensor | None]:
    """Maps normalized by their neighbors, in the format of x, and the root if it is kept: (B, C, H, W).

    constants: k and c.
    """
    rows = _rows(x)
    if _is_computed_anew(x):
        any_length(rows)
        return _maps(_forward(rows, reach, constants, beta), x), None
    out, root = torch.empty_like(rows), torch.empty_like(rows, dtype=_precise(rows[:0]).dtype)
    _fill([out, root], _write_forward, _formula, [rows], reach, constants, beta)
    return _maps(out, x), _maps(root, x)


def across_gradient(  # noqa: PLR0917
    g: Tensor, x: Tensor, root: Tensor | None, reach: Tensor, constants: Tensor, beta: float
) -> Tensor:
    """dL/dx from g = dL/dy, (B, C, H, W) in the format of x."""
    if root is None:
        given = [_rows(g), _rows(x)]
        any_length(*given)
        return _maps(_backward(given, reach, constants, beta), x)
    given = [_rows(g), _rows(x), _rows(root)]
    out = torch.empty_like(given[1])
    _fill([out], _write_backward, _derivative, given, reach, constants, beta)
    return _maps(out, x)


def within(x: Tensor, size_px: int, constants: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Maps normalized by squares of their own pixels, in the format of x, and the root: (B, C, H, W).

    constants: k and c.
    """
    any_length(x)
    return _within(x, size_px, constants, beta)


def within_gradient(  # noqa: PLR0917
    g: Tensor, x: Tensor, root: Tensor, size_px: int, constants: Tensor, beta: float
) -> Tensor:
    """dL/dx from g = dL/dy, (B, C, H, W) in the format of x."""
    any_length(g, x, root)
    return _within_gradient(g, x, root, size_px, constants, beta)


def _is_computed_anew(x: Tensor) -> bool:
    return x.is_cuda or torch.compiler.is_compiling()


def _rows(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> (P, C), without a copy if memory is channels_last."""
    return maps.permute(0, 2, 3, 1).contiguous().view(-1, maps.shape[1])


def _maps(rows: Tensor, like: Tensor) -> Tensor:
    """(P, C) -> (B, C, H, W), channels_last."""
    batch, channels, height, width = like.shape
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _precise(values: Tensor) -> Tensor:
    """Values as they are computed with: in float32 at least."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _padded(rows: Tensor, places: int) -> Tensor:
    """Shifted rows, with zeros where there is no map: (P, C) -> (P, C)."""
    return _precise(F.pad(rows, (-places, places)))


def _flat(rows: Tensor, places: int) -> Tensor:
    """Shifted rows, read from memory that many places on, with maps of another row where there is none.

    (P, C) -> (P - 2, C): the first and the last row would read outside. A processor's loop over this has no
    conditions in it.
    """
    memory, maps = rows.view(-1), rows.shape[1]
    return _precise(memory[maps + places : memory.numel() - maps + places].view(-1, maps))


def _root(shift: Shift, x: Tensor, j: int, reach: Tensor, constants: Tensor) -> Tensor:
    """d^-1/4 of the map j places on."""
    half = len(reach) // 2
    total = torch.zeros((), device=x.device)
    for i in range(-half, half + 1):
        total = total + shift(x, j + i).square() * reach[half + j, half + i]
    return (constants[0] + constants[1] * total).rsqrt().sqrt()


def _formula(shift: Shift, given: Tensors, reach: Tensor, constants: Tensor, beta: float) -> Tensors:
    (x,) = given
    root = _root(shift, x, 0, reach, constants)
    return [shift(x, 0) * root.pow(4 * beta), root]


def _derivative(shift: Shift, given: Tensors, reach: Tensor, constants: Tensor, beta: float) -> Tensors:
    g, x, *kept = given
    half = len(reach) // 2
    roots = [shift(kept[0], j) if kept else _root(shift, x, j, reach, constants) for j in range(-half, half + 1)]
    spread = torch.zeros((), device=x.device)
    for i, root in enumerate(roots):
        j = i - half
        spread = spread + shift(g, j) * shift(x, j) * root.pow(4 * beta + 4) * reach[half, i]
    return [shift(g, 0) * roots[half].pow(4 * beta) - 2 * beta * constants[1] * shift(x, 0) * spread]


@Compiled
def _forward(x: Tensor, reach: Tensor, constants: Tensor, beta: float) -> Tensor:
    return _formula(_padded, [x], reach, constants, beta)[0].to(x.dtype)


@Compiled
def _backward(given: Tensors, reach: Tensor, constants: Tensor, beta: float) -> Tensor:
    return _derivative(_padded, given, reach, constants, beta)[0].to(given[1].dtype)


@Compiled
def _write_forward(outs: Tensors, given: Tensors, reach: Tensor, constants: Tensor, beta: float) -> None:
    for out, values in zip(outs, _formula(_flat, given, reach, constants, beta), strict=True):
        out.copy_(values)


@Compiled
def _write_backward(outs: Tensors, given: Tensors, reach: Tensor, constants: Tensor, beta: float) -> None:
    for out, values in zip(outs, _derivative(_flat, given, reach, constants, beta), strict=True):
        out.copy_(values)


def _fill(
    outs: Tensors, write: Callable[..., None], formula: Callable[..., Tensors], given: Tensors, *settings: Any
) -> None:
    """Fill rows (P, C) with a formula: by `write`, but for the two at the ends of memory."""
    places = slice(None)
    inner = [rows[1:-1] for rows in outs]
    if len(inner[0]) and given[0].shape[1] >= len(settings[0]):
        any_length(*inner, *given)
        write(inner, given, *settings)
        places = slice(None, None, len(outs[0]) - 1)
    for rows, values in zip(outs, formula(_padded, [rows[places] for rows in given], *settings), strict=True):
        rows[places] = values


def _near(values: Tensor, size_px: int) -> Tensor:
    """Sums over squares of pixels; those outside the map count as zero."""
    return F.avg_pool2d(values, size_px, stride=1, padding=size_px // 2, divisor_override=1)


@Compiled
def _within(x: Tensor, size_px: int, constants: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    values = _precise(x)
    root = (constants[0] + constants[1] * _near(values.square(), size_px)).rsqrt().sqrt()
    return (values * root.pow(4 * beta)).to(x.dtype), root


@Compiled
def _within_gradient(  # noqa: PLR0917
    g: Tensor, x: Tensor, root: Tensor, size_px: int, constants: Tensor, beta: float
) -> Tensor:
    values, g = _precise(x), _precise(g)
    spread = values * _near(g * values * root.pow(4 * beta + 4), size_px)
    return (g * root.pow(4 * beta) - 2 * beta * constants[1] * spread).to(x.dtype)
