"""What a recorded training step costs the host, on the null GPU of the tests: no GPU is needed.

python -m benchmarks.host_time [--recipes tiny as-run-2012] [--precision bf16] [--batch 128] [--steps 200]

Each recipe trains in a process of its own on batches that are on the device. Printed: milliseconds of the training
thread per step, without a driver's own work, as CPU time, which other programs change little, and on the clock; and
what the device is asked for.
"""

import argparse
import ctypes
import json
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch

from alexrepro.data.loading.crops import Pixels
from alexrepro.data.loading.sampling import Batch, Draws
from alexrepro.device import find_device
from alexrepro.model.alexnet import build
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.fast_step import Source, fast_training
from alexrepro.training.optimizer import make_optimizer

WARM_UPS = 20
KINDS = {"launches": ("launch", "graph"), "copies": ("h2d", "d2h", "d2d"), "synchronizations": ("sync",)}


def batch_of(recipe: Recipe, device: torch.device) -> Batch:
    """A batch as the loader gives it."""
    images, side_px = recipe.training.batch, recipe.network.input_px
    flips = torch.zeros(images, dtype=torch.bool)
    draws = Draws(torch.arange(images), torch.zeros(images, 2, dtype=torch.int64), flips, torch.zeros(images, 3))
    crops = torch.zeros(images, side_px, side_px, 3, dtype=torch.uint8).permute(0, 3, 1, 2)
    return Batch(0, draws, crops, torch.zeros(images, dtype=torch.int64)).to(device)


def milliseconds(recipe: Recipe, steps: int) -> tuple[list[float], list[float]]:
    """Of CPU time and on the clock, per step, each marked in the log. Raises RuntimeError if none is recorded."""
    mark = ctypes.CDLL(None).null_gpu_mark
    device = find_device("cuda", compiles=True)
    model = build(recipe.network, seed=0).to(device.torch_device, memory_format=torch.channels_last)
    optimizer = make_optimizer(model, recipe.training, compiles=True)
    rates = recipe.training.rates(recipe.network.stages, epoch=1)
    optimizer.freeze(rates)
    pixels = Pixels(torch.zeros(3, 256, 256), torch.ones(3), torch.eye(3)).to(device.torch_device)
    training = fast_training(Source(model, optimizer, pixels, recipe, recipe.augmentation), device, seed=0)
    first, second = batch_of(recipe, device.torch_device), batch_of(recipe, device.torch_device)
    images, processor, clock = recipe.training.batch, [], []
    for step in range(WARM_UPS + steps):
        batch = second if step % 2 else first
        mark(b"step" if step >= WARM_UPS else b"warm-up", 0)
        started = time.thread_time(), time.perf_counter()
        if training is None or not training.is_ready(
            batch, images=images, rates=rates, augmentation=recipe.augmentation
        ):
            raise RuntimeError("The step was not recorded.")
        training(batch, step=step)
        processor.append((time.thread_time() - started[0]) * 1e3)
        clock.append((time.perf_counter() - started[1]) * 1e3)
    mark(b"end", 0)
    return processor[WARM_UPS:], clock[WARM_UPS:]


def main(asked: argparse.Namespace) -> None:
    from tests.gpu.null_gpu import NullGpu, build, steps

    columns = ["recipe", "CPU ms, median", "ms, median", *KINDS]
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    with TemporaryDirectory() as folder:
        gpu = NullGpu(build(Path(folder)), Path(folder), most_seconds=900)
        for name in asked.recipes:
            given = ["--recipes", name, "--precision", asked.precision, "--batch", asked.batch, "--steps", asked.steps]
            environment = {"NULL_GPU_NO_COPIES": "1", "TRITON_DEFAULT_FP_FUSION": "1"}
            ended = gpu.python(Path(__file__).resolve(), "--here", *given, **environment)
            if ended.code:
                sys.exit(ended.err)
            times, counts = json.loads(ended.out), Counter(event.kind for step in steps(ended.events) for event in step)
            per_step = (sum(counts[kind] for kind in kinds) / asked.steps for kinds in KINDS.values())
            cells = [*(f"{median(each):.3f}" for each in times), *(f"{each:.2f}" for each in per_step)]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print(f"\n{asked.precision}, batch {asked.batch}, {asked.steps} steps; torch {torch.__version__}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=["tiny", "as-run-2012"])
    parser.add_argument("--precision", default="bf16", choices=("float32", "tf32", "bf16"))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--here", action="store_true", help="in this process, on whatever CUDA is; prints JSON")
    asked = parser.parse_args()
    if asked.here:
        changes = {"training.precision": asked.precision, "training.batch": asked.batch}
        print(json.dumps(milliseconds(find_recipe(asked.recipes[0]).but(changes), asked.steps)))
    else:
        main(asked)
