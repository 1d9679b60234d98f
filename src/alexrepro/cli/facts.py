"""`alexrepro facts`: every statement, constant and published number that the code holds, with its source."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from alexrepro.cli.options import Json
from alexrepro.cli.show import percent, print_json, print_table
from alexrepro.errors import Exit, UserError
from alexrepro.recipes.ledger import Row, ledger, shown

ID = re.compile(r"[ps]\d+")
BELOW = ("description", "source")
HEADINGS = {
    "id": "", "status": "here", "path": "field", "printed": "as printed", "as_run": "as run in 2012",
    "label": "method", "members": "networks", "top1_error": "top-1", "top5_error": "top-5", "top1_delta": "top-1",
    "top5_delta": "top-5",
}  # fmt: skip
TABLES = {
    "statements": ("Statements of the paper (P) and traits of the released code (S)", "id source description status"),
    "fields": ("Fields of a recipe", "path printed as_run source description"),
    "reported": ("Published errors", "label section split crops top1_error top5_error description"),
    "deltas": ("Published differences, in points", "name section split top1_delta top5_delta description"),
    "logged": ("Results in the 2012 logs", "config description split crops epochs top1_error top5_error loss"),
    "submitted": ("Entries of the 2012 challenge", "name members split top5_error"),
}


def facts(
    query: Annotated[
        list[str] | None,
        typer.Argument(help="Statements in full, P1 to P57 and S1 onward, or words to search for.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Print or search every statement, cited constant and published number.

    First the statements of the paper (P) and what the released code does beyond it (S), with their status here. Then
    the fields of a recipe as printed and as run in 2012, the published errors and differences, the results in the 2012
    logs, and the entries of the challenge. Each row names its section or file. Words must all occur in a row.

    Example:  alexrepro facts P16
    """
    rows, words = ledger(), [word.casefold() for word in query or ()]
    if words and all(map(ID.fullmatch, words)):
        found = [_find(rows["statements"], word.upper()) for word in words]
        if json:
            print_json(found[0] if len(found) == 1 else {"statements": found})
        else:
            _separately(partial(_print_statement, row) for row in found)
        return
    rows = {name: [row for row in some if _holds(row, words)] for name, some in rows.items()}
    if not any(rows.values()):
        what = f"No statement, field or number speaks of {' and '.join(query or ())}."
        raise UserError(what, fix="Print everything with: alexrepro facts.", exit_code=Exit.USAGE)
    if json:
        print_json(rows)
    else:
        _separately(partial(_print_rows, name, some) for name, some in rows.items() if some)


def _holds(row: Row, words: Sequence[str]) -> bool:
    text = str([*row.values()]).casefold()
    return all(word in text for word in words)


def _separately(prints: Iterable[Callable[[], None]]) -> None:
    """Print several things with an empty line between them."""
    for number, one in enumerate(prints):
        if number:
            print()
        one()


def _find(statements: Iterable[Row], name: str) -> Row:
    for row in statements:
        if row["id"] == name:
            return row
    raise UserError(f"There is no statement {name}.", fix="List them with: alexrepro facts.", exit_code=Exit.USAGE)


def _print_rows(name: str, rows: Iterable[Row]) -> None:
    title, keys = TABLES[name]
    cells = [[_cell(key, row[key], 1 if name == "reported" else 2) for key in keys.split()] for row in rows]
    headings = [HEADINGS.get(key, key) for key in keys.split()]
    print_table(title, headings, cells, right=("epochs", "top-1", "top-5", "loss"), below=BELOW)


def _print_statement(row: Row) -> None:
    parts = {"description": "description", "in 2012": "in_2012", "here": "status", "note": "note"}
    lines = [(heading, row[key]) for heading, key in parts.items() if row[key]]
    lines += [("pinned by", "\n".join(row["pins"]))] if row["pins"] else []
    print_table(f"{row['id']}: {row['source']}", ("part", ""), lines)
    if row["fields"]:
        print()
        fields = [[field["path"], shown(field["printed"]), shown(field["as_run"])] for field in row["fields"]]
        print_table("Fields of a recipe", ("field", "as printed", "as run in 2012"), fields)


def _cell(key: str, value: Any, digits: int) -> str:
    if key in ("printed", "as_run"):
        return shown(value)
    if value is None:
        return "not stated" if key in ("split", "crops") else ""
    if key.endswith("_error"):
        return percent(value, digits)
    return f"{100 * value:+.1f}" if key.endswith("_delta") else ", ".join(value) if key == "members" else str(value)
