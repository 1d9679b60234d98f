"""`alexrepro evaluate`: exact errors of a run, or of an average of runs, on a split."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alexrepro.cli import options
from alexrepro.cli.choose import choose_runs
from alexrepro.cli.show import percent, print_result
from alexrepro.cli.stores import evaluation_store
from alexrepro.distributed.rank import ended_at_once
from alexrepro.paper.results import Crops
from alexrepro.progress import wrote
from alexrepro.runs.paths import EVALUATIONS

if TYPE_CHECKING:
    from alexrepro.runs.evaluation import Evaluation

DIGITS = 12  # of the digest of the preprocessing, whose 64 are in --json
COLUMNS = ("crops", "images", "top-1 error (95 %)", "top-5 error (95 %)", "loss", "ties", "preprocessing")


@ended_at_once()
def evaluate(
    run: options.RunPaths = None,
    store: options.StorePath = None,
    ten_crop: options.TenCrop = False,
    ensemble_weights: options.EnsembleWeights = None,
    save_probabilities: Annotated[
        bool, typer.Option("--save-probabilities", help="Also keep all probabilities: 4 bytes per class and image.")
    ] = False,
    runs: options.Runs = options.RUNS,
    device: options.DeviceName = "auto",
    compile: options.Compile = None,
    json: options.Json = False,
) -> None:
    """Count a run's top-1 and top-5 errors on a split.

    Reads the newest checkpoint of a run and a labeled store: the test split of the run's data set if there is one, else
    the validation split. Saves the counts and the predictions for every image in the run folder, where `report` finds
    them, and one row in RUNS/evaluations.csv. Several runs are evaluated as one average, saved in RUNS/ensembles/.

    Example:  alexrepro evaluate --ten-crop
    """
    from alexrepro.evaluation.evaluate import evaluate_runs, open_runs
    from alexrepro.evaluation.inference import device_for
    from alexrepro.reports.tables.evaluations import write_evaluations

    chosen, weights = choose_runs(run, runs=runs), options.numbers(ensemble_weights)
    images = evaluation_store(store, chosen[0])
    crops: Crops = "ten" if ten_crop else "center"
    used = device_for(device, compile, images=len(images) * len(chosen), crops=crops)
    opened = open_runs(chosen, images, crops=crops, device=used, folder=runs, weights=weights)
    found = evaluate_runs(opened, save_probabilities=save_probabilities)
    *others, asked = [_facts(evaluation) for evaluation in found]
    result = asked | {facts["crops"]: facts for facts in others}
    rows = [_row(facts) for facts in (*others, asked)]
    result["table"] = str(runs / EVALUATIONS)
    print_result(result, f"{asked['run']} on {asked['split']}", COLUMNS, rows, right=COLUMNS[1:], json=json)
    write_evaluations(runs, found)  # where it cannot be written, the errors are printed all the same
    if not json:
        wrote(runs / EVALUATIONS, then="alexrepro report evaluations")


def _row(facts: Mapping[str, Any]) -> list[str]:
    errors = [
        f"{percent(facts[f'{top}_error'], 2)} ({100 * facts[f'{top}_low']:.2f}–{100 * facts[f'{top}_high']:.2f})"
        for top in ("top1", "top5")
    ]
    counts = (f"{facts['loss']:.4f}", f"{facts['tied_images']:,}", (facts["preprocessing"] or "")[:DIGITS])
    return [facts["crops"], f"{facts['images']:,}", *errors, *counts]


def _facts(e: "Evaluation") -> dict[str, Any]:
    """Everything that is saved, the errors, and their 95 % Wilson intervals."""
    from alexrepro.reports.tables.evaluations import evaluation_row

    return asdict(e) | evaluation_row(e).cells()
