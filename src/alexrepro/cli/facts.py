"""`alexrepro facts`: every constant and every number of 2012 that the code holds, with its source."""

from alexrepro.cli.options import Json
from alexrepro.cli.show import percent, print_json, print_table
from alexrepro.recipes.ledger import Row, ledger, shown


def facts(json: Json = False) -> None:
    """Print every cited constant and every printed number.

    Four tables: the fields of a recipe as the paper prints them and as they were run in 2012, the errors that the
    authors printed, the differences that they printed, and the results noted in the released code. Each row names
    its section or file.

    Example:  alexrepro facts --json
    """
    rows = ledger()
    if json:
        print_json(rows)
        return
    print_table(
        "Fields of a recipe",
        ("field", "as printed", "as run in 2012", "source"),
        [[row["path"], shown(row["printed"]), shown(row["as_run"]), _source(row)] for row in rows["fields"]],
    )
    print_table(
        "Errors that the authors printed",
        ("method", "section", "split", "views", "top-1", "top-5", "says"),
        [[row["label"], *_where(row), *_errors(row, 1), row["says"]] for row in rows["reported"]],
        right=("top-1", "top-5"),
    )
    print_table(
        "Differences that the authors printed, in points",
        ("change", "section", "split", "top-1", "top-5", "says"),
        [
            [row["name"], row["section"], row["split"] or "not said", *_points(row), row["says"]]
            for row in rows["deltas"]
        ],
        right=("top-1", "top-5"),
    )
    print_table(
        "Results noted in the released code",
        ("config", "file", "split", "views", "top-1", "top-5", "loss"),
        [
            [row["config"], row["source"], row["split"], row["views"], *_errors(row, 2), row["loss"]]
            for row in rows["logged"]
        ],
        right=("top-1", "top-5", "loss"),
    )


def _source(row: Row) -> str:
    return f"{row['source']}: {row['says']}"


def _where(row: Row) -> tuple[str, str, str]:
    return row["section"], row["split"], row["views"] or "not said"


def _errors(row: Row, digits: int) -> tuple[str, str]:
    return percent(row["top1_error"], digits), percent(row["top5_error"], digits)


def _points(row: Row) -> tuple[str, str]:
    top1, top5 = ("" if delta is None else f"{100 * delta:+.1f}" for delta in (row["top1_delta"], row["top5_delta"]))
    return top1, top5
