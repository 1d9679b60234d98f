"""Figure 4: eight test images with their five likeliest classes; five others with their nearest training images (§6.1).

`alexrepro features` computes what is drawn. The images are drawn by their number, where the paper chose its own.
"""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alexrepro.engine.run import Run
from alexrepro.engine.saved import Neighbours, load_neighbours
from alexrepro.paper.citation import Citation
from alexrepro.reports.evidence import Evidence
from alexrepro.reports.experiment import Experiment
from alexrepro.reports.plot import INK, LINES, new_figure
from alexrepro.reports.table import COUNT, FRACTION, NUMBER, TEXT, Record, ResultTable

TITLE = "Figure 4: guesses for test images, and nearest training images"
COLUMNS = {
    **dict.fromkeys(("run", "part", "image", "true_class"), TEXT),
    "rank": COUNT,
    **dict.fromkeys(("neighbour", "class"), TEXT),
    "probability": FRACTION,
    "distance": NUMBER,
    "note": TEXT,
}
PREFERRED = ("as-run-2010", "as-run-2012", "as-printed")
LETTERS = 22  # of a class's name
WRONG, RIGHT = LINES[0], LINES[1]


def chosen(evidence: Evidence) -> tuple[Run, Neighbours] | None:
    """The newest run of the paper's recipes with saved neighbours, or else of any recipe."""
    for run in (*(run for name in PREFERRED for run in evidence.named(name)), *evidence.runs):
        found = load_neighbours(run)
        if found is not None:
            return run, found
    return None


def first_synonym(name: str) -> str:
    """What is shown of a class: its first synonym, as in shownet.py, cut where it is long."""
    word = name.partition(",")[0]
    return word if len(word) <= LETTERS else f"{word[: LETTERS - 1]}…"


def _summarize(evidence: Evidence) -> ResultTable:
    found = chosen(evidence)
    rows = tuple(_records(*found)) if found else (Record(COLUMNS, {"note": "not run"}),)
    return ResultTable("figure-4", TITLE, rows)


def _records(run: Run, found: Neighbours) -> Iterator[Record]:
    names, image_names = found.about.class_names, found.about.names
    for image, label, guesses, chances in zip(image_names, found.labels, found.guesses, found.chances, strict=False):
        facts = {"run": str(run.folder), "part": "guesses", "image": image, "true_class": names[label]}
        for rank, (guess, chance) in enumerate(zip(guesses, chances, strict=True), start=1):
            yield Record(COLUMNS, {**facts, "rank": rank, "class": names[guess], "probability": float(chance)})
    lines = zip(
        image_names[len(found.labels) :], found.query_labels, found.about.neighbour_names, found.neighbour_labels,
        found.distances, strict=True,
    )  # fmt: skip
    for image, label, neighbours, labels, distances in lines:
        facts = {"run": str(run.folder), "part": "neighbours", "image": image, "true_class": names[label]}
        for rank, (name, of, distance) in enumerate(zip(neighbours, labels, distances, strict=True), start=1):
            yield Record(
                COLUMNS, {**facts, "rank": rank, "neighbour": name, "class": names[of], "distance": float(distance)}
            )


def _draw(evidence: Evidence) -> Figure | None:
    found = chosen(evidence)
    if found is None:
        return None
    run, neighbours = found
    names = neighbours.about.class_names
    figure = new_figure(13, 6.2)
    figure.suptitle(f"{run.folder.parent.name}/{run.folder.name}", fontsize=9)
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.05), squeeze=False)[0]
    places = left.subplots(4, 4, height_ratios=(2, 1.2) * 2)
    for place in places.flat:
        place.set_axis_off()
    for number in range(len(neighbours.images)):
        row, column = 2 * (number // 4), number % 4
        _guessed(places[row, column], places[row + 1, column], neighbours, number)
    rows = right.subplots(len(neighbours.queries), 1 + neighbours.distances.shape[1])
    for number, line in enumerate(np.atleast_2d(rows)):
        _picture(line[0], neighbours.queries[number], names[neighbours.query_labels[number]], color=RIGHT)
        shown = zip(line[1:], neighbours.neighbours[number], neighbours.neighbour_labels[number], strict=True)
        for place, image, label in shown:
            _picture(place, image, names[label], color=INK)
    return figure


def _guessed(above: Axes, below: Axes, found: Neighbours, number: int) -> None:
    """One test image with its true class, and below it the likeliest classes, the true one in another color."""
    names, label = found.about.class_names, found.labels[number]
    _picture(above, found.images[number], names[label], color=INK)
    guesses, chances = found.guesses[number], found.chances[number]
    places = np.arange(len(guesses))
    below.barh(places, chances, color=[RIGHT if guess == label else WRONG for guess in guesses], height=0.8)
    for place, guess in zip(places, guesses, strict=True):
        below.text(0.015, float(place), first_synonym(names[guess]), va="center", fontsize=6.5)
    below.set_axis_on()
    below.set_xlim(0, 1)
    below.invert_yaxis()
    below.set_xticks([])
    below.set_yticks([])


def _picture(place: Axes, image: NDArray[np.uint8], title: str, *, color: str) -> None:
    place.imshow(image[::2, ::2])
    place.set_title(first_synonym(title), fontsize=6.5, color=color, pad=2)
    place.set_axis_off()


def _lacks(evidence: Evidence) -> list[str]:
    if any(load_neighbours(run) for name in PREFERRED for run in evidence.named(name)):
        return []
    return [
        "alexrepro prepare /path/ILSVRC2010",
        "alexrepro train as-run-2010 --store ilsvrc2010",
        "alexrepro features",
    ]


EXPERIMENT = Experiment(
    name="figure-4", title=TITLE, cites=Citation("§6.1", "Figure 4"), summarize=_summarize, draw=_draw, lacks=_lacks
)
