"""Options that several commands share, spelled once."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def check_installed(loggers: list[str] | None) -> list[str] | None:
    """Refuse a logger without its package before anything begins."""
    if loggers:
        from alexrepro.training.loggers import check_loggers

        check_loggers(loggers)
    return loggers


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of a table.")]
Runs = Annotated[Path, typer.Option("--runs", help="Folder of run folders.", show_default=True)]
Stores = Annotated[Path, typer.Option("--stores", help="Folder of stores that `prepare` wrote.", show_default=True)]
StorePath = Annotated[
    Path | None,
    typer.Option("--store", help="Store folder, or the name of a data set. Default: the newest fitting one."),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of every random draw.", show_default=True)]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.", show_default=True)]
Compile = Annotated[
    bool | None,
    typer.Option("--compile/--no-compile", help="Compile loops for this machine first. Default: if it pays."),
]
Gpus = Annotated[
    int | None, typer.Option("--gpus", min=1, help="Train in so many processes on this host, one for each GPU.")
]
Processes = Annotated[int | None, typer.Option("--processes", min=1, help="The same without GPUs; needs --device cpu.")]
Parallel = Annotated[
    Literal["tower", "data"] | None,
    typer.Option(
        "--parallel",
        help="tower: the towers of a network are shared, as in 2012; data: each process has the whole network and a "
        "part of every batch. Default: tower for two processes, else data.",
    ),
]
Resume = Annotated[
    Literal["auto", "never"],
    typer.Option(help="auto: continue from the newest checkpoint; never: set an earlier run aside and start anew."),
]
AllowFlatLoss = Annotated[
    bool, typer.Option("--allow-flat-loss", help="Go on although the loss stays at that of guessing.")
]
Keep = Annotated[
    int, typer.Option("--keep", min=1, help="How many checkpoints to keep, the newest ones.", show_default=True)
]
Log = Annotated[
    list[str] | None,
    typer.Option(
        "--log", callback=check_installed, help="Tell tensorboard, wandb or mlflow, too: extras. May be repeated."
    ),
]
InitFrom = Annotated[
    Path | None,
    typer.Option("--init-from", help="Run whose weights some stages begin with (recipes net-146-...)."),
]
ContinueFrom = Annotated[
    Path | None,
    typer.Option(
        "--continue-from",
        help="Begin a new run with all state of this one's newest checkpoint, and by default with its recipe; for "
        "another recipe, such as --set training.learning_rate_factor=0.5 after divergence.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a field of the recipe, such as network.norm=none. May be repeated."),
]
Epochs = Annotated[
    int | None, typer.Option("--epochs", help="Train this many epochs, with the schedule squeezed to fit.")
]
Batch = Annotated[int | None, typer.Option("--batch", help="Images per update; short for --set training.batch=N.")]

KEPT = 2
RUNS = Path("runs")
STORES = Path("stores")
REPORTS = Path("reports")
