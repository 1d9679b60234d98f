"""`alexrepro report`: the paper's tables and figures, answered by runs, and one page with everything."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexrepro.cli.options import REPORTS, RUNS, Json, Runs
from alexrepro.cli.show import print_json, print_table
from alexrepro.distributed.rank import ended_at_once
from alexrepro.errors import Exit, UserError
from alexrepro.progress import say

if TYPE_CHECKING:
    from alexrepro.reports.experiments import Report

ALL = "all"
RIGHT = ("top-1 error", "top-5 error", "top-1, points", "top-5, points")


@ended_at_once()
def report(
    name: Annotated[str, typer.Argument(help="Name of a report, such as table-1, or all.")] = ALL,
    runs: Runs = RUNS,
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.", show_default=True)] = REPORTS,
    page: Annotated[
        bool, typer.Option("--page", help="Also write OUT/index.html with all reports; runs may be unfinished.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a table or figure of the paper.

    Reads the run folders below RUNS and never trains: missing measurements are listed on stderr with the commands that
    make them. Writes OUT/<name>.csv, .md and .json, and for a figure .svg and .png. A published number appears only
    next to a measurement on the same split with the same crops.

    Example:  alexrepro report table-1
    """
    from alexrepro.files import write_text
    from alexrepro.reports.experiments import experiments, find, gather, render
    from alexrepro.reports.overview import overview
    from alexrepro.reports.page import FILE
    from alexrepro.reports.page import page as page_of

    asked = list(experiments().values()) if name == ALL else [find(name)]
    if page and name != ALL:
        what = f"--page writes a page of all reports, and {name} is one of them."
        fix = f"Type: alexrepro report --page, or: alexrepro report {name}."
        raise UserError(what, fix=fix, exit_code=Exit.USAGE)
    evidence = gather(runs)
    reports, shown = [render(experiment, evidence) for experiment in asked], []
    for one in reports:
        files = [str(path) for path in one.save(out)]
        shown.append({**one.table.as_dict(), "missing": one.missing, "files": files})
    if name == ALL and not json:
        summary = overview(reports)
        print_table(summary.title, *summary.shown())
        say(f"Wrote all {len(reports)} as CSV, Markdown, JSON and pictures to {out}.")
        say("See one with: alexrepro report NAME")
    elif not json:
        _print_one(reports[0], shown[0]["files"])
    found: dict[str, Any] = {"reports": shown} if len(asked) > 1 else shown[0]
    if page:
        write_text(out / FILE, page_of(reports, evidence, made_at=datetime.now().astimezone()))
        found = {**found, "page": str(out / FILE)}
        say(f"Wrote {out / FILE}.")
    if json:
        print_json(found)


def _print_one(report: "Report", files: Sequence[str]) -> None:
    table = report.table
    numbers = [name.replace("_", " ") for name, kind in table.rows[0].COLUMNS.items() if kind != "string"]
    print_table(table.title, *table.shown(), right=[*numbers, *RIGHT])
    if report.missing:
        say(f"Some measurements of {table.name} are missing. To make them, type:")
    say("\n".join([*(f"  {command}" for command in report.missing), f"Wrote {', '.join(files)}."]))
