"""How commands print: one JSON object or a table on stdout, everything else on stderr."""

import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from json import dumps
from math import ceil
from textwrap import indent
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from alexrepro.files import printable

PLAIN_WIDTH = 100  # columns of a table that goes to a file or a pipe
GAP = 2  # spaces between two columns
LEGIBLE = 16  # characters: shorter text is not wrapped, and longer text has lines of at least this length
INDENT, BETWEEN = 4, 3  # spaces before and between the cells below a row


def print_json(result: Mapping[str, Any]) -> None:
    """Print exactly one JSON object on stdout."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    print(dumps(result, indent=2, ensure_ascii=not is_unicode))


def print_result(
    result: Mapping[str, Any], title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *,
    json: bool, right: Iterable[str] = (), below: Iterable[str] = (),
) -> None:  # fmt: skip
    """Print a result as one JSON object, or as a table."""
    if json:
        print_json(result)
    else:
        print_table(title, columns, rows, right=right, below=below)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *,
    right: Iterable[str] = (), below: Iterable[str] = (),
) -> None:  # fmt: skip
    """Print a table on stdout in the width there is, without breaking a word, a number or a path.

    right: columns of numbers, which are right-aligned and stay on one line. below: the columns that continue below their
    row where the width is small, the first one first; where it is smaller still, the others follow from the last one on.
    """
    is_known = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(width=None if is_known else PLAIN_WIDTH)
    screen, cells = console.width, [["" if cell is None else plain(str(cell)) for cell in row] for row in rows]
    numbers = {columns.index(column) for column in right if column in columns}
    named = [columns.index(column) for column in below if column in columns]
    widths = _widths(list(zip(columns, *cells, strict=True)), numbers, named, screen)
    total = sum(widths.values()) + GAP * (len(widths) - 1)
    console.width = max(screen, total)  # wider for a single word that is longer than a line, which the terminal wraps
    console.print(Text(plain(title), style="bold"), soft_wrap=True)
    console.print(_grid(columns, widths, numbers, style="bold"))
    console.print(Rule(style=""), width=total)
    for row in cells:
        console.print(_grid(row, widths, numbers))
        left = [n for n, cell in enumerate(row) if cell and n not in widths]
        for text in _packed([f"{columns[n]}: {row[n]}".removeprefix(": ") for n in left], screen - INDENT):
            if max(map(cell_len, text.split())) > screen - INDENT:
                console.print(Text(indent(text, " " * INDENT)), soft_wrap=True)
            else:
                console.print(Padding(Text(text), (0, 0, 0, INDENT), expand=False), width=screen)


def _widths(
    columns: Sequence[Sequence[str]], numbers: Collection[int], below: Sequence[int], room: int
) -> dict[int, int]:
    """The widths of the columns that stand side by side, by their numbers.

    columns: the heading and the cells of each. As many of the columns `below` continue below their row as make the
    table shortest; others only where there is no room for them.
    """
    words = [max((cell_len(word) for cell in cells for word in cell.split()), default=0) for cells in columns]
    most = [max(_length(cell) for cell in ("", *cells[1:])) for cells in columns]
    least = [
        max(word, longest if n in numbers else min(longest, LEGIBLE))
        for n, (word, longest) in enumerate(zip(words, most, strict=True))
    ]
    most = [max(longest, _length(cells[0])) for longest, cells in zip(most, columns, strict=True)]
    order = [*below, *(n for n in range(len(columns) - 1, 0, -1) if n not in below)]
    found: dict[int, int] = {}
    for count in range(len(order) + 1):
        beside = [n for n in range(len(columns)) if n not in order[:count]]
        limits = ({n: max(least[n], min(limit, most[n])) for n in beside} for limit in range(room, 0, -1))
        widths = next((one for one in limits if sum(width + GAP for width in one.values()) <= room + GAP), None)
        if widths and (
            not found or (count <= len(below) and _lines(columns, widths, room) < _lines(columns, found, room))
        ):
            found = widths
    return found or {0: least[0]}


def _lines(columns: Sequence[Sequence[str]], widths: Mapping[int, int], room: int) -> int:
    """About how many lines a table takes."""
    headings, *rows = zip(*columns, strict=True)
    beside = sum(max(ceil(_length(row[n]) / width) for n, width in widths.items()) for row in rows)
    left = [n for n in range(len(columns)) if n not in widths]
    long = [sum(_length(f"{headings[n]}: {row[n]}") + BETWEEN for n in left if row[n]) for row in rows]
    return beside + sum(ceil(length / (room - INDENT)) for length in long)


def _packed(texts: Iterable[str], room: int) -> list[str]:
    """Texts in as few lines as hold them, each of them whole unless it is longer than a line."""
    lines: list[str] = []
    for text in texts:
        if lines and _length(lines[-1]) + BETWEEN + _length(text) <= room and "\n" not in lines[-1] + text:
            lines[-1] += " " * BETWEEN + text
        else:
            lines.append(text)
    return lines


def _length(cell: str) -> int:
    return max(map(cell_len, cell.split("\n")))


def _grid(cells: Sequence[str], widths: Mapping[int, int], numbers: Collection[int], *, style: str = "") -> Table:
    grid = Table.grid(padding=(0, GAP, 0, 0))
    for n, width in widths.items():
        grid.add_column(width=width, justify="right" if n in numbers else "left")
    grid.add_row(*(Text(cells[n]) for n in widths), style=style)
    return grid


def plain(text: str) -> str:
    """Text with control characters spelled out, which would steer the terminal; its lines stay."""
    return "\n".join(map(printable, text.split("\n")))


def percent(error: float | None, digits: int = 1) -> str:
    """An error as the paper prints it: 0.375 is `37.5 %`; nothing for None."""
    return "" if error is None else f"{100 * error:.{digits}f} %"
