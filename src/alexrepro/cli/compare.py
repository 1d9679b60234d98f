"""`alexrepro compare`: two runs on the same images, image by image."""

from pathlib import Path
from typing import Annotated

import typer

from alexrepro.cli.options import Json
from alexrepro.cli.show import percent, print_result


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Folder of a run or an ensemble.", show_default=False)],
    second: Annotated[Path, typer.Argument(metavar="B", help="The other one.", show_default=False)],
    json: Json = False,
) -> None:
    """Test whether two evaluated runs differ, image by image.

    Reads the predictions that `evaluate` saved for two runs or ensembles, for every split and crops that both have.
    Prints McNemar's test and the paired 95 % interval of the difference.

    Example:  alexrepro compare RUN_A RUN_B
    """
    from dataclasses import asdict

    from alexrepro.reports.statistics.differences import compare as core
    from alexrepro.runs.paths import RunPaths
    from alexrepro.runs.run import open_run

    one, two = (path if RunPaths(path).all_predictions else open_run(path).folder for path in (first, second))
    found = core(one, two)
    columns = ["error", "images", "A", "B", "B - A, points (95 %)", "only A / only B wrong", "exact p / mid-p"]
    rows = [
        [f"top-{row.top} on {row.split}, {row.crops}", f"{row.images:,}", percent(row.first_error, 2),
         percent(row.second_error, 2),
         f"{100 * row.difference:+.2f} ({100 * row.difference_low:+.2f} to {100 * row.difference_high:+.2f})",
         f"{row.only_first_wrong:,} / {row.only_second_wrong:,}", f"{row.exact_p:.2g} / {row.mid_p:.2g}"]
        for row in found
    ]  # fmt: skip
    print_result({"comparisons": [asdict(row) for row in found]}, f"A: {one}, B: {two}", columns, rows, json=json)
