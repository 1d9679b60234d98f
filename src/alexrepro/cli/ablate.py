"""`alexrepro ablate`: what a change costs, trained and tested beside the base."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alexrepro.cli import options
from alexrepro.cli.choose import choose_recipe
from alexrepro.cli.show import print_json, print_table
from alexrepro.cli.stores import labeled_store, training_store, validation_store
from alexrepro.distributed.rank import ended_at_once
from alexrepro.progress import say
from alexrepro.recipes.variations import VARIATIONS, Variation, find_variation, trials_of

if TYPE_CHECKING:
    from alexrepro.device import Device
    from alexrepro.reports.tables.table import ResultTable


@ended_at_once()
def ablate(
    variations: Annotated[
        list[str] | None, typer.Argument(help="Names of variations; without any, list them.", show_default=False)
    ] = None,
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

    Without arguments, lists what can be varied and the printed number each variation tests. With names, trains what
    is missing, tests all over ten crops on the test split (else the validation split), and writes
    OUT/ablations-<recipe>-<digest>.{csv,md,json}, with the variations of the recipe measured before.

    Example:  alexrepro ablate without-conv3 tanh --seeds 3
    """
    if not variations:
        _list_variations(json)
        return
    chosen = [find_variation(name) for name in dict.fromkeys(variations)]

    from alexrepro.distributed.rank import check_single_process
    from alexrepro.reports.loaded_runs import gather
    from alexrepro.reports.tables.delta_rows import delta_table, measured_of
    from alexrepro.training.ablate import ablate as core
    from alexrepro.training.job import TrainingJob

    check_single_process("ablate")
    images = training_store(store)
    manifest = images.manifest
    named = choose_recipe(base, dataset=manifest.dataset, changes=changes or (), epochs=epochs)
    recipe = named.for_classes(len(manifest.classes))
    test = labeled_store(manifest.dataset, recipe, classes=manifest.classes, folder=images.path.parent)
    trials = trials_of(recipe, chosen)
    shown = len(images) * recipe.training.epochs * len(trials) * seeds
    job = TrainingJob(recipe, store=images, validation=validation_store(images), runs=runs, seed=0,
                      device=_device(device_name, shown=shown), allow_flat_loss=True)  # fmt: skip
    found = core(trials, job, test=test, seeds=range(seeds))
    measured = measured_of(recipe, gather(runs), store=test.manifest.digest)
    _print(delta_table(found[0], measured, name=f"ablations-{recipe.name}-{recipe.digest}"), out, json)


def _print(table: "ResultTable", out: Path, json: bool) -> None:
    files = table.save(out)
    if json:
        print_json({**table.as_dict(), "files": [str(path) for path in files]})
        return
    print_table(table.title, *table.shown())
    say(f"Wrote: {', '.join(str(path) for path in files)}.")


def _device(device_name: str, *, shown: int) -> "Device":
    """The device for trainings that show so many images in all."""
    from alexrepro.device import find_device, is_worth_compiling

    return find_device(device_name, compiles=is_worth_compiling(shown))


def _list_variations(json: bool) -> None:
    rows = [_row(variation) for variation in VARIATIONS.values()]
    if json:
        print_json({"variations": rows})
        return
    columns = ("variation", "description", "section", "printed", "2012 log")
    print_table("What can be ablated", columns, [[row[name] for name in columns] for row in rows])
    say("Train some of them with: alexrepro ablate NAME ...")


def _row(variation: Variation) -> dict[str, str]:
    printed, logged = variation.tests, variation.logged
    return {
        "variation": variation.name,
        "description": variation.description,
        "section": variation.section,
        "printed": _points((printed.top1_delta, printed.top5_delta)) if printed else "no printed number",
        "2012 log": f"#{logged.config}: {100 * logged.top1_error:.2f} / {100 * logged.top5_error:.2f} %"
        if logged
        else "",
    }


def _points(deltas: Sequence[float | None]) -> str:
    return " / ".join("–" if delta is None else f"{100 * delta:+.1f}" for delta in deltas) + " points"
