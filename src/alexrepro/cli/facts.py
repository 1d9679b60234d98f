"""`alexrepro facts`: every statement, constant and number of 2012 that the code holds, with its source."""

from typing import Annotated

import typer

from alexrepro.cli.options import Json
from alexrepro.cli.show import percent, print_json, print_table
from alexrepro.errors import Exit, UserError
from alexrepro.recipes.ledger import Row, ledger, shown


def facts(
    statement: Annotated[
        str, typer.Argument(help="Show one statement in full: P1 to P57, S1 onward.", show_default=False)
    ] = "",
    json: Json = False,
) -> None:
    """Print every statement, cited constant and printed number.

    The first table lists the statements of the paper (P) and the traits of the released code beyond it (S), with the
    status of each here. The others list the fields of a recipe as printed and as run in 2012, the errors and
    differences that the authors printed, the results in the 2012 logs, and the entries of the challenge. Each row
    names its section or file.

    Example:  alexrepro facts P16
    """
    rows = ledger()
    if statement:
        _one(_found(rows["statements"], statement), json)
    elif json:
        print_json(rows)
    else:
        _all(rows)


def _found(statements: list[Row], name: str) -> Row:
    known = {row["id"]: row for row in statements}
    if name.upper() not in known:
        raise UserError(f"There is no statement {name}.", fix="List them with: alexrepro facts.", exit_code=Exit.USAGE)
    return known[name.upper()]


def _one(row: Row, json: bool) -> None:
    if json:
        print_json(row)
        return
    lines = [
        ("description", row["description"]),
        ("in 2012", row["in_2012"]),
        ("here", row["status"]),
        ("note", row["note"]),
    ]
    lines += [("pinned by" if number == 0 else "", pin) for number, pin in enumerate(row["pins"])]
    print_table(f"{row['id']}: {row['source']}", ("part", "text"), [line for line in lines if line[1]])
    if row["fields"]:
        print_table(
            "Fields of a recipe",
            ("field", "as printed", "as run in 2012"),
            [[field["path"], shown(field["printed"]), shown(field["as_run"])] for field in row["fields"]],
        )


def _all(rows: dict[str, list[Row]]) -> None:
    print_table(
        "Statements of the paper (P) and traits of the released code (S)",
        ("", "source", "description", "here"),
        [[row["id"], row["source"], row["description"], row["status"]] for row in rows["statements"]],
    )
    print_table(
        "Fields of a recipe",
        ("field", "as printed", "as run in 2012", "source"),
        [[row["path"], shown(row["printed"]), shown(row["as_run"]), _source(row)] for row in rows["fields"]],
    )
    print_table(
        "Errors that the authors printed",
        ("method", "section", "split", "crops", "top-1", "top-5", "description"),
        [[row["label"], *_where(row), *_errors(row, 1), row["description"]] for row in rows["reported"]],
        right=("top-1", "top-5"),
    )
    print_table(
        "Differences that the authors printed, in points",
        ("change", "section", "split", "top-1", "top-5", "description"),
        [
            [row["name"], row["section"], row["split"] or "not said", *_points(row), row["description"]]
            for row in rows["deltas"]
        ],
        right=("top-1", "top-5"),
    )
    print_table(
        "Results in the 2012 logs",
        ("config", "description", "split", "crops", "epochs", "top-1", "top-5", "loss"),
        [
            [row["config"], row["description"], row["split"], row["crops"] or "not said", row["epochs"],
             *_errors(row, 2), row["loss"]]
            for row in rows["logged"]
        ],
        right=("top-1", "top-5", "loss"),
    )  # fmt: skip
    print_table(
        "Entries of the challenge of 2012",
        ("entry", "networks", "split", "top-5"),
        [
            [row["name"], ", ".join(row["members"]), row["split"], percent(row["top5_error"], 2)]
            for row in rows["submitted"]
        ],
        right=("top-5",),
    )


def _source(row: Row) -> str:
    return f"{row['source']}: {row['description']}"


def _where(row: Row) -> tuple[str, str, str]:
    return row["section"], row["split"], row["crops"] or "not said"


def _errors(row: Row, digits: int) -> tuple[str, str]:
    return percent(row["top1_error"], digits), percent(row["top5_error"], digits)


def _points(row: Row) -> tuple[str, str]:
    top1, top5 = ("" if delta is None else f"{100 * delta:+.1f}" for delta in (row["top1_delta"], row["top5_delta"]))
    return top1, top5
