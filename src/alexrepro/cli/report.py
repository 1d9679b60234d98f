"""`alexrepro report`: the paper's tables, answered by finished runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexrepro.cli.options import REPORTS, RUNS, Json, Runs
from alexrepro.cli.show import print_json, print_table
from alexrepro.progress import say

if TYPE_CHECKING:
    from alexrepro.reports.table import ResultTable

RIGHT = ("images", "top-1 error", "top-5 error", "printed")


def report(
    name: Annotated[str, typer.Argument(help="Which report, such as table-1, or all of them.")] = "all",
    runs: Runs = RUNS,
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.", show_default=True)] = REPORTS,
    json: Json = False,
) -> None:
    """Print a table of the paper beside what was measured.

    Reads the evaluations below RUNS and never trains: what is missing is listed on stderr with the commands that
    make it. Writes OUT/<name>.csv, .parquet, .md and .json. A printed number stands only beside a measurement
    on the same split with the same views.

    Example:  alexrepro report table-1
    """
    from alexrepro.engine.run import find_evaluations
    from alexrepro.reports.experiment import answer, experiments, find, missing

    asked = list(experiments().values()) if name == "all" else [find(name)]
    evaluations = find_evaluations(runs)
    reports = []
    for experiment in asked:
        table, commands = answer(experiment, evaluations), missing(experiment, evaluations)
        files = [str(path) for path in table.save(out)]
        reports.append({**table.as_dict(), "missing": commands, "files": files})
        if not json:
            _print(table, commands, files)
    if json:
        one: dict[str, Any] = {"reports": reports} if name == "all" else reports[0]
        print_json(one)


def _print(table: "ResultTable", commands: list[str], files: list[str]) -> None:
    headings, rows = table.shown()
    print_table(table.title, headings, rows, right=RIGHT)
    if commands:
        say(f"{table.name} lacks a measurement. To make it, type:")
        for command in commands:
            say(f"  {command}")
    say(f"Wrote {', '.join(files)}.")
