"""Options that several commands share, spelled once."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of a table.")]
Runs = Annotated[Path, typer.Option("--runs", help="Folder of run folders.", show_default=True)]
Stores = Annotated[Path, typer.Option("--stores", help="Folder of stores that `prepare` wrote.", show_default=True)]
StorePath = Annotated[
    Path | None,
    typer.Option("--store", help="Store folder, or the name of a data set. Default: the newest fitting one."),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of every random draw.", show_default=True)]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.", show_default=True)]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a field of the recipe, such as network.norm=none. May be repeated."),
]
Epochs = Annotated[
    int | None, typer.Option("--epochs", help="Train this many epochs, with the schedule squeezed to fit.")
]
Batch = Annotated[int | None, typer.Option("--batch", help="Images per update; short for --set training.batch=N.")]

RUNS = Path("runs")
STORES = Path("stores")
REPORTS = Path("reports")
