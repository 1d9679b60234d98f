"""Figure 4: eight test images with their five likeliest classes; five others with their nearest training images (§6.1).

`alexrepro features` computes what is drawn. The images are drawn by their number, where the paper chose its own.
"""

import shlex
from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alexrepro.paper.citation import Citation
from alexrepro.recipes.as_printed_and_run import AS_RUN_2010
from alexrepro.reports.experiment import Experiment, folder_of, prepare_command, train_command
from alexrepro.reports.figures.plot import INK, LINES, new_figure
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.reports.tables.table import COUNT, FRACTION, NUMBER, TEXT, Record, ResultTable
from alexrepro.runs.neighbors import Neighbors, load_neighbors
from alexrepro.runs.run import Run

TITLE = "Figure 4: guesses for test images, and nearest training images"
COLUMNS = {
    **dict.fromkeys(("part", "image", "true_class"), TEXT),
    "rank": COUNT,
    **dict.fromkeys(("neighbor", "class"), TEXT),
    "probability": FRACTION,
    "distance": NUMBER,
    **dict.fromkeys(("note", "run"), TEXT),
}
DATASET = "ilsvrc2010"
PREFERRED = (AS_RUN_2010.name, "as-run-2012", "as-printed")
SHOWN_PX = 128
LETTERS, FEW_LETTERS = 22, 17  # of a class's name, and above a small picture
WRONG, RIGHT, FAINT = LINES[0], LINES[1], 0.6


def chosen(evidence: Evidence) -> tuple[Run, Neighbors] | None:
    """The foremost run with saved neighbors."""
    for run in evidence.foremost():
        found = load_neighbors(run)
        if found is not None:
            return run, found
    return None


def first_synonym(name: str, letters: int = LETTERS) -> str:
    """What is shown of a class: its first synonym, as in shownet.py, cut where it is long."""
    word = name.partition(",")[0]
    return word if len(word) <= letters else f"{word[: letters - 1]}…"


def _summarize(evidence: Evidence) -> ResultTable:
    found = chosen(evidence)
    rows = tuple(_records(*found)) if found else (Record(COLUMNS, {"note": "not run"}),)
    return ResultTable("figure-4", TITLE, rows)


def _records(run: Run, found: Neighbors) -> Iterator[Record]:
    names, image_names = found.about.class_names, found.about.names
    for image, label, guesses, chances in zip(image_names, found.labels, found.top5, found.probabilities, strict=False):
        facts = {"run": str(run.folder), "part": "guesses", "image": image, "true_class": names[label]}
        for rank, (guess, chance) in enumerate(zip(guesses, chances, strict=True), start=1):
            yield Record(COLUMNS, {**facts, "rank": rank, "class": names[guess], "probability": float(chance)})
    lines = zip(
        image_names[len(found.labels) :], found.query_labels, found.about.neighbor_names, found.neighbor_labels,
        found.distances, strict=True,
    )  # fmt: skip
    for image, label, neighbors, labels, distances in lines:
        facts = {"run": str(run.folder), "part": "neighbors", "image": image, "true_class": names[label]}
        for rank, (name, of, distance) in enumerate(zip(neighbors, labels, distances, strict=True), start=1):
            yield Record(
                COLUMNS, {**facts, "rank": rank, "neighbor": name, "class": names[of], "distance": float(distance)}
            )


def _draw(evidence: Evidence) -> Figure | None:
    found = chosen(evidence)
    if found is None:
        return None
    run, neighbors = found
    names = neighbors.about.class_names
    figure = new_figure(13, 6.5)
    figure.suptitle(f"{run.folder.parent.name}/{run.folder.name}", fontsize=9)
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.05), squeeze=False)[0]
    left.suptitle("test images, their class, and the likeliest classes; the true one in orange", fontsize=9)
    right.suptitle("test images (orange), and the nearest training images", fontsize=9)
    places = left.subplots(4, 4, height_ratios=(2, 1.2) * 2)
    for place in places.flat:
        place.set_axis_off()
    for number in range(len(neighbors.images)):
        row, column = 2 * (number // 4), number % 4
        _guessed(places[row, column], places[row + 1, column], neighbors, number)
    rows = right.subplots(len(neighbors.queries), 1 + neighbors.distances.shape[1])
    for number, line in enumerate(np.atleast_2d(rows)):
        query = first_synonym(names[neighbors.query_labels[number]], FEW_LETTERS)
        _picture(line[0], neighbors.queries[number], query, color=RIGHT)
        shown = zip(line[1:], neighbors.neighbors[number], neighbors.neighbor_labels[number], strict=True)
        for place, image, label in shown:
            _picture(place, image, first_synonym(names[label], FEW_LETTERS), color=INK)
    return figure


def _guessed(above: Axes, below: Axes, found: Neighbors, number: int) -> None:
    """One test image with its true class, and below it the likeliest classes, the true one in another color."""
    names, label = found.about.class_names, found.labels[number]
    _picture(above, found.images[number], first_synonym(names[label]), color=INK)
    guesses, chances = found.top5[number], found.probabilities[number]
    places = np.arange(len(guesses))
    colors = [RIGHT if guess == label else WRONG for guess in guesses]
    below.barh(places, chances, color=colors, alpha=FAINT, height=0.8)  # words stand on them
    for place, guess in zip(places, guesses, strict=True):
        below.text(0.015, float(place), first_synonym(names[guess]), va="center", fontsize=6.5)
    below.set_axis_on()
    below.set_xlim(0, 1)
    below.invert_yaxis()
    below.set_xticks([])
    below.set_yticks([])


def _picture(place: Axes, image: NDArray[np.uint8], title: str, *, color: str) -> None:
    place.imshow(_smaller(image))
    place.set_title(title, fontsize=6.5, color=color, pad=2)
    place.set_axis_off()


def _smaller(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image at the size in which it is shown, uint8 (H, W, 3): means of whole blocks of pixels."""
    block = max(1, len(image) // SHOWN_PX)
    side = len(image) // block
    blocks = image[: side * block, : side * block].reshape(side, block, side, block, -1)
    smaller: NDArray[np.uint8] = blocks.mean((1, 3)).round().astype(np.uint8)
    return smaller


def _lacks(evidence: Evidence) -> list[str]:
    runs = [run for name in PREFERRED for run in evidence.named(name)]
    if any(load_neighbors(run) for run in runs):
        return []
    if runs:
        return [f"alexrepro features {shlex.quote(str(runs[0].folder))}"]
    return [
        prepare_command(DATASET),
        train_command(AS_RUN_2010, dataset=DATASET),
        f"alexrepro features {folder_of(AS_RUN_2010, dataset=DATASET)}",
    ]


EXPERIMENT = Experiment(
    name="figure-4", title=TITLE, cites=Citation("§6.1", "Figure 4"), summarize=_summarize, draw=_draw, lacks=_lacks
)
