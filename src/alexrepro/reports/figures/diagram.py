"""Figure 2: a network drawn from its fields, with the parts of each GPU above each other, in inches.

The sides of maps and of the kernels in them grow with the square root of their pixels, the width of a block with the
logarithm of the number of maps. Dashed lines lead from one GPU to the other. The last stage and its softmax are drawn
once, although each GPU holds a part of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2, sqrt
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Polygon, Rectangle

from alexrepro.paper.network import Network, Size, Stage
from alexrepro.reports.figures.plot import INK, LINES, SMALL, style

STEP_IN, EDGE_IN = 1.55, 0.3  # from stage to stage, and around everything
HEADING_IN, LINE_IN = 0.8, 0.2  # above the blocks, and of a line of text below them
FULL_HIGH_IN, FULL_WIDE_IN, LABEL_IN = 1.15, 0.16, 0.3
COLORS = {"conv": LINES[0], "local": LINES[3], "full": LINES[1], "input": LINES[2]}
KERNEL = (0.55, 0.55)  # where its middle is on the face of its maps


Point = tuple[float, float]


@dataclass(frozen=True)
class Block:
    """A block in perspective: the lower left corner of its front, and its sides."""

    corner: Point
    high: float
    wide: float
    deep: Point

    def on_front(self, x: float, y: float) -> Point:
        """A point of the front, both coordinates from 0 to 1."""
        return self.corner[0] + x * self.wide, self.corner[1] + y * self.high

    def on_side(self, x: float, y: float) -> Point:
        """A point of the right face, both coordinates from 0 to 1."""
        return self.corner[0] + self.wide + x * self.deep[0], self.corner[1] + y * self.high + x * self.deep[1]


def draw(network: Network, *, title: str) -> Figure:
    """The network as a figure, 1.5 inches a stage."""
    outputs = {stage.name: network.output(stage, size) for stage, size in network.inputs()}
    *inner, last = network.inputs()
    words = [["image"], *(_words(network, stage, size) for stage, size in network.inputs())]
    if network.towers > 1:
        words[0] += ["dashed: from", "the other GPU"]
    image = (network.channels, network.input_px, network.input_px)
    sides = [_high(outputs[stage.name], stage.kind) for stage, _ in (*inner, last)]
    row_in = 1.25 * max(sides) + 2 * LABEL_IN
    rows_in = max(row_in * network.towers, 1.25 * _high(image, "input") + LABEL_IN)
    text_in = LINE_IN * max(map(len, words)) + EDGE_IN
    wide_in = STEP_IN * (len(inner) + 2) + EDGE_IN
    with style():
        figure = Figure(figsize=(wide_in, HEADING_IN + rows_in + text_in))
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, wide_in), ylim=(-text_in, rows_in + HEADING_IN))
        axes.set_axis_off()
        axes.text(EDGE_IN, rows_in + HEADING_IN - 0.1, title, va="top", fontsize=13, weight="bold")
        rows = [rows_in / 2 + row_in * ((network.towers - 1) / 2 - tower) for tower in range(network.towers)]
        _bands(axes, rows, row_in, STEP_IN * (len(inner) + 1) - 0.1)
        before = [_block(axes, 0, rows_in / 2, image, kind="input")]
        for number, (stage, size) in enumerate(inner, start=1):
            part = (outputs[stage.name][0] // network.towers, *outputs[stage.name][1:])
            blocks = [_block(axes, number, row, part, kind=stage.kind) for row in rows]
            _links(axes, stage, size, before, blocks)
            before = blocks
        stage, size = last
        end = _block(axes, len(inner) + 1, rows_in / 2, outputs[stage.name], kind=stage.kind)
        _links(axes, stage, size, before, [end])
        for number, (name, text) in enumerate(zip(["input", *outputs], words, strict=True)):
            left = EDGE_IN + STEP_IN * number
            axes.text(left, rows_in + 0.08, name, weight="bold")
            axes.text(left, -0.1, "\n".join(text), va="top", fontsize=SMALL, linespacing=1.3)
    return figure


def size_text(size: Size) -> str:
    """A size as the paper writes it: `55×55×96`, or `4096`."""
    maps, height, width = size
    return f"{height}×{width}×{maps}" if height * width > 1 else f"{maps}"


def _high(size: Size, kind: str) -> float:
    return FULL_HIGH_IN if kind == "full" else 0.13 * sqrt(size[1])


def _bands(axes: Axes, rows: Sequence[float], row_in: float, end: float) -> None:
    """The parts that each GPU holds, if there are several."""
    left = STEP_IN + 0.05
    for number, row in enumerate(rows if len(rows) > 1 else (), start=1):
        corner = (left, row - row_in / 2 + 0.04)
        axes.add_patch(Rectangle(corner, end - left, row_in - 0.08, facecolor=INK, alpha=0.07, linewidth=0))
        axes.text(left + 0.08, row + row_in / 2 - 0.08, f"GPU {number}", va="top", weight="bold")


def _block(axes: Axes, number: int, middle: float, size: Size, *, kind: str) -> Block:
    """Draw the maps of one stage on one GPU, with their size below."""
    high, is_full = _high(size, kind), kind == "full"
    wide = FULL_WIDE_IN if is_full else 0.08 + 0.045 * log2(size[0] + 1)
    deep = (0.1, 0.05) if is_full else (0.45 * high, 0.22 * high)
    corner = (EDGE_IN + STEP_IN * number, middle - (high + deep[1]) / 2)
    block = Block(corner, high, wide, deep)
    front = [block.on_front(*at) for at in ((0, 0), (1, 0), (1, 1), (0, 1))]
    side = [block.on_side(*at) for at in ((0, 0), (1, 0), (1, 1), (0, 1))]
    top = [front[3], front[2], side[2], (side[2][0] - wide, side[2][1])]
    for face, alpha in ((front, 0.55), (top, 0.25), (side, 0.4)):
        axes.add_patch(Polygon(face, facecolor=COLORS[kind], alpha=alpha, edgecolor=INK, linewidth=0.8))
    axes.text(corner[0], corner[1] - 0.06, size_text(size), va="top", fontsize=SMALL)
    return block


def _links(axes: Axes, stage: Stage, size: Size, before: Sequence[Block], blocks: Sequence[Block]) -> None:
    """What each block reads: the kernel in its maps and lines that end in one point, or an arrow of a full stage."""
    for to, end in enumerate(blocks):
        for tower, start in enumerate(before):
            is_across = len(before) == len(blocks) and tower != to
            if is_across and stage.reads == "own":
                continue
            how: dict[str, Any] = {"edgecolor": INK, "linewidth": 1.0, "linestyle": "--" if is_across else "-"}
            if stage.kind == "full":
                ends = start.on_side(1, 0.5), end.on_front(0, 0.5)
                axes.add_patch(FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=9, facecolor=INK, **how))
                continue
            half = min(0.85, sqrt(stage.kernel_px / size[1])) / 2
            (left, right), (low, high) = ((at - half, at + half) for at in KERNEL)
            kernel = [start.on_side(*at) for at in ((left, low), (right, low), (right, high), (left, high))]
            if to == tower:
                axes.add_patch(Polygon(kernel, facecolor=INK, alpha=0.45, edgecolor=INK, linewidth=0.8))
            apex = end.on_front(0.4, 0.5)
            axes.add_patch(Polygon([kernel[2], apex, kernel[0]], closed=False, fill=False, **how))


def _words(network: Network, stage: Stage, size: Size) -> list[str]:
    """The kernels of a stage and the operations that follow, line by line."""
    depth = size[0] // network.groups(stage)
    lines = ["dense"] if stage.kind == "full" else [f"kernels {stage.kernel_px}×{stage.kernel_px}×{depth}"]
    lines += [f"stride {stage.stride_px}"] if stage.stride_px > 1 else []
    lines += ["not shared"] if stage.kind == "local" else []
    lines += ["+ blurred image"] if network.side_input and network.side_input.stage == stage.name else []
    windows = f"{network.pool.size_px}×{network.pool.size_px}, stride {network.pool.stride_px}"
    activation = "ReLU" if network.activation == "relu" else network.activation
    norm = network.norm.kind if network.norm else ""
    words: dict[str, list[str]] = {
        "activation": [activation],
        "norm": [f"{norm} norm"], "same_map_norm": ["same-map norm"], "contrast_norm": ["contrast norm"],
        "pool": ["max pooling", windows], "average_pool": ["mean pooling", windows],
        "dropout": [f"dropout {network.dropout:g}"],
    }  # fmt: skip
    operations = network.operations(stage)
    lines += [line for operation in operations for line in words[operation]]
    if {"pool", "average_pool"} & set(operations):
        _, high, wide = network.output(stage, size, stage.order)
        lines.append(f"→ {high}×{wide}")
    is_last = stage == network.stages[-1]
    per_gpu = [f"{stage.maps // network.towers} on each GPU"] if is_last and network.towers > 1 else []
    return [*lines, *per_gpu, *([f"{stage.maps}-way softmax"] if is_last else [])]
