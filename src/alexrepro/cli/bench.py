"""`alexrepro bench`: images per second of this machine, and how long a recipe will take."""

import atexit
from dataclasses import asdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from alexrepro.cli import options
from alexrepro.cli.choose import choose_recipe
from alexrepro.cli.show import print_json, print_table, print_text
from alexrepro.cli.stores import store_of
from alexrepro.distributed.rank import ended_at_once
from alexrepro.files import listed
from alexrepro.paper.results import IMAGES
from alexrepro.progress import counted, duration
from alexrepro.recipes.recipe import Recipe

if TYPE_CHECKING:
    from alexrepro.data.store.store import Store


@ended_at_once()
def bench(
    recipe: Annotated[str, typer.Argument(help="Recipe name or TOML file.")] = "as-run-2012",
    store: options.StorePath = None,
    changes: options.Set = None,
    device_name: options.DeviceName = "auto",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each measurement; the median is shown.")] = 5,
    images: Annotated[int | None, typer.Option(min=1, help="Images per epoch. Default: ILSVRC-2012's.")] = None,
    json: options.Json = False,
) -> None:
    """Measure the loader and the training step.

    Prints images per second of each and the estimated training time. Without a store, a few images are drawn for it.

    Example:  alexrepro bench as-run-2012 --set training.precision=bf16
    """
    from alexrepro.device import find_device
    from alexrepro.diagnostics.bench import bench as core
    from alexrepro.diagnostics.bench import estimate

    chosen = choose_recipe(recipe, dataset="", changes=changes or ())
    device = find_device(device_name, compiles=True)
    found = store_of("train", store) if store or list(listed(options.STORES).glob("*-train-*")) else _drawn(chosen)
    rates = core(chosen, found, device, rounds=rounds)
    ahead = estimate(chosen, rates, images=images or IMAGES["ilsvrc2012-train"])
    paces = {str(part): (median(rounds), min(rounds), max(rounds)) for part, rounds in rates.items()}
    if json:
        names = ("images_per_second", "slowest", "fastest")
        parts = {part: {"part": part, **dict(zip(names, pace, strict=True))} for part, pace in paces.items()}
        about = {"recipe": chosen.name, "store": found.path.name, "machine": device.facts()}
        print_json({"estimate": asdict(ahead), **about, **parts})
        return
    training = chosen.training
    title = f"{chosen.name}, batches of {training.batch}, {training.precision}, {found.path.name}, on {device.name}"
    columns = ("part", "images/s", "slowest", "fastest")
    rows = [(part, *(f"{number:,.0f}" for number in pace)) for part, pace in paces.items()]
    print_table(title, columns, rows, right=columns[1:])
    needed = f"; {counted(ahead.workers_needed, 'loader worker')} would keep up, and there are {ahead.workers}"
    print_text(
        f"{counted(ahead.epochs, 'epoch')} of {ahead.images:,} images: {duration(3600 * ahead.hours)}, "
        f"limited by the {ahead.slower}{needed if ahead.slower == 'loader' else ''}."
    )


def _drawn(recipe: Recipe) -> "Store":
    """A small training store of drawn images of the size that the recipe wants; removed when the program ends."""
    from alexrepro.data.sources.miniature import write_miniature
    from alexrepro.data.store.prepare import Options, prepare

    temporary = TemporaryDirectory(prefix="alexrepro-bench-", ignore_cleanup_errors=True)
    atexit.register(temporary.cleanup)
    folder = Path(temporary.name)
    write_miniature(folder / "source", train_per_class=8, val_per_class=1, test_per_class=1)
    options = Options(side_px=recipe.augmentation.stored_px, resize=recipe.augmentation.resize)
    return prepare(folder / "source", out=folder, options=options)["train"]
