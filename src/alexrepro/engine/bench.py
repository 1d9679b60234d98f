"""What this machine does, beside what it could: images a second of the feed, the step, testing and preparing.

Every part is measured in turns with its limit, several rounds, and medians are given, since machines are shared.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Literal

from alexrepro.data.store import Store
from alexrepro.engine.machine import Machine
from alexrepro.engine.workloads import Round, evaluate_work, feed_work, prepare_work, step_work
from alexrepro.errors import Exit, Refusal
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
class Projection:
    """How long a recipe takes on so many images, which part decides it, and how many workers the feed would need."""

    epochs: int
    images: int
    hours: float
    bound: Literal["feed", "step"]
    workers: int
    workers_that_would_do: int


def bench(
    parts: Sequence[str], *, recipe: Recipe, store: Store, machine: Machine, rounds: int, updates: int
) -> list[Rate]:
    """Measure the named parts with a recipe on a store; each round makes so many updates or as many batches.

    Raises Refusal for a part that there is not.
    """
    prepared = {
        "feed": lambda: feed_work(recipe, store, updates),
        "step": lambda: step_work(recipe, machine, updates),
        "evaluate": lambda: evaluate_work(recipe, machine, updates),
        "prepare": lambda: prepare_work(store),
    }
    unknown = sorted(set(parts) - set(prepared))
    if unknown:
        raise Refusal(
            f"There is no part {unknown[0]} to measure.", fix=f"Name {', '.join(prepared)}.", exit_code=Exit.USAGE
        )
    rates = []
    for part in parts:
        work, limit_name, limit = prepared[part]()
        rates.append(_measured(part, work, limit_name, limit, rounds))
    return rates


def projection(recipe: Recipe, rates: Sequence[Rate], *, images: int) -> Projection | None:
    """The time of a whole training on so many images, from the rates of feed and step; None without both."""
    found = {rate.part: rate.images_per_second for rate in rates}
    if not {"feed", "step"} <= set(found):
        return None
    total, workers = recipe.training.epochs * images, os.cpu_count() or 1
    slowest = min(found["feed"], found["step"])
    bound: Literal["feed", "step"] = "feed" if found["feed"] < found["step"] else "step"
    enough = ceil(workers * found["step"] / found["feed"])
    return Projection(recipe.training.epochs, images, total / slowest / 3600, bound, workers, enough)


def _measured(part: str, work: Round, limit_name: str, limit: Round, rounds: int) -> Rate:
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
    return Rate(part, median(ours), min(ours), max(ours), limit_name, median(limits))
