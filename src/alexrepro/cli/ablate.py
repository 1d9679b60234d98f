"""`alexrepro ablate`: what a change costs, trained and evaluated like the base."""

from pathlib import Path
from typing import Annotated

import typer

from alexrepro.cli import options
from alexrepro.cli.choose import choose_recipe
from alexrepro.cli.show import print_json, print_table
from alexrepro.cli.stores import labeled_store, store_of, validation_store
from alexrepro.cli.variations import list_variations
from alexrepro.distributed.rank import ended_at_once
from alexrepro.progress import say
from alexrepro.recipes.variations import find_variation, trials_of


@ended_at_once()
def ablate(
    variations: Annotated[list[str] | None, typer.Argument(help="Variations; without any, list them.")] = None,
    base: Annotated[str | None, typer.Option("--base", help="Recipe to vary. Default: by the data set.")] = None,
    store: options.StorePath = None,
    runs: options.Runs = options.RUNS,
    out: Annotated[Path, typer.Option("--out", help="Folder for the table's files.")] = options.REPORTS,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Train seeds 0 to N-1 of each.")] = 1,
    epochs: options.Epochs = None,
    changes: options.Set = None,
    device_name: options.DeviceName = "auto",
    json: options.Json = False,
) -> None:
    """Train a base and its variations and print the differences.

    Without arguments, lists the variations and the printed number of each. With names, trains what is missing,
    evaluates all over ten crops on the test split (else the validation split), and writes OUT/ablations-*.

    Example:  alexrepro ablate without-conv3 tanh --seeds 3
    """
    if not variations:
        list_variations(json)
        return
    from alexrepro.device import find_device, is_worth_compiling
    from alexrepro.distributed.rank import check_single_process
    from alexrepro.reports.experiments import gather
    from alexrepro.reports.tables.measured import delta_table, measured_of
    from alexrepro.training.job import TrainingJob
    from alexrepro.training.train import ablate as core

    check_single_process("ablate")
    images = store_of("train", store)
    manifest = images.manifest
    recipe = choose_recipe(base, dataset=manifest.dataset, changes=changes or (), epochs=epochs)
    recipe = recipe.for_classes(len(manifest.classes))
    test = labeled_store(manifest.dataset, recipe, classes=manifest.classes, folder=images.path.parent)
    trials = trials_of(recipe, [find_variation(name) for name in dict.fromkeys(variations)])
    shown = len(images) * recipe.training.epochs * len(trials) * seeds
    job = TrainingJob(
        recipe, store=images, validation=validation_store(images), runs=runs, seed=0, allow_flat_loss=True,
        device=find_device(device_name, compiles=is_worth_compiling(shown)),
    )  # fmt: skip
    found = core(trials, job, test=test, seeds=range(seeds))
    measured = measured_of(recipe, gather(runs).evaluations, store=test.manifest.digest)
    table = delta_table(found[0], measured, name=f"ablations-{recipe.name}-{recipe.digest}")
    files = [str(path) for path in table.save(out)]
    if json:
        print_json({**table.as_dict(), "files": files})
    else:
        print_table(table.title, *table.shown())
        say(f"Wrote: {', '.join(files)}.")
