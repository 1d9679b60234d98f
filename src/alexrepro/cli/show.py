"""How commands print: one JSON object or a table on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from alexrepro.files import printable

PLAIN_WIDTH = 160  # columns of a table that goes to a file or a pipe


def print_json(result: Mapping[str, Any]) -> None:
    """Print exactly one JSON object on stdout."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    print(json.dumps(result, indent=2, ensure_ascii=not is_unicode))


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()
) -> None:
    """Print a table on stdout; the columns named in `right` are right-aligned."""
    table = Table(title=plain(title), title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in set(right) else "left", overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else plain(str(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH).print(table)


def plain(text: str) -> str:
    """Text for a table of rich: no markup, and control characters spelled out, which would steer the terminal."""
    return escape("\n".join(map(printable, text.split("\n"))))


def percent(error: float | None, digits: int = 1) -> str:
    """An error as the paper prints it: 0.375 is `37.5 %`; nothing for None."""
    return "" if error is None else f"{100 * error:.{digits}f} %"
