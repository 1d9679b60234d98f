"""Every statement of the paper (P) and trait of the released code (S): the rows of statements.toml."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

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
    """All statements, P1 to P57 and then S1 onward."""
    text = Path(__file__).with_name("statements.toml").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = tomllib.loads(text)["statement"]
    return tuple(Statement(**row | {n: tuple(row.get(n, ())) for n in ("pins", "fields")}) for row in rows)
