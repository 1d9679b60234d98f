"""The Markdown page: tables of at most 100 columns, and the frame around the sections of the parts."""

import re
import textwrap
from collections.abc import Sequence

from benchmarks.gpu_check.study import NOT_RUN

COLUMNS = 100
LEAST_CELL = 8
ELLIPSIS = "…"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; the widest column is shortened until a line has at most 100 columns."""
    cells = [[_text(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    while sum(widths) + 3 * len(widths) + 1 > COLUMNS and max(widths) > LEAST_CELL:
        widths[widths.index(max(widths))] -= 1
    lines = [_line([_shortened(cell, width) for cell, width in zip(row, widths, strict=True)]) for row in cells]
    numeric = [all(_is_number(row[column]) for row in cells[1:]) for column in range(len(widths))]
    rule = _line(["---:" if is_right and rows else "---" for is_right in numeric])
    return "\n".join([lines[0], rule, *lines[1:]])


def prose(text: str) -> str:
    """A paragraph, wrapped."""
    return textwrap.fill(text, COLUMNS, break_long_words=False, break_on_hyphens=False)


def slug(name: str) -> str:
    """A name for files: `NVIDIA H200` becomes `nvidia-h200`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unknown"


def rate(value: float) -> str:
    """Images per second, or another large number: three digits and more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _text(cell: object) -> str:
    return "" if cell is None else str(cell).replace("|", "¦").replace("\n", " ")


def _shortened(cell: str, width: int) -> str:
    return cell if len(cell) <= width else cell[: width - 1] + ELLIPSIS


def _is_number(cell: str) -> bool:
    return cell in ("", NOT_RUN) or re.fullmatch(r"[-+]?[\d,.]+(e[-+]?\d+)?( ?%)?", cell) is not None


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
