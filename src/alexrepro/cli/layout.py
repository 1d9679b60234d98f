"""Which columns of a printed table stand side by side, how wide they are, and what continues below its row."""

from collections.abc import Collection, Mapping, Sequence
from math import ceil

from rich.cells import cell_len

from alexrepro.files import printable

GAP = 2  # spaces between two columns
INDENT, BETWEEN = 4, 3  # spaces before and between the cells below a row
LEGIBLE = 16  # characters: shorter text is not wrapped, and longer text has lines of at least this length
BELOW = (  # headings of columns that continue below their row in a small width, the first one first
    "preprocessing", "ties", "eigenvalues", "mean RGB", "unusual", "skipped", "exact p / mid-p",
    "only A / only B wrong", "what to do", "expected", "digest", "like", "then", "verdict", "paper", "2012 log",
    "published", "description", "source", "images", "store",
)  # fmt: skip


def widths(columns: Sequence[Sequence[str]], right: Collection[str], room: int) -> dict[int, int]:
    """The widths of the columns that stand side by side, by their numbers.

    columns: the heading and the cells of each; those in `right` hold numbers, which stay on one line. As many of the
    columns in BELOW continue below their row as make the table shortest; others only where there is no room for them.
    """
    below = [n for heading in BELOW for n, cells in enumerate(columns) if n and cells[0] == heading]
    words = [max((cell_len(word) for cell in cells for word in cell.split()), default=0) for cells in columns]
    most = [max(length(cell) for cell in ("", *cells[1:])) for cells in columns]
    least = [
        max(word, longest if cells[0] in right else min(longest, LEGIBLE))
        for word, longest, cells in zip(words, most, columns, strict=True)
    ]
    most = [max(longest, length(cells[0])) for longest, cells in zip(most, columns, strict=True)]
    order = [*below, *(n for n in range(len(columns) - 1, 0, -1) if n not in below)]  # the first column stays
    found: dict[int, int] = {}
    for count in range(len(order) + 1):
        beside = [n for n in range(len(columns)) if n not in order[:count]]
        limits = ({n: max(least[n], min(limit, most[n])) for n in beside} for limit in range(room, 0, -1))
        tried = next((one for one in limits if sum(width + GAP for width in one.values()) <= room + GAP), None)
        if tried and (
            not found or (count <= len(below) and _lines(columns, tried, room) < _lines(columns, found, room))
        ):
            found = tried
    return found or {0: least[0]}


def _lines(columns: Sequence[Sequence[str]], widths: Mapping[int, int], room: int) -> int:
    """About how many lines a table takes."""
    headings, *rows = zip(*columns, strict=True)
    beside = sum(max(ceil(length(row[n]) / width) for n, width in widths.items()) for row in rows)
    left = [n for n in range(len(columns)) if n not in widths]
    long = [sum(length(f"{headings[n]}: {row[n]}") + BETWEEN for n in left if row[n]) for row in rows]
    return beside + sum(ceil(characters / (room - INDENT)) for characters in long)


def packed(columns: Sequence[str], row: Sequence[str], beside: Collection[int], room: int) -> list[str]:
    """What continues below a row, in as few lines as hold it; a cell that is longer than a line has some of its own."""
    lines: list[str] = []
    for n, cell in enumerate(row):
        text = f"{columns[n]}: {cell}".removeprefix(": ")
        if not cell or n in beside:
            continue
        if lines and length(lines[-1]) + BETWEEN + length(text) <= room - INDENT and "\n" not in lines[-1] + text:
            lines[-1] += " " * BETWEEN + text
        else:
            lines.append(text)
    return lines


def length(cell: str) -> int:
    """The columns of the longest line of a text."""
    return max(map(cell_len, cell.split("\n")))


def plain(text: str) -> str:
    """Text with control characters spelled out, which would steer the terminal; its lines stay."""
    return "\n".join(map(printable, text.split("\n")))
