"""`alexrepro evaluate`: exact errors of a run, or of an average of runs, on a split."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexrepro.cli.answers import print_comparison, print_scores
from alexrepro.cli.choose import choose_run, evaluation_store, split_name
from alexrepro.cli.options import RUNS, Compile, DeviceName, Json, Runs, StorePath
from alexrepro.cli.show import percent, print_json, print_table
from alexrepro.distributed.launchers import ended_at_once
from alexrepro.errors import Exit, UserError
from alexrepro.paper.results import Crops
from alexrepro.progress import say

if TYPE_CHECKING:
    from alexrepro.data.store.store import Store
    from alexrepro.device import Device
    from alexrepro.runs.evaluation import Evaluation
    from alexrepro.runs.run import Run

DIGITS = 12  # of the digest of the preprocessing, whose 64 are in --json

TestedRuns = Annotated[
    list[Path] | None, typer.Argument(help="Run folders; several are averaged. Default: the newest run under --runs.")
]
TenCrop = Annotated[
    bool, typer.Option("--ten-crop", help="Average the softmax over ten crops; counts the center crop, too.")
]
Weights = Annotated[
    str | None, typer.Option("--weights", help="Weights of several runs, such as 1,1,0.5. Default: equal.")
]
Compare = Annotated[
    bool, typer.Option("--compare", help="Compare two runs or ensembles that were tested, image by image.")
]
Submission = Annotated[
    Path | None, typer.Option("--submission", help="Write ILSVRC's file of answers for the test split; count nothing.")
]
PredictionFile = Annotated[
    Path | None, typer.Option("--predictions", help="Score a file of answers to ILSVRC-2010, made by any program.")
]
Devkit = Annotated[
    Path | None, typer.Option("--devkit", help="Folder of ILSVRC-2010's devkit and ground truths, for --predictions.")
]
SaveProbabilities = Annotated[
    bool, typer.Option("--save-probabilities", help="Also keep all probabilities: 4 bytes a class and image.")
]


@ended_at_once()
def evaluate(
    run: TestedRuns = None,
    store: StorePath = None,
    ten_crop: TenCrop = False,
    weights: Weights = None,
    compare: Compare = False,
    submission: Submission = None,
    predictions: PredictionFile = None,
    devkit: Devkit = None,
    save_probabilities: SaveProbabilities = False,
    runs: Runs = RUNS,
    device_name: DeviceName = "auto",
    compile: Compile = None,
    json: Json = False,
) -> None:
    """Count a run's top-1 and top-5 errors on a split.

    Reads the newest checkpoint of a run and a labeled store: the test split of the run's data set if there is
    one, else the validation split. Saves the counts and the answers for every image in the run folder, where `report`
    finds them. Several runs are tested as one average, which is kept in RUNS/ensembles/.

    Example:  alexrepro evaluate --ten-crop
    """
    tested = {"--store": store, "--ten-crop": ten_crop, "--weights": weights}
    beside: dict[str, object] = {"--save-probabilities": save_probabilities}
    beside |= tested | {"--devkit": devkit} if compare else {}
    _check({"--compare": compare, "--submission": submission, "--predictions": predictions}, beside)
    if compare:
        print_comparison(run or [], json=json)
        return
    if predictions is not None or devkit is not None:
        _check({"--predictions": True}, tested | {"RUN": run})
        print_scores(predictions, devkit, json=json)
        return

    from alexrepro.evaluation.ensemble import evaluate_runs

    chosen = [choose_run(path, runs=runs) for path in run] if run else [choose_run(None, runs=runs)]
    images = _store(store, chosen[0], is_submission=submission is not None)
    crops: Crops = "ten" if ten_crop else "center"
    device, shares = _device(device_name, compile, crops=crops, images=len(images) * len(chosen)), _numbers(weights)
    if submission is not None:
        _submit(chosen, images, submission, crops=crops, device=device, runs=runs, weights=shares, json=json)
        return
    found = evaluate_runs(
        chosen, images, crops=crops, device=device, folder=runs, weights=shares, save_probabilities=save_probabilities
    )
    _print(found, json=json)


def _device(device_name: str, compiles: bool | None, *, crops: Crops, images: int) -> "Device":
    """The device for testing so many images, each counted once for every network."""
    from alexrepro.device import find_device
    from alexrepro.evaluation.inference import is_worth_compiling

    return find_device(device_name, compiles=is_worth_compiling(images, crops) if compiles is None else compiles)


def _check(alone: Mapping[str, object], beside: Mapping[str, object]) -> None:
    """Raise UserError if an option that works alone was given with another."""
    modes, others = ([name for name, given in options.items() if given] for options in (alone, beside))
    if modes and len(modes + others) > 1:
        raise UserError(
            f"{' and '.join(modes + others)} do not go together.", fix="Type the command once for each.",
            exit_code=Exit.USAGE,
        )  # fmt: skip


def _store(named: Path | None, run: "Run", *, is_submission: bool) -> "Store":
    """The store for the evaluation, or for a submission the newest test store, labeled or not."""
    from alexrepro.data.store.store import newest_store

    folder, dataset = split_name(named)
    if is_submission and not (folder / "manifest.json").is_file():
        return newest_store(folder, split="test", dataset=dataset or run.environment["dataset"])
    return evaluation_store(named, run)


def _numbers(weights: str | None) -> list[float]:
    try:
        return [float(weight) for weight in weights.split(",")] if weights else []
    except ValueError:
        raise UserError(
            f"{weights} are not numbers.", fix="Give one for each run: --weights 1,1,0.5.", exit_code=Exit.USAGE
        ) from None


def _print(evaluations: "list[Evaluation]", *, json: bool) -> None:
    """Print the evaluations; the last one is the one that was asked for."""
    *others, asked = evaluations
    if json:
        print_json(_facts(asked) | {e.crops: _facts(e) for e in others})
        return
    ties = f"hang on ties ({asked.ties})"
    columns = ["crops", "images", "top-1 error (95 %)", "top-5 error (95 %)", "loss", ties, "preprocessing"]
    print_table(f"{asked.run} on {asked.split}", columns, [_row(e) for e in evaluations], right=columns[1:])


def _row(e: "Evaluation") -> list[str]:
    from alexrepro.reports.statistics.intervals import wilson_interval

    row = [e.crops, f"{e.images:,}"]
    for correct, error in ((e.top1_correct, e.top1_error), (e.top5_correct, e.top5_error)):
        low, high = wilson_interval(e.images - correct, e.images)
        row.append(f"{percent(error, 2)} ({100 * low:.2f}–{100 * high:.2f})")
    return [*row, f"{e.loss:.4f}", f"{e.tied_images:,}", (e.preprocessing or "")[:DIGITS]]


def _facts(e: "Evaluation") -> dict[str, Any]:
    """Everything that is saved, the errors, and their 95 % Wilson intervals."""
    from dataclasses import asdict

    from alexrepro.reports.statistics.intervals import wilson_interval

    facts = asdict(e) | {"top1_error": e.top1_error, "top5_error": e.top5_error}
    for top, correct in (("top1", e.top1_correct), ("top5", e.top5_correct)):
        facts[f"{top}_low"], facts[f"{top}_high"] = wilson_interval(e.images - correct, e.images)
    return facts


def _submit(
    runs_tested: "list[Run]",
    images: "Store",
    file: Path,
    *,
    crops: Crops,
    device: "Device",
    runs: Path,
    weights: list[float],
    json: bool,
) -> None:
    from alexrepro.evaluation.submission import submit

    lines = submit(runs_tested, images, file, crops=crops, device=device, folder=runs, weights=weights)
    if json:
        print_json({"submission": str(file), "lines": lines})
    else:
        say(f"Wrote {file}: {lines:,} lines in the order of the file names.")
