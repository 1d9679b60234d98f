"""What a run holds while it trains: network, velocities, step; how it starts and what its files say of it."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor

from alexrepro import __version__
from alexrepro.data.loading.crops import Pixels
from alexrepro.data.loading.sampling import EpochPlan, batch_count, training_plan
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.distributed.collectives import Gradients, StopConsensus
from alexrepro.distributed.process_group import ProcessGroup
from alexrepro.evaluation.load_run import load_weights, save_pixels
from alexrepro.model.alexnet import AlexNet, build
from alexrepro.progress import say
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs import checkpoint
from alexrepro.runs.checkpoint import KEPT, Checkpoint
from alexrepro.runs.disk_space import check_room
from alexrepro.runs.run import Run
from alexrepro.training.advice import at_half_the_rates
from alexrepro.training.divergence import FlatLoss, not_finite_weights
from alexrepro.training.fine_tune import inherit
from alexrepro.training.job import TrainingJob
from alexrepro.training.loggers import Log, open_log
from alexrepro.training.optimizer import Momentum


@dataclass
class Trainer:
    """What a run holds while it trains."""

    run: Run
    recipe: Recipe
    store: Store
    validation: Store | None
    seed: int
    device: Device
    pixels: Pixels
    model: AlexNet
    momentum: Momentum
    group: ProcessGroup
    gradients: Gradients
    stop_consensus: StopConsensus
    forward: Callable[..., Tensor]  # compiled where that pays
    step: int = 0
    flat: FlatLoss | None = None  # watches for a loss at chance
    saved_at: float = field(default_factory=time.monotonic)
    keep: int = KEPT  # so many checkpoints
    log: Log = field(default_factory=Log)

    @property
    def updates_per_epoch(self) -> int:
        """Updates in an epoch; the last batch may be smaller."""
        return batch_count(len(self.store), self.recipe.training.batch)

    @property
    def is_unvalidated(self) -> bool:
        """Whether the last update ended an epoch that was not validated, since the run was asked to stop."""
        epoch, updates = divmod(self.step, self.updates_per_epoch)
        if self.validation is None or epoch == 0 or updates > 0:
            return False
        return str(epoch) not in (row["epoch"] for row in self.run.validations)

    def plan(self, epoch: int) -> EpochPlan:
        """The order and the draws of an epoch."""
        return training_plan(
            len(self.store), seed=self.seed, epoch=epoch, augmentation=self.recipe.augmentation,
            side_px=self.recipe.network.input_px, shuffle_every_epoch=self.recipe.training.shuffle_every_epoch,
        )  # fmt: skip

    def shown_at(self, step: int) -> list[str]:
        """The names of the images that an update was made from, of all replicas together."""
        training, per_epoch = self.recipe.training, self.updates_per_epoch
        epoch, first = (step - 1) // per_epoch + 1, (step - 1) % per_epoch * training.batch
        rows = self.plan(epoch).draws.rows[first : first + training.batch]
        return [self.store.name(row) for row in rows.tolist()]

    @property
    def at_half_the_rates(self) -> str:
        """What to do if the training diverges; empty on ranks that do not say it."""
        return at_half_the_rates(self.run, store=self.store, seed=self.seed) if self.group.is_first else ""

    def add_metrics(self, rows: Iterable[Sequence[object]]) -> None:
        """Write rows of updates, and tell the loggers of them."""
        rows = list(rows)
        self.run.add_metrics(rows)
        self.log.updates(rows)

    def add_validation(self, row: Sequence[object]) -> None:
        """Write the row of a validation, and tell the loggers of it."""
        self.run.add_validation(row)
        self.log.validation(self.step, row)

    def save(self) -> None:
        """Write a checkpoint of this step: the first rank, of whole tensors; every rank must ask.

        Raises UserError, on every rank and before anything is written, if a weight or velocity is not finite.
        """
        wild: list[str] = []
        if self.group.shard[0] == 0:
            weights, velocities = self._whole(self.model.named_kernels()), self._whole(self.momentum.velocities)
            if self.group.is_first:
                wild = [name for name, velocity in velocities.items() if not _are_finite(weights[name], velocity)]
        wild = self.group.broadcast(wild)
        if wild:
            raise self.group.abort(not_finite_weights(wild, self.step, fix=self.at_half_the_rates))
        if self.group.is_first:
            self.run.sync_rows()
            checkpoint.save(self.run.checkpoints, Checkpoint(self.step, weights, velocities), keep=self.keep)
        self.group.barrier()
        self.saved_at = time.monotonic()

    def _whole(self, shares: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: self.model.gather_full(name, share.detach()) for name, share in shares.items()}


def _are_finite(*tensors: Tensor) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def start(job: TrainingJob) -> Trainer:
    """Everything as it was at the newest checkpoint, or at the beginning, with stages of the source if there is one.

    Every rank begins with the whole network, as the first one has it, and keeps its share.
    Raises UserError if the disk has no room for the checkpoints.
    """
    run, recipe, group, device = job.run, job.recipe, job.group, job.device
    loggers = open_log(run, job.log) if group.is_first else Log()  # before rows are dropped that come again
    whole = build(recipe.network, seed=job.seed)
    kernels = whole.named_kernels()
    velocities = {name: torch.zeros_like(kernel) for name, kernel in kernels.items()}
    step = 0
    if group.is_first:
        step = _begin(whole, velocities, job)
        check_room(run, recipe, updates=recipe.training.epochs * job.steps_per_epoch, keep=job.keep)
    step = group.broadcast(step)
    group.broadcast_tensors([*(kernel.detach() for kernel in kernels.values()), *velocities.values()])
    model = whole.held_by(group.towers).to(device.torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    momentum = Momentum(model, recipe.training, compiles=device.compiles)
    momentum.load({name: model.rows_of(name, velocity) for name, velocity in velocities.items()})
    pixels = group.broadcast(save_pixels(run, job.store) if group.is_first else None)
    assert pixels is not None
    return Trainer(
        run, recipe, job.store, job.validation, job.seed, device, pixels.to(device.torch_device), model, momentum,
        group, Gradients(model, group), StopConsensus(group), device.compiled(model), step, keep=job.keep, log=loggers,
    )  # fmt: skip


def _begin(whole: AlexNet, velocities: Mapping[str, Tensor], job: TrainingJob) -> int:
    """The updates of the newest checkpoint, once its weights and velocities are in place; 0 if there is none."""
    run, recipe = job.run, job.recipe
    saved = checkpoint.recover(run.checkpoints, keep=job.keep)
    if saved is not None:
        load_weights(whole, saved)
        for name, velocity in velocities.items():
            velocity.copy_(saved.velocities[name])
        say(f"Continuing {run.folder} after update {saved.step:,}.")
    else:
        if job.source is not None:  # a run that continues another has its checkpoint by now
            inherit(whole, job.source, recipe.training.init_from_stages)
        say(f"Training {recipe.name} on {job.store.path.name}: {recipe.training.epochs} epochs into {run.folder}.")
    step = saved.step if saved else 0
    run.forget_after(step=step, epoch=step // job.steps_per_epoch)
    return step


def result(trainer: Trainer) -> dict[str, Any]:
    """What the run reached: the validation of its last epoch, or its training loss where that was not validated."""
    loss, epochs = trainer.run.last_epoch_loss, trainer.recipe.training.epochs
    final: dict[str, Any] = {"split": None, "loss": loss, "top1_error": None, "top5_error": None}
    for row in (row for row in trainer.run.validations if row["epoch"] == str(epochs)):
        final = {"split": row["split"], **{name: float(row[name]) for name in ("loss", "top1_error", "top5_error")}}
    return {
        "steps": trainer.step,
        "epochs": epochs,
        "training_loss": loss,
        "final": final,
        "began_with": trainer.run.environment.get("began_with"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def shared_facts(job: TrainingJob) -> dict[str, str]:
    """What must be the same on every rank."""
    return {
        "alexrepro": __version__,
        "torch": torch.__version__,
        "the recipe": f"{job.recipe.name} {job.recipe.digest}",
        "the seed": str(job.seed),
        "the store": job.store.manifest.digest,
        "--allow-flat-loss": str(job.allow_flat_loss),
    }


def environment(job: TrainingJob) -> dict[str, Any]:
    """What a run is started with, for its environment.json."""
    used = {"train": job.store, "validation": job.validation}
    return {
        "alexrepro": __version__,
        "recipe": job.recipe.name,
        "digest": job.recipe.digest,
        "seed": job.seed,
        "dataset": job.store.manifest.dataset,
        "stores": {split: found.path.name if found else None for split, found in used.items()},
        "folders": {split: str(found.path.parent.absolute()) for split, found in used.items() if found},
        "began_with": None,
        "updates_per_epoch": job.steps_per_epoch,
        "classes": list(job.store.manifest.classes),
        "machine": {**job.device.facts(), **job.group.facts()},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
