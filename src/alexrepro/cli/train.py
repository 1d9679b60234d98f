"""`alexrepro train`: one recipe, one store, one seed, one run folder."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from alexrepro.cli.choose import choose_recipe, training_store, validation_store
from alexrepro.cli.options import RUNS, STORES, Batch, Device, Epochs, Json, Runs, Seed, Set, StorePath, Stores
from alexrepro.cli.show import percent, print_json

if TYPE_CHECKING:
    from alexrepro.engine.run import Run


def train(
    recipe: Annotated[str | None, typer.Argument(help="Recipe name or TOML file. Default: by the data set.")] = None,
    store: StorePath = None,
    stores: Stores = STORES,
    runs: Runs = RUNS,
    seed: Seed = 0,
    epochs: Epochs = None,
    batch: Batch = None,
    changes: Set = None,
    device: Device = "auto",
    resume: Annotated[
        Literal["auto", "never"],
        typer.Option(help="auto: continue from the newest checkpoint; never: set an earlier run aside and start anew."),
    ] = "auto",
    json: Json = False,
) -> None:
    """Train one recipe and write a run folder.

    Reads a store made by `prepare`; validates after every epoch on the validation store of the same data set.
    Writes RUNS/<recipe>-<digest>/<dataset>-seed-<n>/. The same command continues a run that was interrupted.

    Example:  alexrepro train as-run-2012 --seed 1
    """
    from alexrepro.engine.machine import find_machine
    from alexrepro.engine.train import train as core

    machine = find_machine(device)
    images = training_store(store, stores=stores)
    chosen = choose_recipe(recipe, dataset=images.manifest.dataset, changes=changes or (), epochs=epochs, batch=batch)
    run = core(
        chosen, store=images, validation=validation_store(images, stores=stores), runs=runs, seed=seed,
        machine=machine, resume=resume,
    )  # fmt: skip
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
    print(f"{run.folder}: {result['epochs']} epochs, {result['steps']:,} updates, loss {final['loss']:.4f}")
    if final["split"]:
        print(
            f"{final['split']}, centre view: top-1 error {percent(final['top1_error'])}, "
            f"top-5 error {percent(final['top5_error'])}"
        )
