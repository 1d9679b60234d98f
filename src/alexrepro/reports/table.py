"""Tables of results, in which a printed number stands only beside a measurement on the same split and views.

Rows come from the paper (`reported_row`) or from evaluations of runs (`measured_row`); a row that breaks the rule
cannot be built. Tables are saved as CSV, Parquet, Markdown and JSON. Errors are fractions except where people read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from re import fullmatch
from typing import Any, ClassVar, Literal, Protocol

import pandas as pd

from alexrepro.engine.run import Evaluation
from alexrepro.files import write_json, write_text, write_whole
from alexrepro.paper.results import ALL_REPORTED, Reported, Views
from alexrepro.reports.statistics import mean_and_std, wilson_interval

Cell = str | int | float | None
TEXT, COUNT, FRACTION = "string", "Int64", "Float64"  # pandas' types that can be empty


class TableRow(Protocol):
    """What a table asks of its rows."""

    COLUMNS: ClassVar[Mapping[str, str]]
    """The columns of the saved files and their pandas types."""

    def cells(self) -> dict[str, Cell]:
        """A plain value for each column, None where it is empty; errors are fractions."""

    def shown(self) -> dict[str, str]:
        """What people read, by heading; errors in percent."""


@dataclass(frozen=True)
class Row:
    """Errors of one network, as fractions: printed by the authors, or measured on runs that differ in the seed only.

    images: of the split, each counted once. The 95 % Wilson intervals pool the counts of all seeds.
    printed: of a reported row the numbers it shows; of a measured row those that stand beside it.
    cites: a section of the paper, or the run folders.
    """

    label: str
    source: Literal["reported", "measured"]
    dataset: str
    split: str
    views: Views | None
    recipe: str | None = None
    seeds: int | None = None
    images: int | None = None
    top1_error: float | None = None
    top5_error: float | None = None
    top1_low: float | None = None
    top1_high: float | None = None
    top5_low: float | None = None
    top5_high: float | None = None
    top1_std: float | None = None
    note: str = ""
    cites: str = ""
    printed: Reported | None = None

    COLUMNS: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("label", "source", "dataset", "split", "views", "recipe"), TEXT),
        **dict.fromkeys(("seeds", "images"), COUNT),
        **dict.fromkeys(("top1_error", "top1_low", "top1_high", "top1_std"), FRACTION),
        **dict.fromkeys(("top5_error", "top5_low", "top5_high"), FRACTION),
        "interval": TEXT,
        **dict.fromkeys(("reported_top1_error", "reported_top5_error"), FRACTION),
        **dict.fromkeys(("reported_cites", "note", "cites"), TEXT),
    }

    def __post_init__(self) -> None:
        if self.printed is not None and self.printed not in ALL_REPORTED:
            raise ValueError(f"{self.label}: {self.printed.name} is not a number of paper/results.py")
        if self.source == "reported":
            self._check_reported()
        else:
            self._check_measured()

    def cells(self) -> dict[str, Cell]:
        """A plain value for each column; the reported columns are filled beside a comparable measurement only."""
        beside = self.printed if self.source == "measured" else None
        values = {name: getattr(self, name) for name in self.COLUMNS if hasattr(self, name)}
        values["interval"] = "95 % Wilson, seeds pooled" if self.images else None
        values["reported_top1_error"] = beside.top1_error if beside else None
        values["reported_top5_error"] = beside.top5_error if beside else None
        values["reported_cites"] = str(beside.cites) if beside else None
        return {name: values[name] for name in self.COLUMNS}

    def shown(self) -> dict[str, str]:
        """What people read; intervals in parentheses, the spread over seeds after ±."""
        beside = self.printed if self.source == "measured" else None
        return {
            "network": self.label,
            "source": self.source,
            "split, views": place(self.split, self.views),
            "images": images_and_seeds(self.images, self.seeds),
            "top-1 error": _error(self.top1_error, self.top1_low, self.top1_high, std=self.top1_std),
            "top-5 error": _error(self.top5_error, self.top5_low, self.top5_high),
            "printed": f"{_error(beside.top1_error)} / {_error(beside.top5_error)}" if beside else "",
            "note": self.note,
        }

    def _check_reported(self) -> None:
        if self.printed is None:
            raise ValueError(f"{self.label}: a reported row needs the numbers the authors printed")
        same = ("split", "views", "top1_error", "top5_error")
        if any(getattr(self, name) != getattr(self.printed, name) for name in same):
            raise ValueError(f"{self.label}: differs from the printed {self.printed.name}")

    def _check_measured(self) -> None:
        numbers = (
            self.seeds, self.images, self.top1_error, self.top5_error,
            self.top1_low, self.top1_high, self.top5_low, self.top5_high,
        )  # fmt: skip
        if any(number is None for number in numbers) and any(number is not None for number in numbers):
            raise ValueError(f"{self.label}: a measured error needs its seeds, images and intervals")
        if self.seeds is not None and (self.seeds > 1) != (self.top1_std is not None):
            raise ValueError(f"{self.label}: a spread belongs to several seeds, and only to them")
        if self.printed is None and not self.note:
            raise ValueError(f"{self.label}: no printed number stands beside it, so the note must say why")
        if self.printed is not None and self.images is None:
            raise ValueError(f"{self.label}: a printed number stands beside a measurement, and there is none")
        if self.printed is not None and (self.printed.split, self.printed.views) != (self.split, self.views):
            raise ValueError(
                f"{self.label}: {self.printed.name} was printed for {self.printed.split}, {self.printed.views} views; "
                f"this row is {self.split}, {self.views} views"
            )


def reported_row(printed: Reported) -> Row:
    """A row of what the authors printed."""
    return Row(
        printed.label, "reported", dataset=printed.split.rpartition("-")[0], split=printed.split, views=printed.views,
        top1_error=printed.top1_error, top5_error=printed.top5_error, cites=str(printed.cites), printed=printed,
    )  # fmt: skip


def measured_row(evaluations: Sequence[Evaluation], *, label: str, printed: Reported | None, note: str) -> Row:
    """A row of evaluations that differ in the seed only: mean errors, their spread, and intervals of pooled counts.

    Raises ValueError if they differ in more, or if the printed numbers are of another split or other views.
    """
    first = evaluations[0]
    kinds = {(e.recipe, e.digest, e.epochs, e.split, e.views, e.images) for e in evaluations}
    seeds = {e.seed for e in evaluations}
    if len(kinds) > 1 or len(seeds) < len(evaluations):
        raise ValueError(f"{label}: these evaluations differ in more than their seeds")
    images = first.images * len(evaluations)
    top1_wrong = images - sum(e.top1_correct for e in evaluations)
    top5_wrong = images - sum(e.top5_correct for e in evaluations)
    top1_low, top1_high = wilson_interval(top1_wrong, images)
    top5_low, top5_high = wilson_interval(top5_wrong, images)
    return Row(
        label, "measured", dataset=first.dataset, split=first.split, views=first.views, recipe=first.recipe,
        seeds=len(seeds), images=first.images, top1_error=top1_wrong / images, top5_error=top5_wrong / images,
        top1_low=top1_low, top1_high=top1_high, top5_low=top5_low, top5_high=top5_high,
        top1_std=mean_and_std([e.top1_error for e in evaluations])[1],
        note=note, cites="; ".join(e.run for e in evaluations), printed=printed,
    )  # fmt: skip


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
        """Write <name>.csv, .parquet, .md and .json, each whole or not at all, and return their paths."""
        frame = self.frame()
        writers: dict[str, Callable[[Path], None]] = {
            "csv": lambda path: write_whole(path, lambda p: frame.to_csv(p, index=False, lineterminator="\n")),
            "parquet": lambda path: write_whole(path, lambda p: frame.to_parquet(p, index=False)),
            "md": lambda path: write_text(path, self.markdown()),
            "json": lambda path: write_json(path, self.as_dict()),
        }
        paths = {folder / f"{self.name}.{suffix}": write for suffix, write in writers.items()}
        for path, write in paths.items():
            write(path)
        return list(paths)


def place(split: str, views: str | None) -> str:
    """Where a number was measured, for people: the split, and the views where they are known."""
    return f"{split}, {views}" if views else split


def images_and_seeds(images: int | None, seeds: int | None) -> str:
    """How much was counted, for people: `500`, or `500 × 3 seeds`."""
    if images is None:
        return ""
    return f"{images:,}" if seeds == 1 else f"{images:,} × {seeds} seeds"


def _error(error: float | None, low: float | None = None, high: float | None = None, std: float | None = None) -> str:
    if error is None:
        return ""
    spread = "" if std is None else f" ± {100 * std:.1f}"
    interval = "" if low is None or high is None else f" ({100 * low:.1f}–{100 * high:.1f})"
    return f"{100 * error:.1f}{spread} %{interval}"
