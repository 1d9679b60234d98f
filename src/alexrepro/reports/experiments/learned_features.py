"""What the network learned (§6.1): Figure 3, the kernels of conv1; Figure 4, predictions and nearest training images.

`alexrepro features` computes what Figure 4 shows. Test images are sampled with a fixed seed; the paper chose its own.
One run is shown: the one that the user named, else the foremost one.
"""

import shlex
from collections.abc import Iterator
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alexrepro.paper.citation import Citation
from alexrepro.paper.results import FIGURE_3_KERNELS_PER_ROW
from alexrepro.recipes.catalog import AS_PRINTED, AS_RUN_2010, AS_RUN_2012
from alexrepro.reports.experiments import Evidence, Experiment, folder_of, prepare_command, train_command
from alexrepro.reports.figures.curves import trained
from alexrepro.reports.figures.plot import INK, LINES
from alexrepro.reports.tables.table import COUNT, FRACTION, NUMBER, TEXT, Cell, Record
from alexrepro.runs.checkpoint import kernels
from alexrepro.runs.predictions import Neighbors, load_neighbors
from alexrepro.runs.run import Run

KERNELS = {
    "stage": TEXT, "gpu": COUNT, "kernels": COUNT, "side_px": COUNT, "color_fraction": FRACTION, "note": TEXT,
    "cites": TEXT,
}  # fmt: skip
NEIGHBORS = {
    "part": TEXT, "image": TEXT, "true_class": TEXT, "rank": COUNT, "neighbor": TEXT, "class": TEXT,
    "probability": FRACTION, "distance": NUMBER, "note": TEXT, "cites": TEXT,
}  # fmt: skip
DATASET = "ilsvrc2010"
PREFERRED = (AS_RUN_2010.name, AS_RUN_2012.name, AS_PRINTED.name)
FRAME_PX = 1  # between kernels
NARROWEST_IN, WIDEST_IN, PIXEL_IN = 7.5, 10.0, 0.06  # of the figure, and of a pixel between the two
NOTE = "color fraction: energy that is not equal in red, green and blue, mean over the GPU's kernels"
LETTERS, FEW_LETTERS = 16, 15  # of a class name, and above a small image
WRONG, RIGHT, FAINT = LINES[0], LINES[1], 0.45
Image = NDArray[np.float32]
TRAIN = [prepare_command(DATASET), train_command(AS_RUN_2010, dataset=DATASET)]


def _kernels_of(evidence: Evidence) -> tuple[Run, int, list[NDArray[np.float32]]] | None:
    """The foremost run with saved kernels on color images, the step, and its kernels by tower."""
    for run in evidence.foremost():
        step, weights = kernels(run.checkpoints, run.recipe.network.stages[0].name) or (0, np.empty(0))
        if weights.ndim == 4 and weights.shape[1] == 3:
            return run, step, np.split(weights, run.recipe.network.towers)
    return None


def _colors(evidence: Evidence) -> list[Record]:
    found = _kernels_of(evidence)
    if found is None:
        return [Record(KERNELS, {"stage": "conv1", "note": "not run"})]
    run, step, towers = found
    facts: dict[str, Cell] = {
        "cites": str(run.folder),
        "stage": run.recipe.network.stages[0].name,
        "note": f"{trained(run, step)}; {NOTE}",
    }
    facts |= {"kernels": len(towers[0]), "side_px": towers[0].shape[-1]}
    return [
        Record(KERNELS, {**facts, "gpu": gpu, "color_fraction": float(colorfulness(weights).mean())})
        for gpu, weights in enumerate(towers, start=1)
    ]


def _draw_kernels(evidence: Evidence) -> Figure | None:
    found = _kernels_of(evidence)
    if found is None:
        return None
    run, step, towers = found
    pictures = sheets(np.concatenate(towers), towers=len(towers))
    high, wide, _ = pictures[0].shape
    width_in = min(WIDEST_IN, max(NARROWEST_IN, wide * PIXEL_IN))
    figure = Figure(figsize=(width_in, 0.5 + len(towers) * (0.4 + width_in * high / wide)))
    figure.suptitle(trained(run, step))
    for tower, (sheet, weights) in enumerate(zip(pictures, towers, strict=True)):
        axes = figure.add_subplot(len(towers), 1, tower + 1)
        axes.imshow(sheet, interpolation="none")  # an SVG keeps every pixel sharp
        gpu = f"GPU {tower + 1}: " if len(towers) > 1 else ""
        axes.set_title(f"{gpu}{100 * colorfulness(weights).mean():.0f} % of the energy is color", loc="left")
        axes.set_axis_off()
    return figure


def sheets(weights: NDArray[np.float32], *, towers: int, per_row: int = FIGURE_3_KERNELS_PER_ROW) -> list[Image]:
    """One image per tower, (height, width, 3), kernels (maps, 3, H, W) scaled together to 0..1 (shownet.py)."""
    low, high = weights.min(), weights.max()
    scaled = (weights - low) / max(high - low, np.finfo(np.float32).tiny)
    return [_sheet(kernels.transpose(0, 2, 3, 1), per_row) for kernels in np.split(scaled, towers)]


def colorfulness(weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """How colored each kernel is, (maps,): the fraction of its energy that is not equal in red, green and blue."""
    values = weights.astype(np.float64)
    energy = (values**2).sum((1, 2, 3))
    gray = 3 * (values.mean(1) ** 2).sum((1, 2))
    found: NDArray[np.float64] = 1 - gray / np.maximum(energy, np.finfo(np.float64).tiny)
    return found.clip(min=0)  # rounding can leave less


def _sheet(kernels: Image, per_row: int) -> Image:
    """The kernels, (maps, H, W, 3), row by row, each in a black frame."""
    rows, columns = ceil(len(kernels) / per_row), min(len(kernels), per_row)
    frame, no_frame = (FRAME_PX, 0), (0, 0)
    framed = np.pad(kernels, ((0, rows * columns - len(kernels)), frame, frame, no_frame))
    _, high, wide, colors = framed.shape
    in_rows = framed.reshape(rows, columns, high, wide, colors).swapaxes(1, 2)
    return np.pad(in_rows.reshape(rows * high, columns * wide, colors), (frame[::-1], frame[::-1], no_frame))


def _neighbors_of(evidence: Evidence) -> tuple[Run, Neighbors] | None:
    """The foremost run with saved neighbors."""
    loaded = ((run, load_neighbors(run)) for run in evidence.foremost())
    return next(((run, found) for run, found in loaded if found is not None), None)


def _predictions_and_neighbors(evidence: Evidence) -> list[Record]:
    found = _neighbors_of(evidence)
    return [*_records(*found)] if found else [Record(NEIGHBORS, {"note": "not run"})]


def _records(run: Run, found: Neighbors) -> Iterator[Record]:
    for row in found.rows():
        yield Record(NEIGHBORS, {**row, "cites": str(run.folder)})


def _draw_neighbors(evidence: Evidence) -> Figure | None:
    saved = _neighbors_of(evidence)
    if saved is None:
        return None
    run, found = saved
    names = found.class_names
    figure = Figure(figsize=(16, 8.6))
    figure.suptitle(trained(run, found.epochs * run.environment["steps_per_epoch"]))
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.05), squeeze=False)[0]
    left.suptitle("Test images and the five most probable classes (true class: bold, orange)")
    right.suptitle("Test images (bold, orange) and the nearest training images")
    grid = left.subplots(4, 4, height_ratios=(1.7, 1.2) * 2)
    for axes in grid.flat:
        axes.set_axis_off()
    for number, (image, label) in enumerate(zip(found.images, found.labels, strict=True)):
        row, column = 2 * (number // 4), number % 4
        _draw_image(grid[row, column], image, _first_synonym(names[label]), color=INK)
        _draw_predictions(grid[row + 1, column], found, number)
    rows = np.atleast_2d(right.subplots(len(found.queries), 1 + found.distances.shape[1]))
    for number, (first, *others) in enumerate(rows):
        query = _first_synonym(names[found.query_labels[number]], FEW_LETTERS)
        _draw_image(first, found.queries[number], query, color=RIGHT)
        for axes, image, label in zip(others, found.neighbors[number], found.neighbor_labels[number], strict=True):
            _draw_image(axes, image, _first_synonym(names[label], FEW_LETTERS), color=INK)
    return figure


def _draw_predictions(axes: Axes, found: Neighbors, number: int) -> None:
    """The predictions for one test image, the true class in another color."""
    top5, names = found.top5[number], found.class_names
    colors = [RIGHT if one == found.labels[number] else WRONG for one in top5]
    axes.barh(np.arange(len(top5)), found.probabilities[number], color=colors, alpha=FAINT, height=0.85)
    for rank, (one, probability) in enumerate(zip(top5, found.probabilities[number], strict=True)):
        weight = "bold" if one == found.labels[number] else "normal"
        axes.text(0.015, rank, _first_synonym(names[one]), va="center", fontsize=9, weight=weight)
        axes.text(0.985, rank, f"{100 * probability:.0f} %", va="center", ha="right", fontsize=9, weight=weight)
    axes.set_axis_on()
    axes.set(xlim=(0, 1), xticks=[], yticks=[])
    axes.invert_yaxis()


def _draw_image(axes: Axes, image: NDArray[np.uint8], title: str, *, color: str) -> None:
    axes.imshow(image)  # smoothed where it has more pixels than the figure
    axes.set_title(title, fontsize=9, color=color, pad=2, weight="normal" if color == INK else "bold")
    axes.set_axis_off()


def _first_synonym(name: str, letters: int = LETTERS) -> str:
    """The first synonym of a class name, as in shownet.py, cut if it is long."""
    word = name.partition(",")[0]
    return word if len(word) <= letters else f"{word[: letters - 1]}…"


def _trained(evidence: Evidence) -> list[Run]:
    """The runs that a figure is to show: those that the user named, or the finished ones of the paper's networks."""
    named = [*evidence.runs] if evidence.is_chosen else evidence.named(*PREFERRED)
    return [run for run in named if evidence.is_chosen or run.result]


def _kernels_lack(evidence: Evidence) -> list[str]:
    return [] if any(kernels(run.checkpoints, "conv1") for run in _trained(evidence)) else TRAIN


def _neighbors_lack(evidence: Evidence) -> list[str]:
    runs = _trained(evidence)
    if any(load_neighbors(run) for run in runs):
        return []
    folder = runs[0].folder if runs else folder_of(AS_RUN_2010, dataset=DATASET)
    return [*([] if runs else TRAIN), f"alexrepro features {shlex.quote(str(folder))}"]


FIGURE_3 = Experiment(
    "figure-3", "Figure 3: the kernels of conv1", Citation("§6.1", "Figure 3"), summarize=_colors, draw=_draw_kernels,
    lacks=_kernels_lack,
)  # fmt: skip
FIGURE_4 = Experiment(
    "figure-4", "Figure 4: predictions for test images, and nearest training images", Citation("§6.1", "Figure 4"),
    summarize=_predictions_and_neighbors, draw=_draw_neighbors, lacks=_neighbors_lack,
)  # fmt: skip
