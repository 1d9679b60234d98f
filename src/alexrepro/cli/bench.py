"""`alexrepro bench`: what this machine does, as a share of what it could, and how long a recipe will take."""

import atexit
from dataclasses import asdict
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated

import typer

from alexrepro.cli.choose import choose_recipe, training_store
from alexrepro.cli.options import STORES, Batch, Device, Json, Set, StorePath, Stores
from alexrepro.cli.show import percent, print_json, print_table

if TYPE_CHECKING:
    from alexrepro.data.store import Store
    from alexrepro.engine.bench import Projection, Rate


def bench(
    parts: Annotated[
        list[str] | None,
        typer.Argument(help="feed, step, evaluate or prepare. Default: feed and step.", show_default=False),
    ] = None,
    recipe: Annotated[str, typer.Option("--recipe", help="Recipe name or TOML file.")] = "as-run-2012",
    store: StorePath = None,
    stores: Stores = STORES,
    batch: Batch = None,
    changes: Set = None,
    device: Device = "auto",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each measurement; medians are shown.")] = 5,
    updates: Annotated[int, typer.Option(min=1, help="Updates, or batches, in a round.")] = 1,
    images: Annotated[
        int | None,
        typer.Option(min=1, help="Training images for the projected time. Default: ILSVRC-2012's.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Measure this machine: images a second of the feed, the training step, testing and preparing.

    Each stands beside its limit, measured in turns with it: decoding alone, or the processor's matrix products. From
    feed and step follows how long the recipe takes. Without a store, a few pictures are drawn for it.

    Example:  alexrepro bench feed step --set training.precision=bf16
    """
    from alexrepro.data.sources.folders import ILSVRC_2012_TRAIN
    from alexrepro.engine.bench import bench as core
    from alexrepro.engine.bench import projection
    from alexrepro.engine.machine import find_machine

    machine = find_machine(device, compiles=True)
    found = training_store(store, stores=stores) if store or list(stores.glob("*-train-*")) else _drawn()
    chosen = choose_recipe(recipe, dataset=found.manifest.dataset, changes=changes or (), epochs=None, batch=batch)
    rates = core(parts or ["feed", "step"], recipe=chosen, store=found, machine=machine, rounds=rounds, updates=updates)
    ahead = projection(chosen, rates, images=images or ILSVRC_2012_TRAIN)
    if json:
        shown = {rate.part: {**asdict(rate), "share": rate.share} for rate in rates}
        about = {"recipe": chosen.name, "store": found.path.name, "machine": machine.facts()}
        print_json(shown | {"projection": asdict(ahead) if ahead else None} | about)
        return
    title = f"{chosen.name}, batches of {chosen.training.batch}, {chosen.training.precision}, on {found.path.name}"
    _show(title, rates, ahead)


def _drawn() -> "Store":
    """A small training store of drawn pictures, which goes with the program."""
    from alexrepro.data.prepare import prepare
    from alexrepro.data.sources.miniature import write_miniature

    folder = Path(mkdtemp(prefix="alexrepro-bench-"))
    atexit.register(rmtree, folder, ignore_errors=True)
    write_miniature(folder / "source", train_per_class=8, val_per_class=1, test_per_class=1)
    return prepare(folder / "source", out=folder)["train"]


def _show(title: str, rates: list["Rate"], ahead: "Projection | None") -> None:
    columns = ("part", "images/s", "least to most", "share", "of")
    print_table(title, columns, [_row(rate) for rate in rates], right=("images/s", "share"))
    if ahead:
        print(_sentence(ahead))


def _row(rate: "Rate") -> tuple[str, ...]:
    limit = f"{rate.limit_images_per_second:,.0f} images/s, {rate.limit}"
    spread = f"{rate.least:,.0f} to {rate.most:,.0f}"
    return rate.part, f"{rate.images_per_second:,.0f}", spread, percent(rate.share, 0), limit


def _sentence(ahead: "Projection") -> str:
    hours = f"{ahead.hours:,.1f} hours" if ahead.hours >= 1 else f"{60 * ahead.hours:.0f} minutes"
    start = f"{ahead.epochs} epochs of {ahead.images:,} images: {hours}, bound by the {ahead.bound}"
    if ahead.bound == "step":
        return f"{start}."
    return f"{start}; {ahead.workers_that_would_do} processors would feed it, and there are {ahead.workers}."
