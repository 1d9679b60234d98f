"""How far images move the logits of runs, and how far the loss moves conv1, before the first update and after the last.

python benchmarks/run_signals.py STORE [LABEL=]RUN ...   (STORE: the one that the runs were trained on)

Deviation: of one unit over a batch, averaged over the units; with and without training it is the batch of update 1.
"""

import argparse
from pathlib import Path

import torch
from loss_curve import labeled
from signals import first_crops

from alexrepro.data.store.store import Store
from alexrepro.device import find_device
from alexrepro.evaluation.load_run import load_network
from alexrepro.model.alexnet import AlexNet, build
from alexrepro.runs.run import Run
from alexrepro.training.activation_stats import ActivationStats, activation_stats

SHOWN = (("fc7", "activation_mean"), ("fc7", "activation_std"), ("fc8", "activation_std"))
HEADING = "| run | update | fc7: mean | fc7: deviation | logits: deviation | conv1: next update |"


def networks(run: Run) -> dict[int, AlexNet]:
    """The run's network before training and at its last checkpoint, by update."""
    trained, updates = load_network(run, device=find_device("cpu", compiles=False))
    return {0: build(run.recipe.network, seed=run.environment["seed"]), updates: trained}


def cells(found: ActivationStats, learning_rate: float) -> str:
    """The shown figures as cells of a table."""
    stages = {stage.stage: stage for stage in found.stages}
    figures = [f"{getattr(stages[stage], quantity):.2g}" for stage, quantity in SHOWN]
    return " | ".join([*figures, f"{100 * stages['conv1'].update_ratio(learning_rate):.2g} %"])


def main() -> None:
    """Print two rows for each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("runs", nargs="+", help="[LABEL=]RUN")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    store = Store.open(asked.store)
    print(f"{HEADING}\n|{' --- |' * (HEADING.count('|') - 1)}")
    for text in asked.runs:
        label, run = labeled(text)
        crops, labels = first_crops(store, run.recipe, seed=run.environment["seed"])
        for update, model in networks(run).items():
            found = activation_stats(model, crops, labels)
            print(f"| {label} | {update:,} | {cells(found, run.recipe.training.learning_rate)} |", flush=True)


if __name__ == "__main__":
    main()
