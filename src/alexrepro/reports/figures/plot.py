"""One style for figures, and figures as files: SVG with real text, and PNG.

Ink and lines are readable on white paper and on a dark page; the background is transparent in SVG, white in PNG.
"""

import io
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from alexrepro.files import write_bytes, write_text

INK = "#202428"  # the page replaces it by the color of its text
LINES = ("#3a7ec0", "#d2691e", "#2a9d6e", "#a8559a", "#8a7a2a", "#c0504d", "#5c8a8a", "#777777")
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # class names may hold $
    "font.family": "sans-serif", "font.size": 9, "axes.titlesize": 9, "figure.titlesize": 9, "svg.fonttype": "none",
    "figure.constrained_layout.use": True, "axes.spines.top": False, "axes.spines.right": False,
    "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
}  # fmt: skip
DOTS_PER_INCH, IN_SVG = 200, 144  # of a PNG, and of images in an SVG
META_SVG = {"Date": None, "Creator": None, "Format": None, "Type": None}


def style() -> AbstractContextManager[None]:
    """The context in which figures are drawn."""
    return rc_context(STYLE)


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
