"""What `alexrepro evaluate` says of answers that are there: two runs compared, or a contest's file scored."""

from pathlib import Path

from alexrepro.cli.show import percent, print_json, print_table
from alexrepro.errors import Exit, UserError
from alexrepro.progress import say


def print_comparison(paths: list[Path], *, json: bool) -> None:
    """Compare two folders of runs or ensembles; raises UserError for more or fewer."""
    from alexrepro.reports.statistics.comparison import compare
    from alexrepro.runs.evaluation import Findings
    from alexrepro.runs.run import open_run

    if len(paths) != 2:
        raise UserError(
            f"Two runs can be compared, not {len(paths)}.", fix="Type: alexrepro evaluate --compare RUN_A RUN_B.",
            exit_code=Exit.USAGE,
        )  # fmt: skip
    first, second = (path if Findings(path).all_predictions else open_run(path).folder for path in paths)
    found = compare(first, second)
    if json:
        print_json({"comparisons": [one.as_dict() for one in found]})
        return
    columns = [
        "split, crops", "error", "images", "first", "second", "second - first, points (95 %)", "only first wrong",
        "only second wrong", "exact p", "mid-p",
    ]  # fmt: skip
    rows = [
        [f"{one.split}, {one.crops}", f"top-{one.top}", f"{one.images:,}", *(percent(e, 2) for e in one.errors),
         "{:+.2f} ({:+.2f} to {:+.2f})".format(*(100 * x for x in (one.difference, *one.interval))),
         f"{one.only_first_wrong:,}", f"{one.only_second_wrong:,}", f"{one.test.exact_p:.2g}", f"{one.test.mid_p:.2g}"]
        for one in found
    ]  # fmt: skip
    print_table(f"first: {first}, second: {second}", columns, rows, right=columns[2:])


def print_scores(predictions: Path | None, devkit: Path | None, *, json: bool) -> None:
    """Score a file of answers; raises UserError unless both the file and the devkit are named."""
    from alexrepro.evaluation.score_submission import score

    if predictions is None or devkit is None:
        raise UserError(
            "A file of answers and the devkit that scores it belong together.",
            fix="Type: alexrepro evaluate --predictions FILE --devkit DIR.",
            exit_code=Exit.USAGE,
        )
    found = score(predictions, devkit)
    what = f"{found.images:,} images of {found.split} in {devkit}"
    if json:
        say(f"Scored: {what}.")
        print_json({"flat": list(found.flat)})
        return
    columns = ["guesses", "flat error"]
    rows = [[guesses, percent(flat, 2)] for guesses, flat in enumerate(found.flat, start=1)]
    print_table(f"{predictions} on {what}", columns, rows, right=columns)
