"""Activations and gradients at the first step of every recipe, on real images, and single changes between recipes.

python benchmarks/signals.py STORE [--json] [--out docs/results/step-0]   (writes NAME.csv and NAME.svg)
python benchmarks/signals.py STORE --runs [LABEL=]RUN ...

--runs: how far images move the logits of runs, and how far the loss moves conv1, before the first step and after the
last; STORE is the one that they were trained on. Deviation: of one unit over a batch, averaged over the units.
"""

import argparse
import csv
import json
import sys
import time
from collections.abc import Iterator
from math import log
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
import torch.nn.functional as F
from activations import ActivationStats, activation_stats
from loss_curve import labeled
from matplotlib.figure import Figure
from variants import VARIANTS, Variant

from alexrepro.data.loading.crops import training_crops
from alexrepro.data.loading.loader import Loader
from alexrepro.data.loading.sampling import training_plan
from alexrepro.data.store.store import Store
from alexrepro.device import find_device
from alexrepro.evaluation.inference import load_network, pixels_of
from alexrepro.keys import key
from alexrepro.model.alexnet import AlexNet, build
from alexrepro.recipes.catalog import AS_PRINTED
from alexrepro.recipes.recipe import Recipe
from alexrepro.reports.figures.plot import INK, line, style, write
from alexrepro.runs.run import Run

SEEDS = (0, 1, 2)
CONVS, FULL = tuple(f"conv{i}" for i in range(1, 6)), ("fc6", "fc7", "fc8")
Row = dict[str, Any]


def first_crops(store: Store, recipe: Recipe, *, seed: int, epoch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Crops and labels of an epoch's first batch; the same images for every recipe and epoch."""
    plan = training_plan(
        len(store), seed=seed, epoch=epoch, augmentation=recipe.augmentation, side_px=recipe.network.input_px,
        shuffle_every_epoch=False,
    )  # fmt: skip
    with Loader(store, batch=recipe.training.batch, side_px=recipe.network.input_px) as loader:
        batch = next(loader.batches(plan))
    crops = training_crops(batch, pixels=pixels_of(store), augmentation=recipe.augmentation)
    return crops, batch.labels


def measure(variant: Variant, store: Store, *, seed: int) -> tuple[ActivationStats, float, Recipe]:
    """Statistics without dropout, and the loss with the dropout masks of the first step."""
    recipe = variant.base.but(variant.but)
    crops, labels = first_crops(store, recipe, seed=seed)
    crops = crops.contiguous(memory_format=torch.channels_last)
    model = build(recipe.network, seed=seed).to(memory_format=torch.channels_last)
    with torch.no_grad():
        logits = model(crops, model.draw_masks(len(crops), key_of_step=key(seed, "dropout", 0)))
    return activation_stats(model, crops, labels), F.cross_entropy(logits, labels).item(), recipe


def rows_of(store: Store) -> Iterator[Row]:
    for variant in VARIANTS:
        for seed in SEEDS:
            since = time.monotonic()
            found, dropped_loss, recipe = measure(variant, store, seed=seed)
            for stage in found.stages:
                yield {
                    "recipe": variant.name, "seed": seed, "stage": stage.stage,
                    **{name: getattr(stage, name) for name in stage.__dataclass_fields__ if name != "stage"},
                    "update_ratio": stage.update_ratio(recipe.training.learning_rate),
                    "loss": found.loss, "loss_with_dropout": dropped_loss,
                }  # fmt: skip
            print(f"{variant.name}, seed {seed}: {time.monotonic() - since:.1f} s", file=sys.stderr, flush=True)


def draw(rows: list[Row], path: Path) -> None:
    """Activation and gradient by stage for the recipes that differ most."""
    shown = (
        "as-run-2012", "as-printed", "printed, 0.03 in conv3-5", "printed, biases 0.1", "printed, pixels / 57.5",
        "printed, torch's weights, biases 0, pixels / 57.5",
    )  # fmt: skip
    stages = (*CONVS, *FULL)
    panels = {
        "activation_std": "activation: deviation over the images",
        "update_ratio": "first step relative to the weights",
    }
    with style():
        figure = Figure(figsize=(13, 6))
        for axes, (quantity, label) in zip(figure.subplots(1, 2), panels.items(), strict=True):
            for number, name in enumerate(shown):
                found = [mean(rows, name, stage, quantity) for stage in stages]
                axes.plot(stages, found, label=name if quantity == "update_ratio" else None, **line(number))
            axes.set(yscale="log", ylabel=label)
            axes.yaxis.set_major_formatter("{x:g}")
            axes.tick_params(axis="x", labelsize=10)
        decay = AS_PRINTED.training.weight_decay * AS_PRINTED.training.learning_rate
        axes.axhline(decay, color=INK, linestyle=(0, (1, 3)), label="weight decay")
        figure.legend(loc="outside lower center", ncols=3)
    write(figure, path, title="Activations and the first step by stage")


def values(rows: list[Row], name: str, stage: str, quantity: str) -> list[float]:
    return [row[quantity] for row in rows if row["recipe"] == name and row["stage"] == stage]


def mean(rows: list[Row], name: str, stage: str, quantity: str) -> float:
    return fmean(values(rows, name, stage, quantity))


def table(rows: list[Row], quantity: str, stages: tuple[str, ...]) -> str:
    """Means over the seeds, one line per recipe."""
    lines = [f"| recipe | {' | '.join(stages)} |", "| --- |" + " --- |" * len(stages)]
    for variant in VARIANTS:
        cells = [f"{mean(rows, variant.name, stage, quantity):.2g}" for stage in stages]
        lines.append(f"| {variant.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def summary(rows: list[Row]) -> str:
    lines = ["| recipe | fc7 mean | fc7 deviation | logits | loss | loss with dropout | conv1 step | conv3 step |"]
    lines.append("| --- |" + " --- |" * 7)
    for variant in VARIANTS:
        cells = [
            f"{fmean(found):.{digits}g} ± {stdev(found):.1g}"
            for stage, quantity, digits in (
                ("fc7", "activation_mean", 3), ("fc7", "activation_std", 2), ("fc8", "activation_std", 2),
                ("fc8", "loss", 4), ("fc8", "loss_with_dropout", 4),
                ("conv1", "update_ratio", 2), ("conv3", "update_ratio", 2),
            )
            for found in [values(rows, variant.name, stage, quantity)]
        ]  # fmt: skip
        lines.append(f"| {variant.name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"ln 1000 = {log(1000):.4f}; mean ± deviation over seeds {SEEDS}"])


OF_RUNS = (("fc7", "activation_mean"), ("fc7", "activation_std"), ("fc8", "activation_std"))
HEADING = "| run | step | fc7: mean | fc7: deviation | logits: deviation | conv1: next step |"


def networks(run: Run) -> dict[int, AlexNet]:
    """The run's network before training and at its last checkpoint, by step."""
    trained, step = load_network(run, device=find_device("cpu", compiles=False))
    return {0: build(run.recipe.network, seed=run.environment["seed"]), step: trained}


def cells(found: ActivationStats, learning_rate: float) -> str:
    """The figures of a run as cells of a table."""
    stages = {stage.stage: stage for stage in found.stages}
    figures = [f"{getattr(stages[stage], quantity):.2g}" for stage, quantity in OF_RUNS]
    return " | ".join([*figures, f"{100 * stages['conv1'].update_ratio(learning_rate):.2g} %"])


def print_runs(store: Store, texts: list[str]) -> None:
    """Print two rows for each run."""
    print(f"{HEADING}\n|{' --- |' * (HEADING.count('|') - 1)}")
    for text in texts:
        label, run = labeled(text)
        crops, labels = first_crops(store, run.recipe, seed=run.environment["seed"])
        for step, model in networks(run).items():
            found = activation_stats(model, crops, labels)
            print(f"| {label} | {step:,} | {cells(found, run.recipe.training.learning_rate)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", nargs="+", metavar="[LABEL=]RUN")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.runs:
        print_runs(Store.open(asked.store), asked.runs)
        return
    rows = list(rows_of(Store.open(asked.store)))
    if asked.out:
        with asked.out.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
        draw(rows, asked.out.with_suffix(".svg"))
    if asked.json:
        print(json.dumps({"torch": torch.__version__, "threads": asked.threads, "rows": rows}))
        return
    print(summary(rows))
    for quantity in ("activation_mean", "activation_std", "gradient_rms", "update_ratio"):
        print(f"\n{quantity}\n\n{table(rows, quantity, (*CONVS, *FULL))}")


if __name__ == "__main__":
    main()
