"""`alexrepro submit` and `alexrepro score`: submission files of the ILSVRC challenge."""

from pathlib import Path
from typing import Annotated

import typer

from alexrepro.cli import options
from alexrepro.cli.choose import choose_runs
from alexrepro.cli.show import percent, print_json, print_result
from alexrepro.cli.stores import store_of
from alexrepro.distributed.rank import ended_at_once
from alexrepro.paper.results import Crops
from alexrepro.progress import say


@ended_at_once()
def submit(
    run: options.RunPaths = None,
    to: Annotated[Path, typer.Option("--to", help="File to write.", show_default=True)] = Path("submission.txt"),
    store: options.StorePath = None,
    ten_crop: options.TenCrop = False,
    ensemble_weights: options.EnsembleWeights = None,
    runs: options.Runs = options.RUNS,
    device: options.DeviceName = "auto",
    compile: options.Compile = None,
    json: options.Json = False,
) -> None:
    """Write a submission for ILSVRC-2012's test split.

    Reads the newest checkpoint of a run, or of several to average, and the newest test store of the run's data set,
    which needs no labels. Writes one line per image, in the order of the file names: the devkit's numbers of the five
    most probable classes. Saves the predictions in the run folder, too.

    Example:  alexrepro submit --ten-crop --to submission.txt
    """
    from alexrepro.evaluation.evaluate import open_runs
    from alexrepro.evaluation.inference import device_for
    from alexrepro.evaluation.submission import submit as core

    chosen, weights = choose_runs(run, runs=runs), options.numbers(ensemble_weights)
    images = store_of("test", store, dataset=chosen[0].environment["dataset"])
    crops: Crops = "ten" if ten_crop else "center"
    used = device_for(device, compile, images=len(images) * len(chosen), crops=crops)
    lines = core(open_runs(chosen, images, crops=crops, device=used, folder=runs, weights=weights), to)
    say(f"Wrote {to}: {lines:,} lines in the order of the file names.")
    if json:
        print_json({"submission": str(to), "lines": lines})


@ended_at_once()
def score(
    file: Annotated[Path, typer.Argument(help="Submission: up to five class numbers per line.", show_default=False)],
    devkit: Annotated[
        Path, typer.Option("--devkit", help="Folder of ILSVRC-2010's devkit and ground truths.", show_default=False)
    ],
    json: options.Json = False,
) -> None:
    """Score a submission to ILSVRC-2010, made by any program.

    Reads a file with one line per image, in the order of the file names, and the devkit. The number of lines determines
    the split. Prints the error when the first 1, 2, ... 5 classes of a line count, as the devkit's own program does.

    Example:  alexrepro score submission.txt --devkit ILSVRC2010_devkit-1.0
    """
    from alexrepro.evaluation.submission import score_submission

    found = score_submission(file, devkit)
    rows = [[classes, percent(error, 2)] for classes, error in enumerate(found.errors, start=1)]
    columns, title = ("classes counted", "error"), f"{file} on {found.images:,} images of {found.split}"
    result = {"split": found.split, "images": found.images, "flat": list(found.errors)}
    print_result(result, title, columns, rows, right=columns, json=json)
