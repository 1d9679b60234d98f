"""Tables of results: rows of one kind, saved as CSV, Markdown and JSON.

What the rows may say is their own rule (`rows`, `deltas`). Errors are fractions except where people read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from re import fullmatch
from typing import Any, Protocol

import pandas as pd

from alexrepro.files import write_json, write_text, write_whole

Cell = str | int | float | None
TEXT, COUNT, FRACTION = "string", "Int64", "Float64"  # pandas' types that can be empty
NUMBER = "float64"  # neither a count nor a share: a loss in nats, a distance


class TableRow(Protocol):
    """What a table asks of its rows."""

    @property
    def COLUMNS(self) -> Mapping[str, str]:  # noqa: N802 (a constant of the rows' class)
        """The columns of the saved files and their pandas types."""

    def cells(self) -> dict[str, Cell]:
        """A plain value for each column, None where it is empty; errors are fractions."""

    def shown(self) -> dict[str, str]:
        """What people read, by heading; errors in percent."""


@dataclass(frozen=True)
class Record:
    """A row of plain values that stand beside nothing printed: curves, counts, pictures.

    COLUMNS: as in every row. values: by column; one that is missing is empty.
    """

    COLUMNS: Mapping[str, str]
    values: Mapping[str, Cell]

    def cells(self) -> dict[str, Cell]:
        """A plain value for each column."""
        return {name: self.values.get(name) for name in self.COLUMNS}

    def shown(self) -> dict[str, str]:
        """What people read; fractions in percent, the ends of an interval in parentheses after its number."""
        found: dict[str, str] = {}
        for name, kind in self.COLUMNS.items():
            text = _shown(self.values.get(name), kind)
            if name.endswith("_low"):
                high = _shown(self.values.get(f"{name.removesuffix('_low')}_high"), kind)
                found[[*found][-1]] += f" ({text} to {high})" if text else ""
            elif not name.endswith("_high"):
                found[name.replace("_", " ")] = text
        return found


@dataclass(frozen=True)
class ResultTable:
    """A named table of rows of one kind; its name is that of its files."""

    name: str
    title: str
    rows: tuple[TableRow, ...]

    def __post_init__(self) -> None:
        if not fullmatch(r"[a-z0-9-]+", self.name):
            raise ValueError(f"{self.name!r} cannot name files")
        if len({type(row) for row in self.rows}) != 1:
            raise ValueError(f"{self.name}: a table has rows, all of one kind")

    def frame(self) -> pd.DataFrame:
        """The rows as pandas columns that can be empty; errors are fractions."""
        types: dict[Any, Any] = dict(self.rows[0].COLUMNS)
        return pd.DataFrame([row.cells() for row in self.rows], dtype=object).astype(types)

    def shown(self) -> tuple[list[str], list[list[str]]]:
        """Headings, and what people read below them; columns that are empty in every row are left out."""
        rows = [row.shown() for row in self.rows]
        headings = [heading for heading in rows[0] if any(row[heading] for row in rows)]
        return headings, [[row[heading] for heading in headings] for row in rows]

    def markdown(self) -> str:
        """The table for people, as Markdown with its title."""
        headings, rows = self.shown()
        lines = [headings, ["---"] * len(headings), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
        return f"# {self.title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def as_dict(self) -> dict[str, Any]:
        """Name, title and rows for JSON; errors are fractions, empty cells None."""
        return {"name": self.name, "title": self.title, "rows": [row.cells() for row in self.rows]}

    def save(self, folder: Path) -> list[Path]:
        """Write <name>.csv, .md and .json, each whole or not at all, and return their paths."""
        frame = self.frame()
        writers: dict[str, Callable[[Path], None]] = {
            "csv": lambda path: write_whole(path, lambda p: frame.to_csv(p, index=False, lineterminator="\n")),
            "md": lambda path: write_text(path, self.markdown()),
            "json": lambda path: write_json(path, self.as_dict()),
        }
        paths = {folder / f"{self.name}.{suffix}": write for suffix, write in writers.items()}
        for path, write in paths.items():
            write(path)
        return list(paths)


def place(split: str, crops: str | None) -> str:
    """Where a number was measured, for people: the split, and the crops where they are known."""
    return f"{split}, {crops}" if crops else split


def images_and_seeds(images: int | None, seeds: int | None) -> str:
    """How much was counted, for people: `500`, or `500 × 3 seeds`."""
    if images is None:
        return ""
    return f"{images:,}" if seeds == 1 else f"{images:,} × {seeds} seeds"


def _shown(value: Cell, kind: str) -> str:
    if value is None:
        return ""
    if kind == COUNT:
        return f"{value:,}"
    return f"{100 * float(value):.2f} %" if kind == FRACTION else f"{value:.4g}" if kind == NUMBER else str(value)
