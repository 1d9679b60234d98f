"""How fast the networks of CIFAR-10 train on a CPU, and where the time of a step goes.

python benchmarks/cifar_step.py STORE [--recipes cifar-18pct cifar-13pct] [--steps 20] [--rounds 3]

Images per second of whole steps with their loader, for one thread and for all, alternating, as medians; and the
fraction of one thread's time that is not in the convolutions and their gradients, which are timed alone on the same
maps. Locally connected and full layers count as outside.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from alexrepro.data.loading.loader import load_batches
from alexrepro.data.loading.sampling import Batch
from alexrepro.data.store.store import Store
from alexrepro.device import find_device
from alexrepro.processors import usable_processors
from alexrepro.recipes.catalog import find_recipe
from alexrepro.training import train
from alexrepro.training.job import TrainingJob
from alexrepro.training.state import Trainer, start

RECIPES = ["cifar-18pct", "figure-1-relu", "figure-1-tanh", "cifar-13pct", "figure-1-relu-b", "cifar-11pct"]


def timed(work: Callable[[], None]) -> float:
    """The seconds that the work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def trainer_of(recipe_name: str, store: Store, folder: Path) -> Trainer:
    """The state of a training before its first step."""
    recipe, device = find_recipe(recipe_name), find_device("cpu")
    job = TrainingJob(recipe, store=store, validation=None, runs=folder, seed=0, device=device)
    job.run.folder.mkdir(parents=True)
    return start(job)


def steps(trainer: Trainer, batches: Iterator[Batch], number: int) -> int:
    """That number of steps; returns the number of images in them."""
    recipe = trainer.recipe
    rates = recipe.training.rates(recipe.network.stages, epoch=1)
    trainer.momentum.freeze(rates)
    images = 0
    for batch in islice(batches, number):
        train._update(trainer, batch, rates, recipe.augmentation, len(batch))
        images += len(batch)
    return images


def convolutions(trainer: Trainer, batches: Iterator[Batch]) -> Callable[[], None]:
    """A function that computes the convolutions of one step and their gradients, and nothing else."""
    calls: list[tuple[Tensor, tuple[Any, ...], dict[str, Any]]] = []
    real = F.conv2d

    def recorded(x: Tensor, *others: Any, **settings: Any) -> Tensor:
        if others[0].requires_grad:  # not the sums of a norm
            calls.append((x.detach().requires_grad_(x.requires_grad), others, settings))
        return real(x, *others, **settings)

    with mock.patch.object(F, "conv2d", recorded):
        steps(trainer, batches, 1)

    def work() -> None:
        for x, others, settings in calls:
            found = real(x, *others, **settings)
            found.backward(torch.ones_like(found))

    return work


def measured(name: str, store: Store, *, number: int, rounds: int) -> str:
    """A row of the table."""
    all_threads = usable_processors()
    paces: dict[int, list[float]] = {1: [], all_threads: []}
    with TemporaryDirectory() as folder:
        trainer = trainer_of(name, store, Path(folder))
        with closing(load_batches(store, trainer.plan(1), batch=trainer.recipe.training.batch)) as batches:
            for _ in range(rounds):
                for threads, found in paces.items():
                    torch.set_num_threads(threads)
                    steps(trainer, batches, 2)
                    began = time.perf_counter()
                    found.append(steps(trainer, batches, number) / (time.perf_counter() - began))
            torch.set_num_threads(1)
            of_convolutions = convolutions(trainer, batches)
            seconds = [timed(of_convolutions) for _ in range(number)]
    in_convolutions = median(seconds) * median(paces[1]) / trainer.recipe.training.batch
    cells = [
        f"`{name}`",
        *(f"{median(found):,.0f}" for found in paces.values()),
        f"{100 * (1 - in_convolutions):.0f} %",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--recipes", nargs="+", default=RECIPES)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(f"| recipe | images/s, 1 thread | {usable_processors()} threads | time outside convolutions, 1 thread |")
    print("| --- | --- | --- | --- |", flush=True)
    for name in asked.recipes:
        print(measured(name, Store.open(asked.store), number=asked.steps, rounds=asked.rounds), flush=True)


if __name__ == "__main__":
    main()
