"""`alexrepro evaluate`: exact errors of a run, or of an average of runs, on a split."""

from typing import Annotated

import typer

from alexrepro.cli.choose import choose_runs, evaluation_store
from alexrepro.cli.options import (
    RUNS,
    STORES,
    Compile,
    Device,
    EnsembleWeights,
    Json,
    RunPaths,
    Runs,
    StorePath,
    Stores,
    TenCrop,
    numbers,
)  # fmt: skip
from alexrepro.distributed.launchers import ended_at_once
from alexrepro.paper.results import Crops


@ended_at_once()
def evaluate(
    run: RunPaths = None,
    store: StorePath = None,
    ten_crop: TenCrop = False,
    ensemble_weights: EnsembleWeights = None,
    breakdown: Annotated[bool, typer.Option("--breakdown", help="Also write errors by class, and confusions.")] = False,
    save_probabilities: Annotated[
        bool, typer.Option("--save-probabilities", help="Also keep all probabilities: 4 bytes a class and image.")
    ] = False,
    stores: Stores = STORES,
    runs: Runs = RUNS,
    device: Device = "auto",
    compile: Compile = None,
    json: Json = False,
) -> None:
    """Count a run's top-1 and top-5 errors on a split.

    Reads the newest checkpoint of a run and a labeled store: the test split of the run's data set if there is
    one, else the validation split. Saves the counts and the predictions for every image in the run folder, where
    `report` finds them. Several runs are evaluated as one average, saved in RUNS/ensembles/.

    Example:  alexrepro evaluate --ten-crop
    """
    from alexrepro.cli.evaluations import print_evaluations
    from alexrepro.evaluation.evaluate import evaluate_runs, open_runs
    from alexrepro.evaluation.inference import machine_for

    chosen = choose_runs(run, runs=runs)
    images = evaluation_store(store, chosen[0], stores=stores)
    crops: Crops = "ten" if ten_crop else "center"
    machine, weights = (
        machine_for(device, compile, images=len(images) * len(chosen), crops=crops),
        numbers(ensemble_weights),
    )
    opened = open_runs(chosen, images, crops=crops, machine=machine, folder=runs, weights=weights)
    found = evaluate_runs(opened, save_probabilities=save_probabilities)
    print_evaluations(found, with_breakdown=breakdown, json=json)
