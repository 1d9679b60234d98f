"""`alexrepro facts`: every statement, constant and published number that the code holds, with its source."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from alexrepro.cli.options import Json
from alexrepro.cli.show import percent, print_json, print_table
from alexrepro.recipes.ledger import Row, search, shown

RIGHT = ("epochs", "top-1", "top-5", "loss")
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
        typer.Argument(help="Words to find, or ids such as P16 or S7.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Search every statement, constant and published number.

    Prints the rows that mention all the words, or without words everything: the statements of the paper (P) and what
    the released code does beyond it (S), with their status here; the fields of a recipe as printed and as run in 2012;
    the published errors and differences; the results in the 2012 logs; and the entries of the challenge. Each row names
    its section or file. Ids of statements print these in full.

    Example:  alexrepro facts dropout
    """
    rows, in_full = search(query or ())
    if json:
        print_json(rows["statements"][0] if in_full and len(rows["statements"]) == 1 else rows)
    elif in_full:
        _print_statements(rows["statements"])
    else:
        for name, found in [kind for kind in rows.items() if kind[1]]:
            title, keys = TABLES[name]
            cells = [[_cell(key, row[key], 1 if name == "reported" else 2) for key in keys.split()] for row in found]
            print_table(title, [HEADINGS.get(key, key) for key in keys.split()], cells, right=RIGHT)
            print()


def _print_statements(rows: Iterable[Row]) -> None:
    for row in rows:
        parts = {"description": "description", "in 2012": "in_2012", "here": "status", "note": "note"}
        lines = [(heading, row[key]) for heading, key in parts.items() if row[key]]
        lines += [("pinned by", "\n".join(row["pins"]))] if row["pins"] else []
        print_table(f"{row['id']}: {row['source']}", ("part", ""), lines)
        print()
        fields = [[field["path"], shown(field["printed"]), shown(field["as_run"])] for field in row["fields"]]
        if fields:
            print_table("Fields of a recipe", ("field", "as printed", "as run in 2012"), fields)
            print()


def _cell(key: str, value: Any, digits: int) -> str:
    if key in ("printed", "as_run"):
        return shown(value)
    if value is None:
        return "not stated" if key in ("split", "crops") else ""
    if key.endswith("_error"):
        return percent(value, digits)
    return f"{100 * value:+.1f}" if key.endswith("_delta") else ", ".join(value) if key == "members" else str(value)
