"""Tables of results, saved as CSV, Markdown and JSON; errors are fractions except where shown.

Rows of errors and of differences never mix up what was published and what was measured: a published number appears only
next to a measurement on all images of the same split with the same crops, and a row that breaks this cannot be built.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from alexrepro.files import write_json, write_text, write_whole
from alexrepro.paper.results import ALL_REPORTED, IMAGES, QUOTED, Reported, ReportedDelta, release_of
from alexrepro.reports.statistics.differences import IntervalKind
from alexrepro.reports.statistics.intervals import Estimate
from alexrepro.reports.statistics.verdict import Pair, Verdict

if TYPE_CHECKING:  # a command that saves no table loads no pandas
    from pandas import DataFrame

Cell = str | int | float | None
TEXT, COUNT, FRACTION, NUMBER = "string", "Int64", "Float64", "float64"  # pandas types; a number: a loss, a distance
NOT_SHOWN = {  # saved, but not printed
    "claim", "cites", "dataset", "digest", "store", "preprocessing", "top1_correct", "top5_correct", "tied_images",
}  # fmt: skip
AFTER = {"_low": " ({}–", "_high": "{})", "_std": " ± {}"}  # printed after the number that they belong to
Quantity = Literal["error", "delta"]
INTERVALS: Mapping[IntervalKind, str] = {
    "one seed": "95 % (Wilson)",
    "by image": "95 %, by image",
    "counts only": "at least 95 %, from counts",
    "paired": "95 %, paired by image (Bonett and Price)",
    "unpaired": "at least 95 %, unpaired (Newcombe)",
}
ONE_SEED = "other seeds are not included"
SEVERAL_SEEDS = "images clustered over seeds, spread of the seeds (Student's t)"


@dataclass(frozen=True)
class Record:
    """A row of plain values without published numbers; a column that `values` lacks is empty."""

    COLUMNS: Mapping[str, str]  # of the saved files, with their pandas types
    values: Mapping[str, Cell]

    def cells(self) -> dict[str, Cell]:
        """The value of each column."""
        return {name: self.values.get(name) for name in self.COLUMNS}

    def shown(self) -> dict[str, str]:
        """What is printed: fractions in percent, intervals and deviations after their number, notes with verdicts."""
        found: dict[str, str] = {}
        for name, kind in self.COLUMNS.items():
            text = _text(self.values.get(name), kind)
            if name.endswith(tuple(AFTER)):
                found[[*found][-1]] += AFTER[name[name.rindex("_") :]].format(text.removesuffix(" %")) if text else ""
            elif name == "note" and "verdict" in found:
                found["verdict"] = "; ".join(filter(None, (found["verdict"], text)))
            elif name not in NOT_SHOWN:
                found[name.replace("_", " ")] = text
        return found


def _text(value: Cell, kind: str) -> str:
    if value is None or kind == TEXT:
        return str(value or "")
    return f"{value:,}" if kind == COUNT else f"{value:.4g}" if kind == NUMBER else f"{100 * float(value):.2f} %"


def _columns(quantity: Quantity) -> dict[str, str]:
    numbers = [f"{top}_{name}" for top in ("top1", "top5") for name in (quantity, "low", "high", "std")]
    columns = dict.fromkeys(("label", "source", "dataset", "split", "crops", "recipe"), TEXT)
    columns |= {**dict.fromkeys(("seeds", "images"), COUNT), **dict.fromkeys(numbers, FRACTION), "interval": TEXT}
    if quantity == "delta":
        columns |= dict.fromkeys(("top1_error", "top5_error", "base_top1_error", "base_top5_error"), FRACTION)
    for other in ("reported", "logged") if quantity == "delta" else ("reported",):
        columns |= dict.fromkeys((f"{other}_top1_{quantity}", f"{other}_top5_{quantity}"), FRACTION)
        columns[f"{other}_cites"] = TEXT
    return columns | dict.fromkeys(("claim", "verdict", "note", "cites"), TEXT)


COLUMNS: Mapping[Quantity, Mapping[str, str]] = {"error": _columns("error"), "delta": _columns("delta")}


@dataclass(frozen=True, kw_only=True)
class Row:
    """Top-1 and top-5 errors of a network, or their differences from a base, as fractions on one split.

    recipe: of the network, or of the base. images: of the split, whatever the number of seeds. errors, base_errors: the
    top-1 and top-5 errors that a difference is of. reported: the published numbers of a reported row, or those next to
    a measurement; logged: those of the 2012 logs next to it. claim: the published numbers in words, if the row answers
    them. cites: a section, a file, or the run folders.
    """

    quantity: Quantity
    label: str
    source: Literal["reported", "2012 log", "measured"] = "measured"
    split: str | None = None
    crops: str | None = None
    recipe: str | None = None
    seeds: int | None = None
    images: int | None = None
    top1: Estimate | None = None
    top5: Estimate | None = None
    interval: IntervalKind | None = None
    errors: tuple[float, float] | None = None
    base_errors: tuple[float, float] | None = None
    reported: Reported | ReportedDelta | None = None
    logged: ReportedDelta | None = None
    claim: str = ""
    verdict: Verdict | None = None
    note: str = ""
    cites: str = ""

    def __post_init__(self) -> None:
        reported, is_measured = self.reported, self.source == "measured"
        if isinstance(reported, Reported) and reported not in (*ALL_REPORTED, *QUOTED.values()):
            raise ValueError(f"{self.label}: {reported.name} is not a number of paper/results.py")
        for one in (reported, self.logged):
            if one and (one.split, one.crops) != (self.split and release_of(self.split), self.crops):
                where = split_and_crops(one.split, one.crops)
                raise ValueError(f"{self.label}: {one.name} was published for {where}, not {self.split}, {self.crops}")
        means = tuple(estimate and estimate.mean for estimate in (self.top1, self.top5))
        if self.source == "reported" and (reported is None or means != pair_of(reported)):
            raise ValueError(f"{self.label}: a reported row holds exactly what was published")
        if is_measured and reported and self.verdict == "not comparable":
            raise ValueError(f"{self.label}: {reported.name} cannot be compared with this ({self.note})")
        if is_measured and reported is None and not (self.note or self.verdict):
            raise ValueError(f"{self.label}: without a published number the note must say why")
        images = IMAGES.get(reported.split or "", self.images) if reported else None
        if is_measured and reported and (self.images is None or self.images != images):
            raise ValueError(f"{self.label}: {reported.name} was not published for {self.images} images")

    @property
    def COLUMNS(self) -> Mapping[str, str]:  # noqa: N802 (as in a record)
        """Those of errors or of differences."""
        return COLUMNS[self.quantity]

    def cells(self) -> dict[str, Cell]:
        """The value of each column; published numbers appear in their columns next to a measurement only."""
        values = {name: getattr(self, name, None) for name in self.COLUMNS}
        values["dataset"] = self.split.rpartition("-")[0] if self.split else None
        for top, estimate in (("top1", self.top1), ("top5", self.top5)):
            values[f"{top}_{self.quantity}"] = estimate.mean if estimate else None
            values |= {f"{top}_{name}": getattr(estimate, name, None) for name in ("low", "high", "std")}
        for name, errors in (("", self.errors), ("base_", self.base_errors)):
            values |= {f"{name}top1_error": errors[0], f"{name}top5_error": errors[1]} if errors else {}
        for name, other in (("reported", self.reported), ("logged", self.logged)):
            if other is not None and (self.source == "measured" or name == "logged"):
                top1, top5 = pair_of(other)
                values |= {f"{name}_top1_{self.quantity}": top1, f"{name}_top5_{self.quantity}": top5}
                values[f"{name}_cites"] = str(other.cites)
        if self.interval:
            values["interval"] = f"{INTERVALS[self.interval]}; {ONE_SEED if self.seeds == 1 else SEVERAL_SEEDS}"
        return values

    def shown(self) -> dict[str, str]:
        """What is printed: intervals in parentheses, the spread over seeds after ±; differences in points."""
        is_delta, is_measured = self.quantity == "delta", self.source == "measured"
        subject = f"{self.label}, {self.recipe}" if is_delta else self.label
        where = split_and_crops(self.split, self.crops)
        images = "" if self.images is None else f"{self.images:,}"
        unit = ", points" if is_delta else " error"
        published = "published" if self.source == "reported" else self.source
        remarks = (self.verdict, self.note) if is_measured else (published, self.note or self.cites)
        return {
            "difference" if is_delta else "network": f"{subject} on {where}" if where else subject,
            "images": images if self.seeds in (None, 1) else f"{images} × {self.seeds} seeds",
            f"top-1{unit}": self._text(self.top1),
            f"top-5{unit}": self._text(self.top5),
            **({"errors": _pair(self.errors), "base errors": _pair(self.base_errors)} if is_delta else {}),
            "published": both(self.reported) if self.reported and is_measured else "",
            "2012 log": both(self.logged, digits=2) if self.logged else "",
            "verdict": "; ".join(filter(None, remarks)),
        }

    def _text(self, estimate: Estimate | None) -> str:
        if estimate is None:
            return ""
        digits, sign, unit, to = (2, "+", "", " to ") if self.quantity == "delta" else (1, "", " %", "–")
        mean, low, high = (100 * value for value in (estimate.mean, estimate.low or 0, estimate.high or 0))
        spread = "" if estimate.std is None else f" ± {100 * estimate.std:.{digits}f}"
        interval = "" if estimate.low is None else f" ({low:{sign}.{digits}f}{to}{high:{sign}.{digits}f})"
        return f"{mean:{sign}.{digits}f}{spread}{unit}{interval}"


@dataclass(frozen=True)
class ResultTable:
    """A named table of one or more rows, all with the same columns; the name is also that of its files."""

    name: str
    title: str
    rows: Sequence[Record | Row]

    def but_measured(self) -> "ResultTable":
        """The table without the rows that say "not run"."""
        rows = [row for row in self.rows if "not run" not in (row.cells().get("verdict"), row.cells().get("note"))]
        return ResultTable(self.name, self.title, rows)

    def frame(self) -> "DataFrame":
        """The rows as nullable pandas columns; errors are fractions."""
        from pandas import DataFrame

        return DataFrame([row.cells() for row in self.rows], dtype=object).astype(dict[Any, Any](self.rows[0].COLUMNS))

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


def split_and_crops(split: str | None, crops: str | None) -> str:
    """Where a number was measured: the split, and the crops if known."""
    return ", ".join(filter(None, (split, crops))) if split else ""


def pair_of(numbers: Reported | ReportedDelta) -> Pair:
    """The top-1 and top-5 number, as fractions."""
    if isinstance(numbers, Reported):
        return numbers.top1_error, numbers.top5_error
    return numbers.top1_delta, numbers.top5_delta


def _pair(errors: tuple[float, float] | None) -> str:
    return f"{100 * errors[0]:.1f} / {100 * errors[1]:.1f} %" if errors else ""


def both(numbers: Reported | ReportedDelta, *, digits: int = 1) -> str:
    """The top-1 and top-5 number: `37.5 % / 17.0 %`, or `+1.4 / +1.2` points."""
    sign, unit = ("", " %") if isinstance(numbers, Reported) else ("+", "")
    return " / ".join("–" if n is None else f"{100 * n:{sign}.{digits}f}{unit}" for n in pair_of(numbers))
