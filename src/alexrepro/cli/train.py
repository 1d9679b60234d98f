"""`alexrepro train`: one recipe, one store, one seed, one run folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexrepro.cli import options
from alexrepro.cli.choose import choose_recipe, choose_start
from alexrepro.cli.show import percent, print_json
from alexrepro.cli.stores import store_of, validation_store
from alexrepro.distributed.rank import ended_at_once, find_rank
from alexrepro.progress import counted, wrote

if TYPE_CHECKING:
    from alexrepro.runs.run import Run


@ended_at_once()
def train(
    recipe: Annotated[str | None, typer.Argument(help="Recipe, TOML file, or run. Default: by the data set.")] = None,
    start: Annotated[Path | None, typer.Argument(help="Run to take stages or all state from.")] = None,
    store: options.StorePath = None,
    runs: options.Runs = options.RUNS,
    seed: options.Seed = 0,
    epochs: options.Epochs = None,
    changes: options.Set = None,
    device_name: options.DeviceName = "auto",
    compile: options.Compile = None,
    gpus: options.Gpus = None,
    cpu_ranks: options.CpuRanks = None,
    parallel: options.Parallel = None,
    log: options.Log = None,
    json: options.Json = False,
) -> None:
    """Train one recipe and write a run folder.

    Reads a store made by `prepare`; validates after every epoch on the validation store of the same data set. Writes
    RUNS/<recipe>-<digest>/<dataset>-seed-<n>/. The same command continues an interrupted run, on any GPUs. If RECIPE
    is a run, a new run takes its recipe and state; from START, the stages in training.init_from_stages or all state.

    Example:  alexrepro train as-run-2012 --gpus 2
    """
    from alexrepro.device import find_device
    from alexrepro.distributed.launch import launch_if_requested
    from alexrepro.distributed.process_group import connect
    from alexrepro.model.compiled import is_worth_compiling
    from alexrepro.training.job import TrainingJob
    from alexrepro.training.train import train as core

    with (rank := find_rank()).quiet(launched_too=True):
        data, (named, source) = store_of("train", store), choose_start(recipe, start)
        chosen = choose_recipe(named, dataset=data.manifest.dataset, changes=changes or (), epochs=epochs)
        if source is not None and not chosen.training.init_from_stages:
            chosen = chosen.but({"training.continues": True})
        validation = validation_store(data)
    launch_if_requested(rank, chosen.network, gpus=gpus, processes=cpu_ranks, device=device_name, parallel=parallel)
    with rank.quiet():
        compiles = is_worth_compiling(len(data) * chosen.training.epochs) if compile is None else compile
        device = find_device(device_name, local_rank=rank.local_rank, compiles=compiles, processors=rank.processors)
        with connect(rank, device, network=chosen.network, parallel=parallel) as group:
            run = core(TrainingJob(chosen, store=data, validation=validation, runs=runs, seed=seed, device=device,
                                   group=group, source=source, log=tuple(log or ())))  # fmt: skip
    if group.is_first:
        _print(run, json)


def _print(run: "Run", json: bool) -> None:
    result = run.result or {}
    final = {name: result["final"][name] for name in ("loss", "top1_error", "top5_error", "split")}
    if json:
        named = {"run": str(run.folder), "recipe": run.recipe.name, "digest": run.recipe.digest, "final": final}
        print_json(named | {"steps": result["steps"], "epochs": result["epochs"]})
        return
    loss = "not recorded" if final["loss"] is None else f"{final['loss']:.4f}"
    print(f"{run.folder}: {counted(result['epochs'], 'epoch')}, {counted(result['steps'], 'step')}, loss {loss}")
    if final["split"]:
        errors = f"top-1 error {percent(final['top1_error'])}, top-5 error {percent(final['top5_error'])}"
        print(f"{final['split']}, center crop: {errors}")
    wrote(run.metrics_file, run.validation_file, then="alexrepro evaluate --ten-crop", on=run.folder)
