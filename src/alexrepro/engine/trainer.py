"""What a run holds while it trains: network, velocities, step; how it starts and what its files say of it."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import torch

from alexrepro import __version__
from alexrepro.data.feed import batch_count
from alexrepro.data.store import Store
from alexrepro.data.views import Pixels
from alexrepro.engine import checkpoint
from alexrepro.engine.checkpoint import Checkpoint
from alexrepro.engine.evaluate import load_weights, save_pixels
from alexrepro.engine.machine import Machine
from alexrepro.engine.optimizer import Momentum
from alexrepro.engine.run import Run
from alexrepro.model.alexnet import AlexNet, build
from alexrepro.progress import say
from alexrepro.recipes.recipe import Recipe


@dataclass
class Trainer:
    """What a run holds while it trains."""

    run: Run
    recipe: Recipe
    store: Store
    validation: Store | None
    seed: int
    machine: Machine
    pixels: Pixels
    model: AlexNet
    momentum: Momentum
    step: int = 0
    saved_at: float = field(default_factory=time.monotonic)

    @property
    def updates_per_epoch(self) -> int:
        """Updates in an epoch; the last batch may be smaller."""
        return batch_count(len(self.store), self.recipe.training.batch)

    def save(self) -> None:
        """Write a checkpoint of this step."""
        weights = {name: tensor.detach() for name, tensor in self.model.named_kernels().items()}
        checkpoint.save(self.run.checkpoints, Checkpoint(self.step, weights, self.momentum.velocities))
        self.saved_at = time.monotonic()


def start(run: Run, recipe: Recipe, *, store: Store, validation: Store | None, seed: int, machine: Machine) -> Trainer:
    """Everything as it was at the run's newest checkpoint, or at the beginning."""
    model = build(recipe.network, seed=seed).to(machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    pixels = save_pixels(run, store).to(machine.device)
    momentum = Momentum(model, recipe.training)
    trainer = Trainer(run, recipe, store, validation, seed, machine, pixels, model, momentum)
    saved = checkpoint.newest(run.checkpoints)
    if saved is not None:
        load_weights(model, saved)
        momentum.load(saved.velocities)
        trainer.step = saved.step
        say(f"Continuing {run.folder} after update {saved.step:,}.")
    else:
        say(f"Training {recipe.name} on {store.path.name}: {recipe.training.epochs} epochs into {run.folder}.")
    run.forget_after(step=trainer.step, epoch=trainer.step // trainer.updates_per_epoch)
    return trainer


def result(trainer: Trainer) -> dict[str, Any]:
    """What the run reached: its last validation, or its last training loss when nothing was validated."""
    last = [float(row["loss"]) for row in trainer.run.metrics[-trainer.updates_per_epoch :]]
    final: dict[str, Any] = {"split": None, "loss": sum(last) / len(last), "top1_error": None, "top5_error": None}
    if trainer.run.validations:
        row = trainer.run.validations[-1]
        final = {"split": row["split"], **{name: float(row[name]) for name in ("loss", "top1_error", "top5_error")}}
    return {
        "steps": trainer.step,
        "epochs": trainer.recipe.training.epochs,
        "training_loss": sum(last) / len(last),
        "final": final,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def environment(
    recipe: Recipe, *, store: Store, validation: Store | None, seed: int, machine: Machine
) -> dict[str, Any]:
    """What a run is started with, for its environment.json."""
    stores = {"train": store.path.name, "validation": validation.path.name if validation else None}
    return {
        "alexrepro": __version__,
        "recipe": recipe.name,
        "digest": recipe.digest,
        "seed": seed,
        "dataset": store.manifest.dataset,
        "stores": stores,
        "updates_per_epoch": batch_count(len(store), recipe.training.batch),
        "classes": list(store.manifest.classes),
        "machine": machine.facts(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
