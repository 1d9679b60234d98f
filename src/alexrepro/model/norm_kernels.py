"""Response normalization on a GPU: Triton kernels over maps that lie channels last (§3.3, layers-145.cfg [cnorm2]).

y = x · d^-β with d = k + c · W(x²), where W sums over a window of neighboring maps or of pixels, and
dL/dx = g · d^-β - 2cβ · x · W(g · x · d^(-β-1)). Backward recomputes d, so the input is all that is saved. A value is
read in its own format, computed in the `wide` one, and rounded once. `values` is B·H·W·C; a program computes a `block`.
"""

import triton
import triton.language as tl


@triton.jit
def _powers(d, beta: tl.constexpr):
    """d^-β and d^(-β-1); for the paper's β = 3/4 as products of roots d^-1/4."""
    if beta == 0.75:
        root = tl.sqrt(tl.rsqrt(d))
        square = root * root
        power = square * root
        return power, power * square * square
    power = tl.exp(-beta * tl.log(d))
    return power, power / d


@triton.jit
def _map(pointer, at, position, by, maps, wide: tl.constexpr):
    """The values of the maps `by` further, 0 outside the group of `maps` in which a value has its `position`."""
    there = position + by
    return tl.load(pointer + at + by, mask=(there >= 0) & (there < maps), other=0.0).to(wide)


@triton.jit
def _pixel(pointer, at, row, column, down, right, height, width, maps, wide: tl.constexpr):
    """The values of the same maps in a pixel further down and right, 0 outside the map."""
    y, x = row + down, column + right
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return tl.load(pointer + at + (down * width + right) * maps, mask=inside, other=0.0).to(wide)


@triton.jit
def lrn(
    x,
    y,
    values,
    k,
    c,
    maps: tl.constexpr,
    half: tl.constexpr,
    beta: tl.constexpr,
    wide: tl.constexpr,
    block: tl.constexpr,
):
    at = tl.program_id(0) * block + tl.arange(0, block)
    position = tl.where(at < values, at % maps, -4 * half - maps)
    own = _map(x, at, position, 0, maps, wide)
    total = own * own
    for by in tl.static_range(1, half + 1):
        before, after = _map(x, at, position, -by, maps, wide), _map(x, at, position, by, maps, wide)
        total += before * before + after * after
    tl.store(y + at, own * _powers(k + c * total, beta)[0], mask=at < values)


@triton.jit
def lrn_backward(
    g,
    x,
    dx,
    values,
    k,
    c,
    maps: tl.constexpr,
    half: tl.constexpr,
    beta: tl.constexpr,
    wide: tl.constexpr,
    block: tl.constexpr,
):
    at = tl.program_id(0) * block + tl.arange(0, block)
    position = tl.where(at < values, at % maps, -4 * half - maps)
    near, squares = (), ()
    for by in tl.static_range(-2 * half, 2 * half + 1):
        value = _map(x, at, position, by, maps, wide)
        near, squares = near + (value,), squares + (value * value,)  # noqa: RUF005 -- Triton has no unpacking
    spread = tl.zeros((block,), wide)
    scaled = spread
    for by in tl.static_range(0, 2 * half + 1):
        total = squares[by]
        for i in tl.static_range(1, 2 * half + 1):
            total += squares[by + i]
        power, steeper = _powers(k + c * total, beta)
        gradient = _map(g, at, position, by - half, maps, wide)
        spread += gradient * near[by + half] * steeper
        if by == half:
            scaled = gradient * power
    tl.store(dx + at, scaled - 2 * beta * c * near[2 * half] * spread, mask=at < values)


@triton.jit
def _placed(values, height, width, maps, half: tl.constexpr, block: tl.constexpr):
    """The numbers of this program's values, and their rows and columns; past the last value, a row far outside."""
    at = tl.program_id(0) * block + tl.arange(0, block)
    row = tl.where(at < values, at // maps // width % height, -4 * half - height)
    return at, row, at // maps % width


@triton.jit
def _window(
    x,
    at,
    row,
    column,
    height,
    width,
    maps,
    half: tl.constexpr,
    wide: tl.constexpr,
    block: tl.constexpr,
    squared: tl.constexpr,
):
    """The sum over a square of pixels, of squares if they are wanted."""
    total = tl.zeros((block,), wide)
    for down in tl.static_range(-half, half + 1):
        for right in tl.static_range(-half, half + 1):
            value = _pixel(x, at, row, column, down, right, height, width, maps, wide)
            total += value * value if squared else value
    return total


@triton.jit
def spatial_lrn(
    x,
    y,
    values,
    k,
    c,
    height: tl.constexpr,
    width: tl.constexpr,
    maps: tl.constexpr,
    half: tl.constexpr,
    beta: tl.constexpr,
    wide: tl.constexpr,
    block: tl.constexpr,
):
    at, row, column = _placed(values, height, width, maps, half, block)
    d = k + c * _window(x, at, row, column, height, width, maps, half, wide, block, True)
    own = tl.load(x + at, mask=at < values, other=0.0).to(wide)
    tl.store(y + at, own * _powers(d, beta)[0], mask=at < values)


@triton.jit
def spatial_lrn_terms(
    g,
    x,
    term,
    scaled,
    values,
    k,
    c,
    height: tl.constexpr,
    width: tl.constexpr,
    maps: tl.constexpr,
    half: tl.constexpr,
    beta: tl.constexpr,
    wide: tl.constexpr,
    block: tl.constexpr,
):
    """Both terms of the gradient: g · x · d^(-β-1) and g · d^-β, from which `spatial_lrn_backward` goes on."""
    at, row, column = _placed(values, height, width, maps, half, block)
    d = k + c * _window(x, at, row, column, height, width, maps, half, wide, block, True)
    power, steeper = _powers(d, beta)
    gradient = tl.load(g + at, mask=at < values, other=0.0).to(wide)
    own = tl.load(x + at, mask=at < values, other=0.0).to(wide)
    tl.store(term + at, gradient * own * steeper, mask=at < values)
    tl.store(scaled + at, gradient * power, mask=at < values)


@triton.jit
def spatial_lrn_backward(
    term,
    scaled,
    x,
    dx,
    values,
    k,
    c,
    height: tl.constexpr,
    width: tl.constexpr,
    maps: tl.constexpr,
    half: tl.constexpr,
    beta: tl.constexpr,
    wide: tl.constexpr,
    block: tl.constexpr,
):
    at, row, column = _placed(values, height, width, maps, half, block)
    spread = _window(term, at, row, column, height, width, maps, half, wide, block, False)
    own = tl.load(x + at, mask=at < values, other=0.0).to(wide)
    first = tl.load(scaled + at, mask=at < values, other=0.0).to(wide)
    tl.store(dx + at, first - 2 * beta * c * own * spread, mask=at < values)
