"""How commands print: one JSON object or a table on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from alexrepro.progress import visible

PLAIN_WIDTH = 100  # columns of a table that goes to a file or a pipe
BORDER = 3  # characters between two columns


def print_json(result: Mapping[str, Any]) -> None:
    """Print exactly one JSON object on stdout."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(result, indent=2, ensure_ascii=not is_unicode))


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()
) -> None:
    """Print a table on stdout; the columns named in `right` are right-aligned."""
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    table = Table(title=plain(title), title_justify="left")
    cells = [["" if cell is None else plain(str(cell)) for cell in row] for row in rows]
    for column, width in zip(columns, _widths([columns, *cells], console.width), strict=True):
        table.add_column(column, width=width, justify="right" if column in set(right) else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _widths(rows: Sequence[Sequence[str]], room: int) -> list[int | None]:
    """Widths of columns that break no word, if they fit; the spare room goes to the narrowest needs first."""
    least = [
        max((len(word) for cell in column for word in cell.split()), default=0) for column in zip(*rows, strict=True)
    ]
    spare = room - 1 - sum(width + BORDER for width in least)
    if spare < 0:
        return [None] * len(least)
    most = [
        max(len(line) for cell in column for line in (cell or " ").splitlines()) for column in zip(*rows, strict=True)
    ]
    widths: list[int | None] = [*least]
    waiting = sorted(range(len(least)), key=lambda number: most[number] - least[number])
    for left, number in zip(range(len(waiting), 0, -1), waiting, strict=True):
        added = min(most[number] - least[number], spare // left)
        widths[number], spare = least[number] + added, spare - added
    return widths


def plain(text: str) -> str:
    """Text for a table of rich: no markup, and control characters spelled out, which would steer the terminal."""
    return escape("\n".join(map(visible, text.split("\n"))))


def percent(error: float | None, digits: int = 1) -> str:
    """An error as the paper prints it: 0.375 is `37.5 %`; nothing for None."""
    return "" if error is None else f"{100 * error:.{digits}f} %"
