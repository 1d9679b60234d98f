"""Where each constant and statement of the paper comes from, and which numbers a field may hold."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

T = TypeVar("T")
Status = Literal[
    "as printed",  # as-printed does what the paper says
    "as run",  # as-run-2012 does what the released code did
    "silent, chosen",  # no source says; the note explains the choice
    "departs",  # this code does something else; the note gives the reason
    "measured",  # this code has measured it; the note gives the result
    "not run",  # this code can measure it and has not
    "not reproducible here",  # it needs something unavailable; the note says what
    "no test can pin it",  # nothing in this code could show it to be right or wrong; the note says why
]

MOST_WHOLE = 1_000_000  # kernels, pixels, epochs, images of a batch
MOST = 3.4028235e38  # the largest float32
NONE = float("inf")


@dataclass(frozen=True)
class Citation:
    """A section of the paper (`§3.3`) or a file of the released 2012 code, and what stands there."""

    source: str
    description: str = ""

    def __str__(self) -> str:
        """The source, followed by the description."""
        return f"{self.source}: {self.description}" if self.description else self.source


@dataclass(frozen=True)
class Range:
    """The numbers that a field may hold; NaN and infinity lie in no range."""

    at_least: float = 0
    at_most: float = MOST
    above: float = -NONE
    below: float = NONE
    odd: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number lies in the range."""
        is_between = self.at_least <= value <= self.at_most and self.above < value < self.below
        return is_between and (not self.odd or value % 2 == 1)

    def __str__(self) -> str:
        """The range in words, after "must"."""
        if self.at_least == -MOST:
            return "be a finite number"
        if self.odd:
            return f"be odd, and from {self.at_least:g} to {self.at_most:,}"
        least = f"be {self.at_least:g} or more" if self.above == -NONE else f"be above {self.above:g}"
        if self.below < NONE:
            return f"{least} and below {self.below:g}"
        return f"{least} and at most {self.at_most:,}" if self.at_most < MOST else f"{least} and finite"


def cited(default: T, source: str = "", description: str = "", **limits: float) -> T:
    """A dataclass field that remembers where its default comes from, if a source names it, and its limits (Range)."""
    citation = {"citation": Citation(source, description)} if source else {}
    value: T = field(default=default, metadata={**citation, "limits": limits})
    return value


def range_of(metadata: Mapping[str, Any], value: float) -> Range:
    """The range of a field that holds such a number: whole ones count from 1, others from 0, unless limits differ."""
    whole = {"at_least": 1, "at_most": MOST_WHOLE} if isinstance(value, int) else {}
    return Range(**(whole | metadata.get("limits", {})))


def citations(cls: type[Any]) -> dict[str, Citation]:
    """The citation of each field of a dataclass, by field name; fields without one are left out."""
    return {f.name: f.metadata["citation"] for f in fields(cls) if "citation" in f.metadata}


@dataclass(frozen=True)
class Statement:
    """One row of the ledger; the header of statements.toml explains the fields."""

    id: str
    source: str
    description: str
    status: Status
    pins: tuple[str, ...]
    in_2012: str = ""
    fields: tuple[str, ...] = ()
    note: str = ""


@cache
def statements() -> tuple[Statement, ...]:
    """All statements, P1 to P60 and then S1 onward."""
    text = Path(__file__).with_name("statements.toml").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = tomllib.loads(text)["statement"]
    return tuple(Statement(**row | {n: tuple(row.get(n, ())) for n in ("pins", "fields")}) for row in rows)
