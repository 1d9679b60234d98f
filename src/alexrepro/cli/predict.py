"""`alexrepro predict`: the five most probable classes of images."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from alexrepro.cli.choose import choose_run
from alexrepro.cli.options import RUNS, DeviceName, Json, Runs, StorePath, TenCrop, split_name
from alexrepro.cli.show import percent, print_json, print_table
from alexrepro.distributed.rank import ended_at_once
from alexrepro.locks import replace_rows
from alexrepro.paper.results import Crops
from alexrepro.progress import wrote
from alexrepro.runs.paths import PREDICTED

BAR_WIDTH = 30  # characters for a probability of 1


@ended_at_once()
def predict(
    images: Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)],
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="Run, checkpoint or weights file. Default: the newest complete run in --runs."),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option("--names", help="Class names, one per line: after WNIDs, or in output order."),
    ] = None,
    ten_crop: TenCrop = False,
    store: StorePath = None,
    runs: Runs = RUNS,
    device_name: DeviceName = "auto",
    json: Json = False,
) -> None:
    """Print the five most probable classes of images.

    Reads any weights that `convert` reads; their recipe defines the resize and the crops. Class names come from the
    run's store, from the weights file, or from --names. Also writes them to RUNS/predicted.csv.

    Example:  alexrepro predict cat.jpg --weights caffe.safetensors --ten-crop
    """
    from alexrepro.device import find_device
    from alexrepro.evaluation.predict import open_weights, rows_of, with_names
    from alexrepro.evaluation.predict import predict as core

    source = weights or choose_run(None, runs=runs).folder
    found = open_weights(source, stores=split_name(store)[0])
    if names is not None:
        found = with_names(found, names)
    crops: Crops = "ten" if ten_crop else "center"
    predictions = core(found, images, crops=crops, device=find_device(device_name))
    pairs = list(zip(images, predictions, strict=True))
    if json:
        shown = [{"file": str(file), "top5": list(map(asdict, top5))} for file, top5 in pairs]
        named = {"weights": str(source), "recipe": found.recipe.name, "crops": crops}
        print_json({**named, "images": shown, "table": str(runs / PREDICTED)})
    else:
        for image, top5 in pairs:
            bars = [(percent(top.probability), "█" * round(BAR_WIDTH * top.probability), top.name) for top in top5]
            print_table(str(image), ("probability", "", "class"), bars, right=["probability"])
    rows = [row for file, top5 in pairs for row in rows_of(source, crops, file, top5)]
    table = replace_rows(runs / PREDICTED, rows, key=("weights", "crops", "file"))
    if not json:
        wrote(table)
