"""Does training start the same in bf16 as in float32? Three seeds of each, with the same batches and draws.

python benchmarks/precision.py STORE [--steps 300] [--seeds 3] [--recipe as-run-2012] [--out docs/results/NAME]

The loss of every step goes to NAME.csv as it is computed; printed are means over windows of steps per format, and
whether the formats differ more than the seeds.
"""

import argparse
import csv
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import count, islice
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

import torch
import torch.nn.functional as F
from scipy.stats import t

from alexrepro.data.loading.crops import training_crops
from alexrepro.data.loading.loader import Loader
from alexrepro.data.loading.sampling import Batch, training_plan
from alexrepro.data.store.store import Store
from alexrepro.device import Device, find_device
from alexrepro.evaluation.inference import pixels_of
from alexrepro.keys import key
from alexrepro.model.alexnet import build
from alexrepro.recipes.catalog import catalog
from alexrepro.recipes.recipe import Recipe
from alexrepro.training.optimizer import Momentum

FORMATS = ("float32", "bf16")
WINDOWS = 6
Losses = dict[tuple[str, int], list[float]]  # by format and seed


def batches(recipe: Recipe, store: Store, seed: int) -> Iterator[Batch]:
    with Loader(store, batch=recipe.training.batch, side_px=recipe.network.input_px) as loader:
        for epoch in count(1):
            plan = training_plan(
                len(store), seed=seed, epoch=epoch, augmentation=recipe.augmentation, side_px=recipe.network.input_px,
                shuffle_every_epoch=recipe.training.shuffle_every_epoch,
            )  # fmt: skip
            yield from loader.batches(plan)


def losses(recipe: Recipe, store: Store, *, seed: int, device: Device) -> Iterator[float]:
    """The loss before every step of a run with this seed, at the learning rates of the first epoch."""
    training = recipe.training
    model = build(recipe.network, seed=seed).to(device.torch_device, memory_format=torch.channels_last)
    forward, momentum = device.with_fast_norms(model), Momentum(model, training, compiles=device.compiles)
    rates = training.rates(recipe.network.stages, epoch=1)
    pixels = pixels_of(store).to(device.torch_device)
    for step, found in enumerate(batches(recipe, store, seed)):
        batch = found.to(device.torch_device)
        crops = training_crops(batch, pixels=pixels, augmentation=recipe.augmentation)
        masks = model.draw_masks(len(batch), key_of_step=key(seed, "dropout", step))
        with device.autocast(training):
            logits = forward(crops, masks)
        loss = F.cross_entropy(logits.float(), batch.labels)
        loss.backward()
        momentum.step(rates)
        yield loss.item()


def table(found: Losses, steps: int, seeds: int) -> str:
    width = max(1, steps // WINDOWS)
    lines = [
        f"| steps | {' | '.join(FORMATS)} | difference (95 %) | absolute, mean of the seeds |",
        "| --- | --- | --- | --- | --- |",
    ]
    for first in range(0, steps - width + 1, width):
        means = {name: [fmean(found[name, seed][first : first + width]) for seed in range(seeds)] for name in FORMATS}
        own = [bf16 - float32 for float32, bf16 in zip(means["float32"], means["bf16"], strict=True)]
        spread = {name: f" ± {stdev(values):.3f}" if seeds > 1 else "" for name, values in means.items()}
        cells = [f"{fmean(means[name]):.3f}{spread[name]}" for name in FORMATS]
        half = float(t.ppf(0.975, seeds - 1)) * stdev(own) / sqrt(seeds) if seeds > 1 else 0.0
        interval = f" ({fmean(own) - half:+.3f} to {fmean(own) + half:+.3f})" if seeds > 1 else ""
        size = fmean(abs(value) for value in own)
        lines.append(
            f"| {first + 1}–{first + width} | {' | '.join(cells)} | {fmean(own):+.3f}{interval} | {size:.3f} |"
        )
    return "\n".join(lines)


def main(asked: argparse.Namespace) -> None:
    store = Store.open(asked.store)
    recipe = catalog()[asked.recipe].recipe.for_classes(len(store.manifest.classes))
    device = find_device(asked.device, compiles=True)
    found: Losses = {}
    with asked.out.with_suffix(".csv").open("w", newline="", encoding="utf-8") if asked.out else nullcontext() as file:
        rows = csv.writer(file, lineterminator="\n") if file else None
        if rows:
            rows.writerow(("format", "seed", "step", "loss"))
        for seed in range(asked.seeds):
            for name in FORMATS:
                started, chosen = time.monotonic(), recipe.but({"training.precision": name})
                run = found[name, seed] = []
                for loss in islice(losses(chosen, store, seed=seed, device=device), asked.steps):
                    run.append(loss)
                    if rows:
                        rows.writerow((name, seed, len(run), f"{loss:.6f}"))
                pace = asked.steps * recipe.training.batch / (time.monotonic() - started)
                print(f"{name}, seed {seed}: {run[-1]:.3f}, {pace:.0f} images/s", file=sys.stderr)
    print(table(found, asked.steps, asked.seeds))
    print(
        f"\n{recipe.name} on {store.path.name}, batches of {recipe.training.batch}, {asked.steps} steps, "
        f"{asked.seeds} seeds; torch {torch.__version__}, {device.facts()['device']}, compiled: {device.compiles}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipe", default="as-run-2012")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    main(parser.parse_args())
