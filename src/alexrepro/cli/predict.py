"""`alexrepro predict`: the five most probable classes of photographs."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.bar import Bar
from rich.console import Console
from rich.table import Table

from alexrepro.cli.choose import choose_run, split_name
from alexrepro.cli.options import RUNS, DeviceName, Json, Runs, StorePath
from alexrepro.cli.show import PLAIN_WIDTH, percent, plain, print_json
from alexrepro.distributed.launchers import ended_at_once
from alexrepro.paper.results import Crops

if TYPE_CHECKING:
    from alexrepro.evaluation.predict import Prediction

BAR_WIDTH = 30


@ended_at_once()
def predict(
    images: Annotated[list[Path], typer.Argument(help="Image files.", show_default=False)],
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="Run, checkpoint or file of weights. Default: the newest run under --runs."),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option("--names", help="Names of the classes, one a line: after their WNIDs, or in their order."),
    ] = None,
    ten_crop: Annotated[
        bool, typer.Option("--ten-crop", help="Average the softmax over ten crops instead of the center crop.")
    ] = False,
    store: StorePath = None,
    runs: Runs = RUNS,
    device_name: DeviceName = "auto",
    json: Json = False,
) -> None:
    """Show what a network sees in photographs: top-5 with bars.

    Reads any weights that `convert` reads; their recipe says how a photograph is cut. Classes are named by the run's
    store, by what the file says, or by --names.

    Example:  alexrepro predict cat.jpg --weights caffe.safetensors --ten-crop
    """
    from alexrepro.device import find_device
    from alexrepro.evaluation.class_names import named_by
    from alexrepro.evaluation.predict import open_weights
    from alexrepro.evaluation.predict import predict as core

    source = weights or choose_run(None, runs=runs).folder
    found = open_weights(source, stores=split_name(store)[0])
    if names is not None:
        found = named_by(names, found)
    crops: Crops = "ten" if ten_crop else "center"
    predictions = core(found, images, crops=crops, device=find_device(device_name))
    if json:
        shown = [{"file": str(p.file), "top5": [asdict(guess) for guess in p.guesses]} for p in predictions]
        print_json({"weights": str(source), "recipe": found.recipe.name, "crops": crops, "images": shown})
        return
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    for prediction in predictions:
        console.print(_table(prediction))


def _table(prediction: "Prediction") -> Table:
    table = Table(title=plain(str(prediction.file)), title_justify="left", show_header=False, box=None)
    for guess in prediction.guesses:
        bar = Bar(1.0, 0.0, guess.probability, width=BAR_WIDTH)
        table.add_row(percent(guess.probability), bar, plain(guess.name))
    return table
