"""One style for figures, and figures as files: SVG with real text, and PNG.

Figures are made for a lecture room: large type, and lines that differ in dashes and markers as well as in color, so
black and white will do. Ink and lines are readable on white paper and on a dark page; the background is transparent in
SVG, white in PNG.
"""

import io
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from matplotlib import rc_context
from matplotlib.figure import Figure

from alexrepro.errors import Exit, UserError
from alexrepro.files import write_bytes, write_text

INK = "#202428"  # the page replaces it by the color of its text
LINES = ("#2f6fb0", "#d9730d", "#2a9d6e", "#a8559a", "#8a7a2a", "#c0504d", "#4f8f8f", "#777777")
DASHES, MARKERS = ("-", "--", "-.", ":"), "os^DvPX*"
SMALL = 10.5  # points, of text inside a picture
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # class names may hold $
    "font.family": "sans-serif", "font.size": 12, "axes.titlesize": 12, "figure.titlesize": 13, "svg.fonttype": "none",
    "legend.frameon": False, "lines.linewidth": 2, "lines.markersize": 6,
    "figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False,
    "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
}  # fmt: skip
DOTS_PER_INCH, IN_SVG = 200, 144  # of a PNG, and of images in an SVG
META_SVG = {"Date": None, "Creator": None, "Format": None, "Type": None}


def style() -> AbstractContextManager[None]:
    """The context in which figures are drawn."""
    return rc_context(STYLE)


def line(number: int) -> dict[str, Any]:
    """Color, dashes and marker of a line; the first 32 differ, and the first eight without color."""
    turn = number // len(LINES)
    return {
        "color": LINES[number % len(LINES)],
        "linestyle": DASHES[(number + turn) % len(DASHES)],
        "marker": MARKERS[number % len(MARKERS)],
    }


@lru_cache(maxsize=32)  # the page shows figures that were just written, and drawing is most of a report's time
def svg(figure: Figure, *, name: str, title: str) -> str:
    """The figure as reproducible SVG text, an image with a title for screen readers; its ids depend on `name`."""
    text = io.StringIO()
    with rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(text, format="svg", dpi=IN_SVG, transparent=True, metadata=META_SVG)
    return text.getvalue().replace("<svg ", f'<svg role="img" aria-label={quoteattr(title)} ', 1)


def write(figure: Figure, path: Path, *, title: str) -> None:
    """Write a figure atomically, as the ending of its file says. Raises UserError unless that is .svg or .png."""
    if path.suffix == ".svg":
        write_text(path, svg(figure, name=path.stem, title=title))
    elif path.suffix == ".png":
        image = io.BytesIO()
        with style():
            figure.savefig(image, format="png", dpi=DOTS_PER_INCH, facecolor="white", metadata={"Software": None})
        write_bytes(path, image.getvalue())
    else:
        what, fix = f"{path} is neither an .svg nor a .png file.", f"Type: {path.with_suffix('.svg').name}."
        raise UserError(what, fix=fix, exit_code=Exit.USAGE)


def save(figure: Figure, folder: Path, *, name: str, title: str) -> list[Path]:
    """Write <name>.svg and <name>.png atomically and return their paths."""
    paths = [folder / f"{name}.{ending}" for ending in ("svg", "png")]
    for path in paths:
        write(figure, path, title=title)
    return paths
