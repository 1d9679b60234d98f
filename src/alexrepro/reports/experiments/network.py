"""What follows from the recipe alone (§3.5): parameters and neurons; and Figure 2, the network drawn from its fields.

Towers are above each other, stages from left to right. The height of a block grows with the size of its maps, its width
with their number. A dashed arrow between the towers is a stage that reads both.
"""

from math import log2, sqrt

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Polygon

from alexrepro.paper import results
from alexrepro.paper.citation import Citation
from alexrepro.paper.network import Network, Size, Stage
from alexrepro.recipes.catalog import AS_PRINTED
from alexrepro.reports.experiments import Evidence, Experiment
from alexrepro.reports.figures.plot import INK, LINES, style
from alexrepro.reports.tables.table import COUNT, FRACTION, TEXT, Cell, Record

COUNTS = {
    "layer": TEXT, "output": TEXT, "neurons": COUNT, "parameters": COUNT, "fraction": FRACTION, "macs": COUNT,
    "published": TEXT, "claim": TEXT, "verdict": TEXT, "note": TEXT,
}  # fmt: skip
PUBLISHED_SUMS = f"{results.PARAMETERS} parameters, {results.NEURONS} neurons"
Box = tuple[float, float, float]  # left and right end, and the middle line
STEP, ROW = 1.75, 3.0  # between stages and between towers
ABOVE, BELOW = 1.15, 1.0  # of the text, from the middle line of a tower
TOP, BOTTOM = 2.0, 2.5  # margins above the first tower and below the last
FULL_HEIGHT, GAP = 1.7, 0.04
COLORS = {"conv": LINES[0], "full": LINES[1], "input": LINES[2]}


def _parameters(_: Evidence) -> list[Record]:
    """The layers; parameters were published to tens of millions, neurons to tens of thousands."""
    network = AS_PRINTED.network
    rows = []
    for layer in network.layers():
        values: dict[str, Cell] = {name: getattr(layer, name) or None for name in ("neurons", "parameters", "macs")}
        values |= {"layer": layer.name, "output": _size(layer.output)}
        values["fraction"] = layer.parameters / network.parameters if layer.parameters else None
        published = results.CAPTION_NEURONS.get(layer.name)
        values["published"] = f"{published:,}" if published else None
        if published and published != layer.neurons:
            values |= {
                "claim": f"Figure 2, caption: {layer.name} has {published:,} neurons",
                "verdict": "slip of the paper",
                "note": f"{_size(layer.output)} = {layer.neurons:,}",
            }
        rows.append(Record(COUNTS, values))
    millions, neurons = f"{round(network.parameters / 1e6, -1):.0f} million", f"{round(network.neurons, -4):,}"
    is_rounded = (millions, neurons) == (results.PARAMETERS, results.NEURONS)
    total: dict[str, Cell] = {
        "layer": "total", "neurons": network.neurons, "parameters": network.parameters, "fraction": 1.0,
        "macs": network.macs, "published": PUBLISHED_SUMS, "claim": f"abstract: {PUBLISHED_SUMS}",
        "verdict": "reproduced" if is_rounded else "slip of the paper",
        "note": f"{network.parameters:,} parameters round to {millions}, {network.neurons:,} neurons to {neurons}",
    }  # fmt: skip
    return [*rows, Record(COUNTS, total)]


def draw(network: Network, *, title: str) -> Figure:
    """The network as a figure, 1.3 inches a stage."""
    rows = [ROW * (network.towers - 1 - tower) for tower in range(network.towers)]
    image = (network.channels, network.input_px, network.input_px)
    outputs = {layer.name: layer.output for layer in network.layers()}
    with style():
        figure = Figure(figsize=(1.3 * (len(network.stages) + 1), 0.64 * (max(rows) + TOP + BOTTOM)))
        axes = figure.add_subplot()
        axes.set_title(title, loc="left")
        axes.set_axis_off()
        middle = [sum(rows) / len(rows)]
        boxes = _column(axes, 0.0, middle, image, kind="input", words=["input", _size(image)]) * network.towers
        for number, (stage, size) in enumerate(network.inputs(), start=1):
            maps, height, width = outputs[stage.name]
            part = (maps // network.towers, height, width)
            words = [stage.name, *[_size(part)] * (network.towers - 1), _words(network, stage, part, size)]
            before, boxes = boxes, _column(axes, STEP * number, rows, part, kind=stage.kind, words=words)
            _arrows(axes, before, boxes, reads_both=stage.reads == "both")
        axes.set_xlim(-0.6, STEP * len(network.stages) + 1.4)
        axes.set_ylim(-BOTTOM, max(rows) + TOP)
    return figure


def _column(axes: Axes, left: float, rows: list[float], size: Size, *, kind: str, words: list[str]) -> list[Box]:
    """The blocks of one stage in all towers; words: its name, above, then the text below the block of each tower."""
    half = _half(size)
    boxes = [_block(axes, left, row, size, kind=kind) for row in rows]
    center = (boxes[0][0] + boxes[0][1]) / 2
    axes.text(center, max(rows) + max(ABOVE, ABOVE * half + 0.2), words[0], ha="center", fontsize=8.5, weight="bold")
    for row, text in zip(rows, words[1:], strict=True):
        axes.text(center, row - max(BELOW, half + 0.25), text, ha="center", va="top", fontsize=7.5)
    return boxes


def _arrows(axes: Axes, before: list[Box], boxes: list[Box], *, reads_both: bool) -> None:
    for to, end in enumerate(boxes):
        for tower, start in enumerate(before):
            if tower != to and not (reads_both and before[0] != before[-1]):
                continue
            arrow = FancyArrowPatch(
                (start[1] + GAP, start[2]), (end[0] - GAP, end[2]), arrowstyle="-|>", mutation_scale=7, color=INK,
                linewidth=0.7, linestyle="--" if tower != to else "-",
            )  # fmt: skip
            axes.add_patch(arrow)


def _words(network: Network, stage: Stage, part: Size, size: Size) -> str:
    """The size of one tower's maps, the kernels, and the operations that follow, line by line."""
    lines = [_size(part)]
    if stage.kind == "conv":
        stride = f", stride {stage.stride_px}" if stage.stride_px > 1 else ""
        lines.append(f"{stage.kernel_px}×{stage.kernel_px}{stride}")
    if network.side_input is not None and network.side_input.stage == stage.name:
        lines.append("+ blurred crop")
    word = {"activation": network.activation, "pool": f"pool {network.pool.size_px}/{network.pool.stride_px}"}
    if network.norm is not None and network.norm.learns:
        word["norm"] = f"{network.norm.kind} norm"
    lines += [word.get(operation, operation.replace("_", " ")) for operation in network.operations(stage)]
    after = [reached for _, reached in network.inputs()][network.stages.index(stage) + 1 :]
    if "pool" in stage.order and after and after[0][1:] != size[1:]:
        lines.append(f"→ {after[0][1]}×{after[0][2]}")
    return "\n".join(lines)


def _half(size: Size) -> float:
    """Half the height of a block: larger maps are higher, and full stages all the same."""
    return (FULL_HEIGHT if size[1] == 1 else 0.35 + 0.14 * sqrt(size[1])) / 2


def _block(axes: Axes, left: float, middle: float, size: Size, *, kind: str) -> Box:
    """A box in perspective; returns its left and right end and its middle line."""
    maps, height_px, _ = size
    half = _half(size)
    wide, deep = 0.08 + 0.045 * log2(maps + 1), 0.0 if height_px == 1 else 0.3 * half
    front = np.add([(0, -half), (wide, -half), (wide, half), (0, half)], (left, middle))
    behind = np.add(front, (deep, deep / 2))
    top, side = [front[3], front[2], behind[2], behind[3]], [front[1], front[2], behind[2], behind[1]]
    for face, alpha in ((front, 0.55), (top, 0.25), (side, 0.4)):
        axes.add_patch(Polygon(face, facecolor=COLORS[kind], alpha=alpha, edgecolor=INK, linewidth=0.6))
    return left, left + wide + deep, middle


def _size(size: Size) -> str:
    maps, height, width = size
    return f"{height}×{width}×{maps}" if height * width > 1 else f"{maps}"


PARAMETERS = Experiment(
    "parameters", "Parameters and neurons, counted from the recipe", Citation("§3.5", "Figure 2 and its caption"),
    summarize=_parameters,
)  # fmt: skip
FIGURE_2 = Experiment(
    "figure-2", "Figure 2: the network, drawn from its fields", Citation("§3.5", "Figure 2"), summarize=_parameters,
    draw=lambda _: draw(AS_PRINTED.network, title=f"{AS_PRINTED.name}: {AS_PRINTED.description}"),
)  # fmt: skip
