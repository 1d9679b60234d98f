"""How fast the networks of CIFAR-10 train on a processor, and where a step's time goes.

python benchmarks/cifar_step.py STORE [--recipes cifar-18pct cifar-13pct] [--steps 20] [--rounds 3]

Images a second of a full step with its loader, for one thread and all, in turns, as medians; and the share of one
thread's time that is not in the convolutions and their gradients, which are timed alone on the same maps. Locally
connected and full layers count as outside.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from alexrepro.data.loading.loader import Loader
from alexrepro.data.loading.sampling import Batch
from alexrepro.data.store.store import Store
from alexrepro.device import find_device
from alexrepro.processors import usable_processors
from alexrepro.recipes.catalog import find_recipe
from alexrepro.runs.run import Run
from alexrepro.training import train
from alexrepro.training.job import TrainingJob
from alexrepro.training.state import TrainingState, start

RECIPES = ["cifar-18pct", "figure-1-relu", "figure-1-tanh", "cifar-13pct", "figure-1-relu-b", "cifar-11pct"]


def timed(work: Callable[[], None]) -> float:
    """The seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class Timed(TrainingState):
    """The state of a training that writes nothing and ends after some batches of its first epoch."""

    def save(self, *, stopped_by: int = 0) -> None:
        pass


def state_of(recipe_name: str, store: Store, folder: Path) -> Timed:
    """A training that has not begun."""
    recipe, device = find_recipe(recipe_name).but({"training.epochs": 1}), find_device("cpu")
    job = TrainingJob(recipe, store=store, validation=None, runs=folder, seed=0, device=device).fitted()
    job.run.begin(job.recipe, job.environment())
    return Timed(**vars(start(job)))


def steps(state: Timed, loader: Loader, number: int) -> int:
    """A number of steps; the images that they were made from."""
    batches, taken = loader.batches, list[Batch]()

    def some(*arguments: Any, **named: Any) -> Iterator[Batch]:
        for batch in islice(batches(*arguments, **named), number):
            taken.append(batch)
            yield batch

    state.step = 0
    with mock.patch.object(loader, "batches", some), mock.patch.object(Run, "add_metrics"):
        train._train_epochs(state, loader)
    return sum(len(batch) for batch in taken)


def convolutions(state: Timed, loader: Loader) -> Callable[[], None]:
    """What computes the convolutions of one update and their gradients, and nothing else."""
    calls: list[tuple[Tensor, tuple[Any, ...], dict[str, Any]]] = []
    real = F.conv2d

    def noted(x: Tensor, *others: Any, **settings: Any) -> Tensor:
        if others[0].requires_grad:  # not the sums of a norm
            calls.append((x.detach().requires_grad_(x.requires_grad), others, settings))
        return real(x, *others, **settings)

    with mock.patch.object(F, "conv2d", noted):
        steps(state, loader, 1)

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
        state = state_of(name, store, Path(folder))
        batch, side_px = state.job.recipe.training.batch, state.job.recipe.network.input_px
        with Loader(store, batch=batch, side_px=side_px) as loader:
            for _ in range(rounds):
                for threads, found in paces.items():
                    torch.set_num_threads(threads)
                    steps(state, loader, 2)
                    began = time.perf_counter()
                    found.append(steps(state, loader, number) / (time.perf_counter() - began))
            torch.set_num_threads(1)
            of_convolutions = convolutions(state, loader)
            seconds = [timed(of_convolutions) for _ in range(number)]
    share = median(seconds) * median(paces[1]) / batch
    cells = [
        f"`{name}`",
        *(f"{median(found):,.0f}" for found in paces.values()),
        f"{100 * (1 - share):.0f} %",
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
