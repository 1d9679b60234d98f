"""How commands print: one JSON object or a table on stdout, everything else on stderr."""

import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from json import dumps
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from alexrepro.files import printable

PLAIN_WIDTH = 100  # columns of a table that goes to a file or a pipe
BORDER = 3  # characters between two columns
WIDEST_NAME = 40  # characters of a first column that stays on one line if there is room


def print_json(result: Mapping[str, Any]) -> None:
    """Print exactly one JSON object on stdout."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    print(dumps(result, indent=2, ensure_ascii=not is_unicode))


def print_result(
    result: Mapping[str, Any], title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *,
    right: Iterable[str] = (), json: bool,
) -> None:  # fmt: skip
    """Print a result as one JSON object, or as a table."""
    if json:
        print_json(result)
    else:
        print_table(title, columns, rows, right=right)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()
) -> None:
    """Print a table on stdout; the columns named in `right` are right-aligned."""
    is_known = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(width=None if is_known else PLAIN_WIDTH)
    table = Table(title=plain(title), title_justify="left")
    cells = [["" if cell is None else plain(str(cell)) for cell in row] for row in rows]
    by_column = list(zip(columns, *cells, strict=True))
    whole = {number for number, column in enumerate(columns) if column in set(right)}
    whole |= {0} if all(len(cell) <= WIDEST_NAME for cell in by_column[0]) else set()
    for column, width in zip(columns, _widths(by_column, whole, console.width), strict=True):
        table.add_column(column, width=width, justify="right" if column in set(right) else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _widths(columns: Sequence[Sequence[str]], whole: Collection[int], room: int) -> list[int | None]:
    """Widths up to a common limit that break no word, and no cell of the `whole` columns, or none without the room."""
    words = [max((len(word) for cell in cells for word in cell.split()), default=0) for cells in columns]
    most = [max(len(line) for cell in cells for line in (cell or " ").splitlines()) for cells in columns]
    least = [most[number] if number in whole else words[number] for number in range(len(columns))]
    limits = ([max(low, min(limit, high)) for low, high in zip(least, most, strict=True)] for limit in range(room))
    fitting = [widths for widths in limits if sum(widths) + BORDER * len(widths) < room]
    if not fitting:
        return _widths(columns, (), room) if whole else [None] * len(columns)
    return list(fitting[-1])


def plain(text: str) -> str:
    """Text for a table of rich: no markup, and control characters spelled out, which would steer the terminal."""
    return escape("\n".join(map(printable, text.split("\n"))))


def percent(error: float | None, digits: int = 1) -> str:
    """An error as the paper prints it: 0.375 is `37.5 %`; nothing for None."""
    return "" if error is None else f"{100 * error:.{digits}f} %"
