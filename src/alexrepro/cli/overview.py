"""What `alexrepro report` prints: a line for each report, or the table of one."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alexrepro.cli.show import print_table
from alexrepro.progress import say

if TYPE_CHECKING:
    from alexrepro.reports.experiments import Report

RIGHT = ("top-1 error", "top-5 error", "top-1, points", "top-5, points")


def print_reports(reports: "Sequence[Report]", files: Sequence[Sequence[str]], folder: Path) -> None:
    """Print the table of a single report, or the overview of several; files: what was written of each."""
    from alexrepro.reports.overview import overview

    if len(reports) > 1:
        summary = overview(reports)
        print_table(summary.title, *summary.shown())
        say(f"Wrote all {len(reports)} as CSV, Markdown, JSON and pictures to {folder}.")
        say("See one with: alexrepro report NAME")
        return
    (report,), table = reports, reports[0].table
    numbers = [name.replace("_", " ") for name, kind in table.rows[0].COLUMNS.items() if kind != "string"]
    print_table(table.title, *table.shown(), right=[*numbers, *RIGHT])
    if report.missing:
        say(f"Some measurements of {table.name} are missing. To make them, type:")
    say("\n".join([*(f"  {command}" for command in report.missing), f"Wrote {', '.join(files[0])}."]))
