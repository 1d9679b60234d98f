"""What this machine does, beside what it could: images a second of the feed, the step, testing and preparing.

Every part is measured in turns with its limit, several rounds, and medians are given, since machines are shared.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from statistics import median
from typing import Literal

import torch

from alexrepro.data.loading.loader import default_workers
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.diagnostics.workloads import Round, evaluate_work, feed_work, prepare_work, step_work, towers_work
from alexrepro.distributed.launch import grid
from alexrepro.distributed.process_group import ProcessGroup
from alexrepro.distributed.rank import Rank
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.compatible import check_images
from alexrepro.paper.network import Network
from alexrepro.progress import progress
from alexrepro.recipes.recipe import Recipe


@dataclass(frozen=True)
class Rate:
    """Images a second of one part of the work (median, least, most), and of the limit it runs against."""

    part: str
    images_per_second: float
    least: float
    most: float
    limit: str
    limit_images_per_second: float

    @property
    def share(self) -> float:
        """How much of the limit is reached."""
        return self.images_per_second / self.limit_images_per_second


@dataclass(frozen=True)
class WireCost:
    """What the wire between towers costs: what a process sends for an image, and the time that communication adds.

    values: of all towers, gathered for an image. overhead: of an update's time, the median of rounds; least, most.
    """

    processes: int
    values: int
    bytes_forward: int
    bytes_back: int
    overhead: float
    least: float
    most: float


@dataclass(frozen=True)
class Projection:
    """How long a recipe takes on so many images, which part decides it, and how many workers the feed would need."""

    epochs: int
    images: int
    hours: float
    bound: Literal["feed", "step"]
    workers: int
    workers_that_would_do: int


def bench(
    parts: Sequence[str], *, recipe: Recipe, store: Store, device: Device, rounds: int, updates: int
) -> list[Rate]:
    """Measure the named parts with a recipe on a store; each round makes so many updates or as many batches.

    Raises UserError for a part that there is not, or if the feed is to be measured on images of another size.
    """
    prepared = {
        "feed": lambda: feed_work(recipe, store, device, updates),
        "step": lambda: step_work(recipe, device, updates),
        "evaluate": lambda: evaluate_work(recipe, device, updates),
        "prepare": lambda: prepare_work(store),
    }
    unknown = sorted(set(parts) - set(prepared))
    if unknown:
        raise UserError(
            f"There is no part {unknown[0]} to measure.", fix=f"Name {', '.join(prepared)}.", exit_code=Exit.USAGE
        )
    if "feed" in parts:
        check_images(recipe, store)
    rates = []
    for part in parts:
        work, limit_name, limit = prepared[part]()
        rates.append(_measured(part, work, limit_name, limit, rounds))
    return rates


def bench_towers(
    recipe: Recipe, *, group: ProcessGroup, device: Device, rounds: int, updates: int
) -> tuple[Rate, WireCost]:
    """Measure the step in processes that share the towers, and what their wire costs; all of them must ask."""
    (work, limit_name, limit), traffic = towers_work(recipe, device, updates, group)
    processes = group.towers.processes
    part = f"step, {processes} processes"
    rates, limits = _rounds(part, work, limit, rounds)
    added = [most / rate - 1 for rate, most in zip(rates, limits, strict=True)]
    cost = WireCost(processes, **asdict(traffic), overhead=median(added), least=min(added), most=max(added))
    return _rate(part, rates, limit_name, limits), cost


def sharing_processes(rank: Rank, network: Network, *, device: str) -> int:
    """How many processes the towers of one network are measured in.

    Raises UserError if they cannot be shared, if another number was started, or if there is not a GPU for each.
    """
    try:
        _, sharing = grid(max(2, network.towers), network, "tower")
    except UserError as refusal:
        raise UserError(
            refusal.what, fix="Measure it in one process: leave out --parallel tower.", exit_code=Exit.USAGE
        ) from None
    if rank.world_size not in (1, sharing):
        raise UserError(
            f"{sharing} processes share the towers of one network, and {rank.world_size} were started.",
            fix=f"Start {sharing}, or a single one, which starts {sharing} on this host.",
            exit_code=Exit.USAGE,
        )
    if rank.world_size == 1 and device != "cpu" and 0 < torch.cuda.device_count() < sharing:
        raise UserError(
            f"{sharing} processes need a GPU each, and torch can use {torch.cuda.device_count()} here.",
            fix="Measure on the processor with --device cpu.",
            exit_code=Exit.NO_DEVICE,
        )
    return sharing


def projection(recipe: Recipe, rates: Sequence[Rate], *, images: int) -> Projection | None:
    """The time of a whole training on so many images, from the rates of feed and step; None without both."""
    found = {rate.part: rate.images_per_second for rate in rates}
    if not {"feed", "step"} <= set(found):
        return None
    total, workers = recipe.training.epochs * images, default_workers()
    slowest = min(found["feed"], found["step"])
    bound: Literal["feed", "step"] = "feed" if found["feed"] < found["step"] else "step"
    enough = ceil(workers * found["step"] / found["feed"])
    return Projection(recipe.training.epochs, images, total / slowest / 3600, bound, workers, enough)


def _measured(part: str, work: Round, limit_name: str, limit: Round, rounds: int) -> Rate:
    rates, limits = _rounds(part, work, limit, rounds)
    return _rate(part, rates, limit_name, limits)


def _rate(part: str, rates: list[float], limit_name: str, limits: list[float]) -> Rate:
    return Rate(part, median(rates), min(rates), max(rates), limit_name, median(limits))


def _rounds(part: str, work: Round, limit: Round, rounds: int) -> tuple[list[float], list[float]]:
    """Images a second of the work and of its limit, round after round."""
    ours: list[float] = []
    limits: list[float] = []
    with progress(f"bench {part}", total=rounds, unit="rounds") as advance:
        work()  # warms caches, threads and compilers up
        limit()
        for _ in range(rounds):
            for rates, run in ((ours, work), (limits, limit)):
                amount, seconds = run()
                rates.append(amount / seconds)
            advance(1, f"{median(ours):,.0f} images/s")
    return ours, limits
