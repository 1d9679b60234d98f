"""How commands print: one JSON object or a table on stdout, everything else on stderr."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from alexrepro.files import printable

PLAIN_WIDTH = 100  # columns of a table that goes to a file or a pipe
WIDEST_NAME = 40  # characters of a first column that is never broken


def print_json(result: Mapping[str, Any]) -> None:
    """Print exactly one JSON object on stdout."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(result, indent=2, ensure_ascii=not is_unicode))


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()
) -> None:
    """Print a table on stdout; the columns named in `right` are right-aligned."""
    table = Table(title=plain(title), title_justify="left")
    cells = [["" if cell is None else plain(str(cell)) for cell in row] for row in rows]
    for number, column in enumerate(columns):
        is_name = number == 0 and all(len(row[0]) <= WIDEST_NAME for row in cells)
        table.add_column(
            column, justify="right" if column in set(right) else "left", overflow="fold",
            no_wrap=is_name or column in set(right),
        )  # fmt: skip
    for row in cells:
        table.add_row(*row)
    is_known = sys.stdout.isatty() or "COLUMNS" in os.environ
    Console(width=None if is_known else PLAIN_WIDTH).print(table)


def plain(text: str) -> str:
    """Text for a table of rich: no markup, and control characters spelled out, which would steer the terminal."""
    return escape("\n".join(map(printable, text.split("\n"))))


def percent(error: float | None, digits: int = 1) -> str:
    """An error as the paper prints it: 0.375 is `37.5 %`; nothing for None."""
    return "" if error is None else f"{100 * error:.{digits}f} %"
