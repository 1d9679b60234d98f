"""Train recipes of Figure 1 at several learning rates, each until it reaches the printed training error (§3.1).

    python benchmarks/until_crossing.py figure-1-relu --rates 0.001 0.002 --seeds 0 1 2

Each run is an `alexrepro train` that is stopped by a signal at the end of the first epoch below the printed error and
stays in the folder of runs, from which `alexrepro report figure-1` reads it; existing runs are continued. Several run
in parallel, one thread each, which is faster on a CPU.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alexrepro.processors import usable_processors
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import Recipe, parse_changes
from alexrepro.reports.figures.curves import curves
from alexrepro.runs.run import run_of

POLL_SECONDS = 2.0
DATASET = "cifar10"


def train(recipe: Recipe, changes: Sequence[str], *, seed: int, runs: Path) -> str:
    """Train until the crossing or the last epoch; a line with the crossing."""
    run = run_of(runs, recipe, dataset=DATASET, seed=seed)
    command = [sys.executable, "-m", "alexrepro", "train", recipe.name, "--store", DATASET, "--runs", str(runs)]
    command += ["--seed", str(seed), "--no-compile", *(f"--set={change}" for change in changes)]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}

    def found() -> float | None:
        known = curves([run]) if run.metrics_file.exists() else ()  # none before the first epoch is complete
        return next((curve.crossing for curve in known), None)

    if found() is None:
        log = run.folder.parent / f"{run.folder.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output, subprocess.Popen(command, env=alone, stdout=output, stderr=output) as process:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                if found() is not None:
                    process.send_signal(signal.SIGTERM)
                    process.wait()
    return f"{recipe.name} {' '.join(changes)} seed {seed}: crossing {found()}"


def main() -> None:
    """Train every combination and print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--rates", type=float, nargs="+", help="learning rates of weights; biases have twice as much")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--set", dest="changes", action="append", default=[])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--side-by-side", type=int, default=usable_processors())
    asked = parser.parse_args()
    recipe = find_recipe(asked.recipe)
    with ThreadPoolExecutor(asked.side_by_side) as pool:
        waiting = []
        for seed in asked.seeds:
            for rate in asked.rates or [recipe.training.learning_rate]:
                changes = [
                    f"training.learning_rate={rate!r}",
                    f"training.bias_learning_rate={2 * rate!r}",
                    *asked.changes,
                ]
                varied = recipe.but(parse_changes(changes))
                waiting.append(pool.submit(train, varied, changes, seed=seed, runs=asked.runs))
        for line in waiting:
            print(line.result(), flush=True)


if __name__ == "__main__":
    main()
