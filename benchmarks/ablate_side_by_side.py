"""Train and evaluate the networks of an ablation in parallel, one thread each, which is faster on a CPU.

    python benchmarks/ablate_side_by_side.py no-norm tanh --base as-run-2012 --store stores --seeds 0 1 2 --epochs 6

The runs are those of `alexrepro ablate` with the same options, which then finds them complete
and prints the table.
"""

import argparse
import multiprocessing
import os
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

from alexrepro.cli.choose import choose_recipe
from alexrepro.cli.stores import labeled_store, store_of, validation_store
from alexrepro.device import find_device
from alexrepro.errors import UserError
from alexrepro.paper.results import Crops
from alexrepro.processors import usable_processors
from alexrepro.recipes.recipe import Recipe
from alexrepro.recipes.variations import find_variation, trials_of
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import ablate


def ablated(recipe: Recipe, crops: Crops, seed: int, store: Path, runs: Path) -> str:
    """Train and evaluate one network with one seed; a line with its errors, or why it failed."""
    images = store_of("train", store)
    validation = validation_store(images)
    test = labeled_store(images.manifest.dataset, recipe, classes=images.manifest.classes, folder=images.path.parent)
    device = find_device("cpu", compiles=True)
    job = TrainingJob(recipe, store=images, validation=validation, runs=runs, seed=seed, device=device)
    [e] = ablate([(recipe, crops)], job, test=test, seeds=[seed])
    if isinstance(e, UserError):
        return f"{recipe.name} seed {seed}: {e.what}"
    return f"{recipe.name} seed {seed}: top-1 {100 * e.top1_error:.2f} %, top-5 {100 * e.top5_error:.2f} %"


def main() -> None:
    """Train the variations and their base, and print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variations", nargs="+")
    parser.add_argument("--base", required=True)
    parser.add_argument("--store", type=Path, required=True, help="folder of stores, or a training store")
    parser.add_argument("--set", dest="changes", action="append", default=[])
    parser.add_argument("--epochs", type=int, help="squeeze the schedule into as many")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--side-by-side", type=int, default=usable_processors())
    asked = parser.parse_args()
    images = store_of("train", asked.store)
    dataset, classes = images.manifest.dataset, len(images.manifest.classes)
    base = choose_recipe(asked.base, dataset=dataset, changes=asked.changes, epochs=asked.epochs).for_classes(classes)
    trials = trials_of(base, [find_variation(name) for name in asked.variations])
    os.environ["OMP_NUM_THREADS"] = "1"  # in the processes started from here
    pool = ProcessPoolExecutor(
        asked.side_by_side, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1
    )
    with pool:
        waiting: list[Future[str]] = [
            pool.submit(ablated, recipe, crops, seed, asked.store, asked.runs)
            for seed in asked.seeds
            for recipe, crops in trials
        ]
        for line in waiting:
            print(line.result(), flush=True)


if __name__ == "__main__":
    main()
