"""Options that several commands share, spelled once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from alexrepro.data.store.manifest import MANIFEST
from alexrepro.errors import Exit, UserError
from alexrepro.files import not_a_file

RUNS, STORES, REPORTS = Path("runs"), Path("stores"), Path("reports")


def split_name(named: Path | None) -> tuple[Path, str | None]:
    """The folder of stores and the data set that --store names: FOLDER, FOLDER/NAME, or NAME for one in stores/."""
    if named is None:
        return STORES, None
    if len(named.parts) == 1 and str(named) != ".":
        return (named, None) if list(named.glob(f"*/{MANIFEST}")) else (STORES, str(named))
    return (named, None) if named.is_dir() else (named.parent, named.name)


def check_installed(loggers: list[str] | None) -> list[str] | None:
    """Refuse a logger without its package before anything begins."""
    if loggers:
        from alexrepro.training.loggers import check_loggers

        check_loggers(loggers)
    return loggers


def numbers(weights: str | None) -> list[float]:
    """The numbers in the value of --ensemble-weights."""
    try:
        return [float(weight) for weight in weights.split(",")] if weights else []
    except ValueError:
        fix = "Give one for each run: --ensemble-weights 1,1,0.5."
        raise UserError(f"{weights} are not numbers.", fix=fix, exit_code=Exit.USAGE) from None


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of a table.")]
Runs = Annotated[Path, typer.Option("--runs", callback=not_a_file, help="Folder of run folders.", show_default=True)]
StorePath = Annotated[
    Path | None,
    typer.Option("--store", help="Store, data set, or folder of stores. Default: the newest in stores/ that fits."),
]
RunPaths = Annotated[
    list[Path] | None,
    typer.Argument(help="Run folders; several are averaged. Default: the newest complete run in --runs."),
]
TenCrop = Annotated[
    bool, typer.Option("--ten-crop", help="Average the softmax over ten crops instead of the center crop.")
]
EnsembleWeights = Annotated[
    str | None, typer.Option("--ensemble-weights", help="Weights of several runs, such as 1,1,0.5. Default: equal.")
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of every random draw.", show_default=True)]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.", show_default=True)]
COMPILED = "Use torch.compile. Default: only when the run is long enough to repay it."
Compile = Annotated[bool | None, typer.Option("--compile/--no-compile", help=COMPILED)]
Gpus = Annotated[int | None, typer.Option("--gpus", min=1, help="Number of GPUs on this host (one process per GPU).")]
CpuRanks = Annotated[
    int | None, typer.Option("--cpu-ranks", min=1, help="Number of processes on this host without GPUs (--device cpu).")
]
Parallel = Annotated[
    Literal["tower", "data"] | None,
    typer.Option(
        "--parallel",
        help="tower: each process holds one tower, as in 2012; data: each holds the network and trains on its part of "
        "every batch. Default: tower for two processes, else data.",
    ),
]
LOGGERS = "Also log to tensorboard, wandb or mlflow (optional extras). Repeatable."
Log = Annotated[list[str] | None, typer.Option("--log", callback=check_installed, help=LOGGERS)]
CHANGE = "Change a field of the recipe, such as network.norm=none. Repeatable."
Set = Annotated[list[str] | None, typer.Option("--set", help=CHANGE)]
Epochs = Annotated[
    int | None, typer.Option("--epochs", help="Train this many epochs, with the schedule squeezed to fit.")
]
