"""`alexrepro report`: the paper's tables and figures, answered by runs, and one page with everything."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexrepro.cli.options import REPORTS, RUNS, Json, Runs
from alexrepro.cli.overview import print_reports
from alexrepro.cli.show import print_json
from alexrepro.distributed.rank import ended_at_once
from alexrepro.errors import Exit, UserError
from alexrepro.progress import say

if TYPE_CHECKING:
    from alexrepro.reports.experiments import Report

ALL = "all"


@ended_at_once()
def report(
    name: Annotated[str, typer.Argument(help="Name of a report, such as table-1, or all.")] = ALL,
    run: Annotated[list[Path] | None, typer.Argument(help="Run folders to take. Default: every run in --runs.")] = None,
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

    Examples:  alexrepro report table-1
               alexrepro report figure-3 runs/tiny-93c8eb
    """
    from alexrepro.files import write_text
    from alexrepro.reports.experiments import experiments, find, gather, render
    from alexrepro.reports.page import FILE
    from alexrepro.reports.page import page as page_of

    asked = list(experiments().values()) if name == ALL else [find(name)]
    if page and name != ALL:
        what = f"--page writes a page of all reports, and {name} is one of them."
        fix = f"Type: alexrepro report --page, or: alexrepro report {name}."
        raise UserError(what, fix=fix, exit_code=Exit.USAGE)
    evidence = gather(runs, only=run or ())
    evidence = evidence.readable() if name == ALL else evidence  # one damaged run costs its own curves only
    reports, shown = [render(experiment, evidence) for experiment in asked], []
    if run and name != ALL:
        _check_drawn(reports[0], run)
    for one in reports:
        files = [str(path) for path in one.save(out)]
        shown.append({**one.table.as_dict(), "missing": one.missing, "files": files})
    if not json:
        print_reports(reports, [one["files"] for one in shown], out)
    found: dict[str, Any] = {"reports": shown} if len(asked) > 1 else shown[0]
    if page:
        write_text(out / FILE, page_of(reports, evidence, made_at=datetime.now().astimezone()))
        found = {**found, "page": str(out / FILE)}
        say(f"Wrote {out / FILE}.")
    if json:
        print_json(found)


def _check_drawn(report: "Report", runs: list[Path]) -> None:
    """Refuse a figure that the named runs lack, with the commands that make what is missing."""
    if report.experiment.draw and not report.figure:
        what = f"{report.table.name} cannot be drawn from {', '.join(map(str, runs))}."
        raise UserError(what, fix=f"Type: {'; then: '.join(report.missing)}", exit_code=Exit.MISSING_INPUT)
