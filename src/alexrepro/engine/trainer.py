"""What a run holds while it trains: network, velocities, step; how it starts and what its files say of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor

from alexrepro import __version__
from alexrepro.data.feed import batch_count
from alexrepro.data.plan import Plan, training_plan
from alexrepro.data.store import Store
from alexrepro.data.views import Pixels
from alexrepro.engine import checkpoint
from alexrepro.engine.checkpoint import Checkpoint
from alexrepro.engine.cluster import Cluster
from alexrepro.engine.collectives import Gradients, Votes
from alexrepro.engine.evaluate import load_weights, save_pixels
from alexrepro.engine.guards import FlatLoss
from alexrepro.engine.inherit import inherit, origin
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
    cluster: Cluster
    gradients: Gradients
    votes: Votes
    forward: Callable[..., Tensor]  # the model as the machine runs it
    step: int = 0
    flat: FlatLoss | None = None  # watches for a loss at chance
    saved_at: float = field(default_factory=time.monotonic)

    @property
    def updates_per_epoch(self) -> int:
        """Updates in an epoch; the last batch may be smaller."""
        return batch_count(len(self.store), self.recipe.training.batch)

    def plan(self, epoch: int) -> Plan:
        """What every position of an epoch shows."""
        return training_plan(
            len(self.store), seed=self.seed, epoch=epoch, augmentation=self.recipe.augmentation,
            side_px=self.recipe.network.input_px, reshuffles=self.recipe.training.reshuffles,
        )  # fmt: skip

    def shown_at(self, step: int) -> list[str]:
        """The names of the images that an update was made from, of all replicas together."""
        training, per_epoch = self.recipe.training, self.updates_per_epoch
        epoch, place = (step - 1) // per_epoch + 1, (step - 1) % per_epoch * training.batch
        return [self.store.name(int(row)) for row in self.plan(epoch).order[place : place + training.batch]]

    def save(self) -> None:
        """Write a checkpoint of this step: the first rank, of whole tensors; every rank must ask."""
        if self.cluster.share[0] == 0:
            weights, velocities = self._whole(self.model.named_kernels()), self._whole(self.momentum.velocities)
            if self.cluster.is_first:
                checkpoint.save(self.run.checkpoints, Checkpoint(self.step, weights, velocities))
        self.cluster.meet()
        self.saved_at = time.monotonic()

    def _whole(self, shares: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: self.model.whole(name, share.detach()) for name, share in shares.items()}


def start(
    run: Run, recipe: Recipe, *, store: Store, validation: Store | None, seed: int, machine: Machine,
    cluster: Cluster, source: Run | None = None,
) -> Trainer:  # fmt: skip
    """Everything as it was at the newest checkpoint, or at the beginning, with stages of `source` if one is given.

    Every rank begins with the whole network, as the first one has it, and keeps its share.
    """
    whole = build(recipe.network, seed=seed)
    kernels = whole.named_kernels()
    velocities = {name: torch.zeros_like(kernel) for name, kernel in kernels.items()}
    step = 0
    if cluster.is_first:
        step = _begin(whole, velocities, run=run, recipe=recipe, store=store, source=source)
    step = cluster.first(step)
    cluster.spread([*(kernel.detach() for kernel in kernels.values()), *velocities.values()])
    model = whole.held_by(cluster.wire).to(machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    momentum = Momentum(model, recipe.training, compiles=machine.compiles)
    momentum.load({name: model.share(name, velocity) for name, velocity in velocities.items()})
    pixels = cluster.first(save_pixels(run, store) if cluster.is_first else None)
    assert pixels is not None
    return Trainer(
        run, recipe, store, validation, seed, machine, pixels.to(machine.device), model, momentum, cluster,
        Gradients(model, cluster), Votes(cluster), machine.ready(model), step,
    )  # fmt: skip


def _begin(
    whole: AlexNet, velocities: Mapping[str, Tensor], *, run: Run, recipe: Recipe, store: Store, source: Run | None
) -> int:
    """The updates of the newest checkpoint, once its weights and velocities are in place; 0 if there is none."""
    saved = checkpoint.newest(run.checkpoints)
    if saved is not None:
        load_weights(whole, saved)
        for name, velocity in velocities.items():
            velocity.copy_(saved.velocities[name])
        say(f"Continuing {run.folder} after update {saved.step:,}.")
    else:
        if source is not None:
            inherit(whole, source, recipe.training.begins_with)
        say(f"Training {recipe.name} on {store.path.name}: {recipe.training.epochs} epochs into {run.folder}.")
    step = saved.step if saved else 0
    run.forget_after(step=step, epoch=step // batch_count(len(store), recipe.training.batch))
    return step


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
    recipe: Recipe, *, store: Store, validation: Store | None, seed: int, machine: Machine, cluster: Cluster,
    source: Run | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What a run is started with, for its environment.json."""
    stores = {"train": store.path.name, "validation": validation.path.name if validation else None}
    return {
        "alexrepro": __version__,
        "recipe": recipe.name,
        "digest": recipe.digest,
        "seed": seed,
        "dataset": store.manifest.dataset,
        "stores": stores,
        "began_with": origin(source),
        "updates_per_epoch": batch_count(len(store), recipe.training.batch),
        "classes": list(store.manifest.classes),
        "machine": {**machine.facts(), **cluster.facts()},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
