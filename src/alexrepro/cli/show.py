"""How commands print: one JSON object or a table on stdout, everything else on stderr."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from json import dumps
from textwrap import indent
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from alexrepro.cli.layout import GAP, INDENT, packed, plain, widths

PLAIN_WIDTH = 100  # columns of a table that goes to a file or a pipe


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
    """Print a table on stdout in the width there is, without breaking a word, a number or a path.

    The columns named in `right` hold numbers: they are right-aligned and stay on one line. Where the width is small,
    columns continue below their row: first those in `layout.BELOW`, then the others, from the last one on.
    """
    console, right = _console(), set(right)
    cells = [["" if cell is None else plain(str(cell)) for cell in row] for row in rows]
    beside = widths(list(zip(columns, *cells, strict=True)), right, console.width)
    total = sum(beside.values()) + GAP * (len(beside) - 1)
    console.width = max(console.width, total)  # for a word that is longer than a line, which the terminal wraps
    print_text(title, style="bold")
    for number, row in enumerate((columns, *cells)):
        grid = Table.grid(padding=(0, GAP, 0, 0))
        for n, width in beside.items():
            grid.add_column(width=width, justify="right" if columns[n] in right else "left")
        grid.add_row(*(Text(row[n]) for n in beside), style="" if number else "bold")
        console.print(grid)
        if not number:
            console.print(Rule(style=""), width=total)
        for line in packed(columns, row, beside, _console().width) if number else ():
            print_text(line, margin=INDENT)


def print_text(text: str, *, margin: int = 0, style: str = "") -> None:
    """Print text on stdout with a left margin in the width there is; a longer word is left to the terminal."""
    console, shown = _console(), plain(text)
    if max(map(cell_len, shown.split()), default=0) > console.width - margin:
        console.print(Text(indent(shown, " " * margin), style=style), soft_wrap=True)
    else:
        console.print(Padding(Text(shown, style=style), (0, 0, 0, margin), expand=False))


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH)


def percent(error: float | None, digits: int = 1) -> str:
    """An error as the paper prints it: 0.375 is `37.5 %`; nothing for None."""
    return "" if error is None else f"{100 * error:.{digits}f} %"
