"""`alexrepro ablate`: what a change costs, trained and evaluated like the base."""

from pathlib import Path
from typing import Annotated

import typer

from alexrepro.cli import options
from alexrepro.cli.choose import choose_recipe
from alexrepro.cli.show import print_result
from alexrepro.cli.stores import labeled_store, store_of, validation_store
from alexrepro.distributed.rank import ended_at_once
from alexrepro.errors import Exit, UserError
from alexrepro.progress import say
from alexrepro.recipes.variations import VARIATIONS, Variation, find_variation, trials_of


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

    Without names, lists the variations and their printed numbers. With names, trains what is missing, evaluates all
    over ten crops on the test (else validation) split, and after each run writes every measured ablation to
    OUT/ablations.*. A run whose loss stays at chance becomes a row, too, and the exit code 65.

    Example:  alexrepro ablate without-conv3 tanh --seeds 3
    """
    if not variations:
        rows = [_row(variation) for variation in VARIATIONS.values()]
        print_result({"variations": rows}, "What can be ablated", [*rows[0]], [[*r.values()] for r in rows], json=json)
        say("Train some of them with: alexrepro ablate NAME ...")
        return
    from alexrepro.device import find_device
    from alexrepro.distributed.rank import check_single_process
    from alexrepro.model.compiled import is_worth_compiling
    from alexrepro.reports.experiments.differences import save_ablations
    from alexrepro.training.job import TrainingJob
    from alexrepro.training.train import ablate as core

    check_single_process("ablate")
    dataset, classes = (images := store_of("train", store)).manifest.dataset, images.manifest.classes
    recipe = choose_recipe(base, dataset=dataset, changes=changes or (), epochs=epochs).for_classes(len(classes))
    test = labeled_store(dataset, recipe, classes=classes, folder=images.path.parent)
    trials = trials_of(recipe, [find_variation(name) for name in dict.fromkeys(variations)])
    crops = len(images) * recipe.training.epochs * len(trials) * seeds
    device = find_device(device_name, compiles=is_worth_compiling(crops))
    job = TrainingJob(recipe, store=images, validation=validation_store(images), runs=runs, seed=0, device=device)
    failed = []
    for found in core(trials, job, test=test, seeds=range(seeds)):
        failed += [found] if isinstance(found, UserError) else []
        table, files = save_ablations(recipe, runs=runs, out=out)
    if table.rows:
        print_result({**table.as_dict(), "files": files}, table.title, *table.shown(), json=json)
    say(f"Wrote {', '.join(files)}.")
    if failed:
        failures = f"{len(failed)} of {len(trials) * seeds} runs failed. {failed[0].what}"
        raise UserError(failures, fix=failed[0].fix, exit_code=Exit.BAD_DATA)


def _row(variation: Variation) -> dict[str, str]:
    printed, logged = variation.tests, variation.logged
    deltas = (printed.top1_delta, printed.top5_delta) if printed else ()
    shown = " / ".join("–" if delta is None else f"{100 * delta:+.1f}" for delta in deltas)
    log = f"#{logged.config}: {100 * logged.top1_error:.2f} / {100 * logged.top5_error:.2f} %" if logged else ""
    return {
        "variation": variation.name, "description": variation.description, "section": variation.section,
        "printed": f"{shown} points" if printed else "no printed number", "2012 log": log,
    }  # fmt: skip
