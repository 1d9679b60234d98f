"""`alexrepro report`: the paper's tables and figures, answered by runs, and one page with everything."""

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
    from alexrepro.reports.made import Made

ALL = "all"
RIGHT = ("images", "top-1 error", "top-5 error", "printed", "val top-1", "val top-5", "test top-5")


@ended_at_once()
def report(
    name: Annotated[str, typer.Argument(help="Which report, such as table-1, or all of them.")] = ALL,
    runs: Runs = RUNS,
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.", show_default=True)] = REPORTS,
    page: Annotated[
        bool, typer.Option("--page", help="Write OUT/index.html with all reports, also while a run is going.")
    ] = False,
    json: Json = False,
) -> None:
    """Answer a table or figure of the paper.

    Reads what is below RUNS and never trains: what is missing is listed on stderr with the commands that make it.
    Writes OUT/<name>.csv, .md and .json, and for a figure .svg and .png. A published number appears only next to a
    measurement on the same split with the same crops.

    Example:  alexrepro report table-1
    """
    from alexrepro.reports.experiment import experiments, find
    from alexrepro.reports.loaded_runs import gather
    from alexrepro.reports.made import make
    from alexrepro.reports.page import page as page_of
    from alexrepro.reports.page import save_page

    asked = list(experiments().values()) if name == ALL else [find(name)]
    if page and name != ALL:
        raise UserError(
            f"--page writes a page of all reports, and {name} is one of them.",
            fix=f"Type: alexrepro report --page, or: alexrepro report {name}.",
            exit_code=Exit.USAGE,
        )
    evidence = gather(runs)
    reports, shown = [make(experiment, evidence) for experiment in asked], []
    for made in reports:
        files = [str(path) for path in made.save(out)]
        shown.append({**made.table.as_dict(), "missing": made.missing, "files": files})
        if not json and not page:
            _print(made, files)
    found: dict[str, Any] = {"reports": shown} if len(asked) > 1 else shown[0]
    if page:
        file = save_page(out, page_of(reports, evidence, made_at=datetime.now().astimezone()))
        found = {**found, "page": str(file)}
        say(f"Wrote {file}.")
    if json:
        print_json(found)


def _print(made: "Made", files: list[str]) -> None:
    headings, rows = made.table.shown()
    print_table(made.table.title, headings, rows, right=RIGHT)
    if made.missing:
        say(f"{made.table.name} lacks a measurement. To make it, type:")
        for command in made.missing:
            say(f"  {command}")
    say(f"Wrote {', '.join(files)}.")
