"""`alexrepro facts`: every statement, constant and published number that the code holds, with its source."""

from typing import Annotated, Any

import typer

from alexrepro.cli.options import Json
from alexrepro.cli.show import percent, print_json, print_table
from alexrepro.errors import Exit, UserError
from alexrepro.recipes.ledger import Row, ledger, shown

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
    statement: Annotated[
        str, typer.Argument(help="Show one statement in full: P1 to P57, S1 onward.", show_default=False)
    ] = "",
    json: Json = False,
) -> None:
    """Print every statement, cited constant and published number.

    First the statements of the paper (P) and what the released code does beyond it (S), with their status here. Then
    the fields of a recipe as printed and as run in 2012, the published errors and differences, the results in the 2012
    logs, and the entries of the challenge. Each row names its section or file.

    Example:  alexrepro facts P16
    """
    rows = ledger()
    if statement:
        _one(rows["statements"], statement.upper(), json)
    elif json:
        print_json(rows)
    else:
        for name, (title, keys) in TABLES.items():
            cells = [
                [_cell(key, row[key], 1 if name == "reported" else 2) for key in keys.split()] for row in rows[name]
            ]
            headings = [HEADINGS.get(key, key) for key in keys.split()]
            print_table(title, headings, cells, right=("top-1", "top-5", "loss"))


def _one(statements: list[Row], name: str, json: bool) -> None:
    row = next((row for row in statements if row["id"] == name), None)
    if row is None:
        raise UserError(f"There is no statement {name}.", fix="List them with: alexrepro facts.", exit_code=Exit.USAGE)
    if json:
        print_json(row)
        return
    parts = {"description": "description", "in 2012": "in_2012", "here": "status", "note": "note"}
    lines = [(heading, row[key]) for heading, key in parts.items() if row[key]]
    lines += [("pinned by" if number == 0 else "", pin) for number, pin in enumerate(row["pins"])]
    print_table(f"{row['id']}: {row['source']}", ("part", "text"), lines)
    if row["fields"]:
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
