"""`alexrepro evaluate`: exact errors of a run on a split."""

from pathlib import Path
from typing import Annotated

import typer

from alexrepro.cli.choose import choose_run, testing_store
from alexrepro.cli.options import RUNS, STORES, Device, Json, Runs, StorePath, Stores
from alexrepro.cli.show import percent, print_json, print_table


def evaluate(
    run: Annotated[Path | None, typer.Argument(help="Run folder. Default: the newest run under --runs.")] = None,
    store: StorePath = None,
    ten_crop: Annotated[
        bool, typer.Option("--ten-crop", help="Average the softmax over ten views instead of the centre view.")
    ] = False,
    stores: Stores = STORES,
    runs: Runs = RUNS,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Count a run's top-1 and top-5 errors on a split.

    Reads the newest checkpoint of a run and a labelled store: the test split of the run's data set if there is
    one, else the validation split. Saves the counts in the run folder, where `report` finds them.

    Example:  alexrepro evaluate --ten-crop
    """
    from alexrepro.data.store import Store
    from alexrepro.engine.evaluate import evaluate as core
    from alexrepro.engine.machine import find_machine

    machine = find_machine(device)
    chosen = choose_run(run, runs=runs)
    if store is not None and store.is_dir():
        images = Store.open(store)
    else:
        environment = chosen.environment
        dataset = str(store) if store else environment["dataset"]
        images = testing_store(dataset, classes=environment["classes"], stores=(stores,))
    found = core(chosen, images, views="ten" if ten_crop else "centre", machine=machine)
    if json:
        names = ("run", "recipe", "seed", "split", "views", "images", "top1_correct", "top5_correct", "loss")
        errors = {"top1_error": found.top1_error, "top5_error": found.top5_error}
        print_json({name: getattr(found, name) for name in names} | errors)
        return
    print_table(
        f"{found.run} on {found.split}",
        ("views", "images", "top-1 error", "top-5 error", "loss"),
        [(found.views, found.images, percent(found.top1_error, 2), percent(found.top5_error, 2), f"{found.loss:.4f}")],
        right=("images", "top-1 error", "top-5 error", "loss"),
    )
