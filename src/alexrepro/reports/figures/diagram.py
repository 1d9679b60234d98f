"""A network drawn from its fields, in the manner of Figure 2: towers above each other, stages from left to right.

Blocks are as high as their maps are large and as wide as there are many of them; both are compressed. An arrow between
the towers is a stage that reads both.
"""

from math import log2, sqrt

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Polygon

from alexrepro.paper.network import Network, Size, Stage
from alexrepro.reports.figures.plot import INK, LINES, house_style, new_figure, picture

Box = tuple[float, float, float]  # left and right end, and the middle line
STEP, ROW = 1.75, 3.0  # between stages and between towers
ABOVE, BELOW = 1.15, 1.0  # where words stand, from the middle line of a tower
TOP, BOTTOM = 2.0, 2.5  # room above the first tower and below the last
TEXT_PT = 7.5
FULL_HEIGHT, GAP = 1.7, 0.04
GROUND = {"conv": LINES[0], "full": LINES[1], "input": LINES[2]}


def draw(network: Network, *, title: str) -> Figure:
    """The network as a figure, 1.3 inches a stage."""
    with house_style():
        figure = new_figure(1.3 * (len(network.stages) + 1), 0.64 * (ROW * (network.towers - 1) + TOP + BOTTOM))
        place = picture(figure)
        place.set_title(title, fontsize=9, loc="left")
        _towers(place, network, rows=[ROW * (network.towers - 1 - tower) for tower in range(network.towers)])
    return figure


def _towers(place: Axes, network: Network, *, rows: list[float]) -> None:
    """The image, then every stage in every tower; rows: the middle line of each tower."""
    middle = sum(rows) / len(rows)
    image = (network.channels, network.input_px, network.input_px)
    boxes = [_block(place, 0.0, middle, image, kind="input")] * network.towers
    high = _half(image)
    place.text(
        _center(boxes[0]), middle + ABOVE * high + 0.2, "input", ha="center", fontsize=TEXT_PT + 1, weight="bold"
    )
    place.text(_center(boxes[0]), middle - high - 0.25, _size(image), ha="center", va="top", fontsize=TEXT_PT)
    for number, (stage, size) in enumerate(network.inputs(), start=1):
        boxes = _stage(place, network, stage, size, number=number, rows=rows, before=boxes)
    place.set_xlim(-0.6, STEP * len(network.stages) + 1.4)
    place.set_ylim(min(rows) - BOTTOM, max(rows) + TOP)


def _stage(
    place: Axes, network: Network, stage: Stage, size: Size, *, number: int, rows: list[float], before: list[Box]
) -> list[Box]:
    """Blocks of all towers, their words, and the arrows that lead to them; returns where the blocks stand."""
    left = STEP * number
    output = next(layer.output for layer in network.layers() if layer.name == stage.name)
    share = (output[0] // len(rows), *output[1:])
    boxes = [_block(place, left, row, share, kind=stage.kind) for row in rows]
    for box, row in zip(boxes, rows, strict=True):
        for other, line in zip(before, rows, strict=True):
            if line == row or (stage.reads == "both" and before[0] != before[-1]):
                _arrow(place, other, box, across=line != row)
        words = _words(network, stage, share, size) if row == rows[-1] else _size(share)  # both towers do the same
        place.text(_center(box), row - BELOW, words, ha="center", va="top", fontsize=TEXT_PT)
    place.text(_center(boxes[0]), max(rows) + ABOVE, stage.name, ha="center", fontsize=TEXT_PT + 1, weight="bold")
    return boxes


def _words(network: Network, stage: Stage, share: Size, size: Size) -> str:
    """The size of one tower's share, the kernels, and what follows, line by line."""
    lines = [_size(share)]
    if stage.kind == "conv":
        stride = f", stride {stage.stride_px}" if stage.stride_px > 1 else ""
        lines.append(f"{stage.kernel_px}×{stage.kernel_px}{stride}")
    if network.side_input is not None and network.side_input.stage == stage.name:
        lines.append("+ blurred crop")
    word = {"activation": network.activation, "pool": f"pool {network.pool.size_px}/{network.pool.stride_px}"}
    lines += [word.get(operation, operation.replace("_", " ")) for operation in network.operations(stage)]
    if "pool" in stage.order:
        reached = next((s for after, s in _after(network, stage) if after is not stage), None)
        lines += [f"→ {reached[1]}×{reached[2]}"] if reached and reached[1:] != size[1:] else []
    return "\n".join(lines)


def _after(network: Network, stage: Stage) -> list[tuple[Stage, Size]]:
    found = list(network.inputs())
    place = [known for known, _ in found].index(stage)
    return found[place + 1 :]


def _half(size: Size) -> float:
    """Half the height of a block: larger maps are higher, and full stages all the same."""
    return (FULL_HEIGHT if size[1] == 1 else 0.35 + 0.14 * sqrt(size[1])) / 2


def _center(box: Box) -> float:
    return (box[0] + box[1]) / 2


def _block(place: Axes, left: float, middle: float, size: Size, *, kind: str) -> Box:
    """A box in perspective; returns its left and right end and its middle line."""
    maps, height_px, _ = size
    half = _half(size)
    wide, deep = 0.08 + 0.045 * log2(maps + 1), 0.0 if height_px == 1 else 0.3 * half
    front = [(left, middle - half), (left + wide, middle - half), (left + wide, middle + half), (left, middle + half)]
    top = [front[3], front[2], (left + wide + deep, middle + half + deep / 2), (left + deep, middle + half + deep / 2)]
    side = [front[1], front[2], top[2], (left + wide + deep, middle - half + deep / 2)]
    for face, alpha in ((front, 0.55), (top, 0.25), (side, 0.4)):
        place.add_patch(Polygon(face, closed=True, facecolor=GROUND[kind], alpha=alpha, edgecolor=INK, linewidth=0.6))
    return left, left + wide + deep, middle


def _arrow(place: Axes, start: Box, end: Box, *, across: bool) -> None:
    place.add_patch(
        FancyArrowPatch(
            (start[1] + GAP, start[2]), (end[0] - GAP, end[2]), arrowstyle="-|>", mutation_scale=7, color=INK,
            linewidth=0.7, linestyle="--" if across else "-",
        )
    )  # fmt: skip


def _size(size: Size) -> str:
    maps, height, width = size
    return f"{height}×{width}×{maps}" if height * width > 1 else f"{maps}"
