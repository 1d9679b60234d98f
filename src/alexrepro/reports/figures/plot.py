"""One style for figures, and figures as files: SVG with real text, and PNG.

Ink and lines are readable on white paper and on a dark page; the background is transparent in SVG, white in PNG.
"""

import io
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexrepro.files import write_bytes, write_text

INK = "#202428"  # the page replaces it by the color of its text
LINES = ("#3a7ec0", "#d2691e", "#2a9d6e", "#a8559a", "#8a7a2a", "#c0504d", "#5c8a8a", "#777777")
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # class names may hold $
    "font.family": "sans-serif", "font.size": 9.0, "svg.fonttype": "none",
    "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
}  # fmt: skip
DOTS_PER_INCH, IN_SVG = 200, 144  # of a PNG, and of images in an SVG
META_SVG = {"Date": None, "Creator": None, "Format": None, "Type": None}


def style() -> AbstractContextManager[None]:
    """The context in which figures are drawn."""
    return rc_context(STYLE)


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure, in inches; to be drawn within `style`."""
    return Figure(figsize=(width_in, height_in), layout="constrained")


def axes(figure: Figure, position: tuple[int, int, int] = (1, 1, 1), *, x: str = "", y: str = "") -> Axes:
    """Axes with labels and without a box around them."""
    made = figure.add_subplot(*position)
    made.set(xlabel=x, ylabel=y)
    made.spines[["top", "right"]].set_visible(False)
    return made


def picture(figure: Figure, position: tuple[int, int, int] = (1, 1, 1)) -> Axes:
    """Axes for an image, not drawn themselves."""
    made = axes(figure, position)
    made.set_axis_off()
    return made


def svg(figure: Figure, *, name: str) -> str:
    """The figure as reproducible SVG text; its ids depend on `name`."""
    text = io.StringIO()
    with rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(text, format="svg", dpi=IN_SVG, transparent=True, metadata=META_SVG)
    return text.getvalue()


def save(figure: Figure, folder: Path, *, name: str) -> list[Path]:
    """Write <name>.svg and <name>.png atomically and return their paths."""
    paths = [folder / f"{name}.svg", folder / f"{name}.png"]
    image = io.BytesIO()
    with style():
        figure.savefig(image, format="png", dpi=DOTS_PER_INCH, facecolor="white", metadata={"Software": None})
    write_text(paths[0], svg(figure, name=name))
    write_bytes(paths[1], image.getvalue())
    return paths
