"""Tables of results: rows of one class, saved as CSV, Markdown and JSON; errors are fractions except where shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from re import fullmatch
from typing import Any, Protocol

import pandas as pd

from alexrepro.files import write_json, write_text, write_whole

Cell = str | int | float | None
TEXT, COUNT, FRACTION = "string", "Int64", "Float64"  # nullable pandas types
NUMBER = "float64"  # neither a count nor a fraction: a loss in nats, a distance
NOT_SHOWN = {"claim", "cites", "dataset"}  # saved, but not printed


class TableRow(Protocol):
    """What a table needs from its rows."""

    @property
    def COLUMNS(self) -> Mapping[str, str]:  # noqa: N802 (a constant of the class)
        """The columns of the saved files and their pandas types."""

    def cells(self) -> dict[str, Cell]:
        """The value of each column, None where it is empty; errors are fractions."""

    def shown(self) -> dict[str, str]:
        """What is printed, by heading; errors in percent."""


@dataclass(frozen=True)
class Record:
    """A row of plain values without published numbers; a column that `values` lacks is empty."""

    COLUMNS: Mapping[str, str]
    values: Mapping[str, Cell]

    def cells(self) -> dict[str, Cell]:
        """The value of each column."""
        return {name: self.values.get(name) for name in self.COLUMNS}

    def shown(self) -> dict[str, str]:
        """What is printed: fractions in percent, a deviation after its number, the note with the verdict."""
        found: dict[str, str] = {}
        for name, kind in self.COLUMNS.items():
            text = _shown(self.values.get(name), kind)
            if name.endswith("_std"):
                found[[*found][-1]] += f" ± {text}" if text else ""
            elif name == "note" and "verdict" in found:
                found["verdict"] = "; ".join(filter(None, (found["verdict"], text)))
            elif name not in NOT_SHOWN:
                found[name.replace("_", " ")] = text
        return found


@dataclass(frozen=True)
class ResultTable:
    """A named table of rows of one class; the name is also that of its files."""

    name: str
    title: str
    rows: tuple[TableRow, ...]

    def __post_init__(self) -> None:
        if not fullmatch(r"[a-z0-9-]+", self.name):
            raise ValueError(f"{self.name!r} cannot name files")
        if len({type(row) for row in self.rows}) != 1:
            raise ValueError(f"{self.name}: a table has at least one row, and all are of one class")

    def frame(self) -> pd.DataFrame:
        """The rows as nullable pandas columns; errors are fractions."""
        types: dict[Any, Any] = dict(self.rows[0].COLUMNS)
        return pd.DataFrame([row.cells() for row in self.rows], dtype=object).astype(types)

    def shown(self) -> tuple[list[str], list[list[str]]]:
        """The headings and the printed cells; columns that are empty in every row are left out."""
        rows = [row.shown() for row in self.rows]
        headings = [heading for heading in rows[0] if any(row[heading] for row in rows)]
        return headings, [[row[heading] for heading in headings] for row in rows]

    def markdown(self) -> str:
        """The printed table as Markdown with its title."""
        headings, rows = self.shown()
        lines = [headings, ["---"] * len(headings), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
        return f"# {self.title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def as_dict(self) -> dict[str, Any]:
        """Name, title and rows for JSON; errors are fractions, empty cells None."""
        return {"name": self.name, "title": self.title, "rows": [row.cells() for row in self.rows]}

    def save(self, folder: Path) -> list[Path]:
        """Write <name>.csv, .md and .json atomically and return their paths."""
        csv, markdown, as_json = (folder / f"{self.name}.{suffix}" for suffix in ("csv", "md", "json"))
        write_whole(csv, lambda path: self.frame().to_csv(path, index=False, lineterminator="\n"))
        write_text(markdown, self.markdown())
        write_json(as_json, self.as_dict())
        return [csv, markdown, as_json]


def _shown(value: Cell, kind: str) -> str:
    if value is None:
        return ""
    if kind == COUNT:
        return f"{value:,}"
    return f"{100 * float(value):.2f} %" if kind == FRACTION else f"{value:.4g}" if kind == NUMBER else str(value)
