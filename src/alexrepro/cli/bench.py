"""`alexrepro bench`: what this machine does, as a share of what it could, and how long a recipe will take."""

import atexit
import sys
from dataclasses import asdict
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from alexrepro.cli.choose import choose_recipe, training_store
from alexrepro.cli.options import STORES, Batch, DeviceName, Json, Set, StorePath, Stores
from alexrepro.cli.show import percent, print_json, print_table
from alexrepro.distributed.rank import ended_at_once
from alexrepro.errors import Exit, UserError
from alexrepro.recipes.recipe import Recipe

if TYPE_CHECKING:
    from alexrepro.data.store.store import Store
    from alexrepro.diagnostics.bench import Projection, Rate, WireCost

Sharing = Annotated[
    Literal["tower"] | None,
    typer.Option("--parallel", help="Measure the step in processes that share the towers, and what their wire costs."),
]


@ended_at_once()
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
    device_name: DeviceName = "auto",
    parallel: Sharing = None,
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
    feed and step follows how long the recipe takes. Without a store, a few pictures are drawn for it. With --parallel
    tower, the step stands beside the same work of processes that do not speak to each other.

    Example:  alexrepro bench feed step --set training.precision=bf16
    """
    from alexrepro.data.sources.folders import ILSVRC_2012_TRAIN
    from alexrepro.device import find_device
    from alexrepro.diagnostics.bench import bench as core
    from alexrepro.diagnostics.bench import projection

    chosen = choose_recipe(recipe, dataset="", changes=changes or (), epochs=None, batch=batch)
    if parallel:
        _bench_towers(parts, chosen, device_name=device_name, rounds=rounds, updates=updates, json=json)
        return
    device = find_device(device_name, compiles=True)
    found = training_store(store, stores=stores) if store or list(stores.glob("*-train-*")) else _drawn(chosen)
    rates = core(parts or ["feed", "step"], recipe=chosen, store=found, device=device, rounds=rounds, updates=updates)
    ahead = projection(chosen, rates, images=images or ILSVRC_2012_TRAIN)
    if json:
        shown = {rate.part: {**asdict(rate), "share": rate.share} for rate in rates}
        about = {"recipe": chosen.name, "store": found.path.name, "machine": device.facts()}
        print_json(shown | {"projection": asdict(ahead) if ahead else None} | about)
        return
    _show(f"{_title(chosen)}, on {found.path.name}", rates)
    if ahead:
        print(_sentence(ahead))


def _bench_towers(
    parts: list[str] | None, recipe: Recipe, *, device_name: str, rounds: int, updates: int, json: bool
) -> None:
    """The step of a network whose towers are shared by processes; starts them where that was not done."""
    from alexrepro.device import find_device
    from alexrepro.diagnostics.bench import bench_towers, sharing_processes
    from alexrepro.distributed.launch import launch
    from alexrepro.distributed.process_group import connect
    from alexrepro.distributed.rank import find_rank

    if (parts or ["step"]) != ["step"]:
        raise UserError(
            f"--parallel tower measures the step, not {' and '.join(parts or ())}.",
            fix="Type: alexrepro bench step --parallel tower.", exit_code=Exit.USAGE,
        )  # fmt: skip
    rank = find_rank()
    sharing = sharing_processes(rank, recipe.network, device=device_name)
    if rank.world_size == 1:
        sys.exit(launch(sharing))
    with rank.quiet():
        device = find_device(device_name, local_rank=rank.local_rank, compiles=True, processors=rank.processors)
        with connect(rank, device, network=recipe.network, parallel="tower") as group:
            rate, cost = bench_towers(recipe, group=group, device=device, rounds=rounds, updates=updates)
    if not group.is_first:
        return
    if json:
        about = {"recipe": recipe.name, "batch": recipe.training.batch, "machine": device.facts()}
        print_json({"step": {**asdict(rate), "share": rate.share}, "wire": asdict(cost), **about})
        return
    _show(_title(recipe), [rate])
    print(_of_the_wire(cost))


def _title(recipe: Recipe) -> str:
    return f"{recipe.name}, batches of {recipe.training.batch}, {recipe.training.precision}"


def _of_the_wire(cost: "WireCost") -> str:
    forward, back = (f"{sent / 1000:,.1f} kB" for sent in (cost.bytes_forward, cost.bytes_back))
    return (
        f"{cost.values:,} values are gathered for each image: a process sends {forward} forward and {back} back.\n"
        f"Communication adds {percent(cost.overhead)} to the time of an update "
        f"({percent(cost.least)} to {percent(cost.most)} in single rounds)."
    )


def _drawn(recipe: Recipe) -> "Store":
    """A small training store of drawn pictures, of the size that the recipe wants; it goes with the program."""
    from alexrepro.data.sources.miniature import write_miniature
    from alexrepro.data.store.prepare import prepare

    folder = Path(mkdtemp(prefix="alexrepro-bench-"))
    atexit.register(rmtree, folder, ignore_errors=True)
    write_miniature(folder / "source", train_per_class=8, val_per_class=1, test_per_class=1)
    wanted = recipe.augmentation
    return prepare(folder / "source", out=folder, side_px=wanted.stored_px, square=wanted.square)["train"]


def _show(title: str, rates: list["Rate"]) -> None:
    columns = ("part", "images/s", "least to most", "share", "of")
    print_table(title, columns, [_row(rate) for rate in rates], right=("images/s", "share"))


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
