"""`alexrepro train`: one recipe, one store, one seed, one run folder."""

from typing import TYPE_CHECKING, Annotated

import typer

from alexrepro.cli.choose import choose_recipe, source_run, training_store, validation_store
from alexrepro.cli.options import (
    KEPT,
    RUNS,
    STORES,
    AllowFlatLoss,
    Batch,
    Compile,
    ContinueFrom,
    DeviceName,
    Epochs,
    Gpus,
    InitFrom,
    Json,
    Keep,
    Log,
    Parallel,
    Processes,
    Resume,
    Runs,
    Seed,
    Set,
    StorePath,
    Stores,
)
from alexrepro.cli.show import percent, print_json
from alexrepro.distributed.rank import ended_at_once

if TYPE_CHECKING:
    from alexrepro.runs.run import Run


@ended_at_once()
def train(
    recipe: Annotated[str | None, typer.Argument(help="Recipe name or TOML file. Default: by the data set.")] = None,
    store: StorePath = None,
    stores: Stores = STORES,
    runs: Runs = RUNS,
    seed: Seed = 0,
    epochs: Epochs = None,
    batch: Batch = None,
    changes: Set = None,
    device_name: DeviceName = "auto",
    compile: Compile = None,
    gpus: Gpus = None,
    processes: Processes = None,
    parallel: Parallel = None,
    resume: Resume = "auto",
    keep: Keep = KEPT,
    init_from: InitFrom = None,
    continue_from: ContinueFrom = None,
    allow_flat_loss: AllowFlatLoss = False,
    log: Log = None,
    json: Json = False,
) -> None:
    """Train one recipe and write a run folder.

    Reads a store made by `prepare`; validates after every epoch on the validation store of the same data set.
    Writes RUNS/<recipe>-<digest>/<dataset>-seed-<n>/. The same command continues an interrupted run, on any GPUs.

    Example:  alexrepro train as-run-2012 --gpus 2
    """
    from alexrepro.device import find_device, is_worth_compiling
    from alexrepro.distributed.launch import launch_if_asked
    from alexrepro.distributed.process_group import connect
    from alexrepro.distributed.rank import find_rank
    from alexrepro.training.train import train as core

    with (rank := find_rank()).quiet(launched_too=True):
        data, source = training_store(store, stores=stores), source_run(init_from, continue_from)
        chosen = choose_recipe(recipe, dataset=data.manifest.dataset, changes=changes or (), epochs=epochs, batch=batch,
                               continued=source if continue_from else None)  # fmt: skip
        validation = validation_store(data, stores=stores)
    launch_if_asked(rank, chosen.network, gpus=gpus, processes=processes, device=device_name, parallel=parallel)
    with rank.quiet():
        compiles = is_worth_compiling(len(data) * chosen.training.epochs) if compile is None else compile
        device = find_device(device_name, local_rank=rank.local_rank, compiles=compiles, processors=rank.processors)
        with connect(rank, device, network=chosen.network, parallel=parallel) as group:
            run = core(chosen, store=data, validation=validation, runs=runs, seed=seed, device=device, resume=resume,
                       source=source, group=group, allow_flat_loss=allow_flat_loss, keep=keep,
                       log=log or ())  # fmt: skip
    if group.is_first:
        _print(run, json)


def _print(run: "Run", json: bool) -> None:
    result = run.result or {}
    final = result["final"]
    if json:
        names = ("loss", "top1_error", "top5_error", "split")
        print_json(
            {
                "run": str(run.folder),
                "recipe": run.recipe.name,
                "digest": run.recipe.digest,
                "steps": result["steps"],
                "epochs": result["epochs"],
                "final": {name: final[name] for name in names},
            }
        )
        return
    loss = "not recorded" if final["loss"] is None else f"{final['loss']:.4f}"
    print(f"{run.folder}: {result['epochs']} epochs, {result['steps']:,} updates, loss {loss}")
    if final["split"]:
        print(
            f"{final['split']}, center crop: top-1 error {percent(final['top1_error'])}, "
            f"top-5 error {percent(final['top5_error'])}"
        )
