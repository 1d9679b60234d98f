"""What a run holds while it trains: model, optimizer and step; how it starts or continues, and what it saves."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from math import inf
from signal import Signals
from typing import Any, NamedTuple

import torch
from torch import Tensor

from alexrepro.data.loading.crops import Pixels
from alexrepro.data.loading.loader import Loader
from alexrepro.data.loading.sampling import EpochPlan, of_some, training_plan
from alexrepro.distributed.gradients import Gradients
from alexrepro.distributed.process_group import StopConsensus
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.inference import newest_checkpoint, pixels_of, save_pixels
from alexrepro.evaluation.recorded_network import recorded
from alexrepro.host_copies import Moment, host_copies
from alexrepro.model.alexnet import AlexNet, build
from alexrepro.progress import counted, say
from alexrepro.runs import checkpoint
from alexrepro.runs.checkpoint import Checkpoint
from alexrepro.stop_signals import AGAIN, code_of
from alexrepro.training.divergence import FlatLoss, at_half_the_rates
from alexrepro.training.fast_step import FastTraining, Source, fast_training
from alexrepro.training.fine_tune import check_same_source, copy_stages, origin
from alexrepro.training.job import TrainingJob
from alexrepro.training.layouts import keep, layout_of
from alexrepro.training.loggers import Loggers
from alexrepro.training.optimizer import Optimizer, make_optimizer
from alexrepro.training.saver import Saver

Stop = Callable[[], Signals | None]
SAVE_EVERY_SECONDS = 600.0  # within an epoch, so that a crash costs ten minutes at most
READ_EVERY_SECONDS = 5.0  # the losses of slow steps, so that progress is seen


class Late(NamedTuple):
    """Steps and images; their loss and top-1 error in host memory, (N, 2); and the moment when these are complete."""

    steps: list[tuple[int, int]]
    values: Tensor
    moment: Moment


@dataclass
class TrainingState:
    """What a run holds while it trains.

    stop: the signal that asks this process to stop, if any. unread: step, images, and loss and top-1 error, (2,) on the
    device, of the steps whose losses have not been read yet. late: those on their way from a GPU to host memory.
    read_at: the moment of the last step before these. opened: what is kept from epoch to epoch.
    """

    job: TrainingJob
    model: AlexNet
    optimizer: Optimizer
    pixels: Pixels
    forward: Callable[..., Tensor]
    evaluated: Callable[[Tensor], Tensor]
    gradients: Gradients
    stop_consensus: StopConsensus
    loggers: Loggers
    saver: Saver
    stop: Stop = lambda: None
    step: int = 0
    fast: FastTraining | None = None
    flat_loss: FlatLoss | None = None
    unread: list[tuple[int, int, Tensor]] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)
    read_at: Moment | None = None
    saved_at: float = field(default_factory=time.monotonic)
    losses_read_at: float = -inf
    validation_loader: Loader | None = None
    opened: ExitStack = field(default_factory=ExitStack)

    def validation_errors(self) -> dict[int, float]:
        """The top-1 error of every validated epoch, the same on every rank."""
        rows = self.job.run.validations.to_dict("list") if self.job.group.is_first else {"epoch": [], "top1_error": []}
        return self.job.group.broadcast(dict(zip(rows["epoch"], rows["top1_error"], strict=True)))

    def plan(self, epoch: int) -> EpochPlan:
        """The order and the draws of an epoch."""
        recipe = self.job.recipe
        plan = training_plan(
            self.job.images, seed=self.job.seed, epoch=epoch, augmentation=recipe.augmentation,
            side_px=recipe.network.input_px, shuffle_every_epoch=recipe.training.shuffle_every_epoch,
        )  # fmt: skip
        return of_some(plan, len(self.job.store), seed=self.job.seed)

    def requests(self) -> tuple[int, bool, bool]:
        """The signal that asks any rank to stop, or 0, and whether a checkpoint and losses are due; equal on all ranks.

        The loss of the first step is due at once. Raises the error of a checkpoint that could not be written behind the
        training.
        """
        self.saver.check()
        is_first, now = self.job.group.is_first, time.monotonic()
        is_save_due = is_first and now - self.saved_at > SAVE_EVERY_SECONDS
        is_read_due = is_first and bool(self.unread) and now - self.losses_read_at > READ_EVERY_SECONDS
        signal, save, read = self.stop_consensus.exchange(self.stop() or 0, is_save_due, is_read_due)
        return signal, bool(signal or save), bool(read)

    def save(self, *, stopped_by: int = 0) -> None:
        """Write a checkpoint of this step, in full tensors; every rank must ask for it.

        With a GPU it may be on the disk only later (`Saver`), but not after this has raised an error. Raises UserError,
        on every rank, if a weight is not finite, before anything is written; and afterwards if a signal of this number
        asked the run to stop.
        """
        group, strange = self.job.group, list[str]()
        if group.shard[0] == 0:
            weights, optimizer = (
                {name: self.model.gather_full(name, part.detach()) for name, part in parts.items()}
                for parts in (self.model.named_weights(), self.optimizer.state())
            )
            saved = (*weights.items(), *optimizer.items())
            finite = torch.stack([tensor.isfinite().all() for _, tensor in saved])
            if not finite.all():  # which waits for a GPU, once for all tensors
                strange = list(dict.fromkeys(name for (name, _), good in zip(saved, finite, strict=True) if not good))
        if strange := group.broadcast(strange):
            what = f"After step {self.step:,} {', '.join(strange)} are not finite; the last checkpoint is kept."
            raise group.abort(UserError(what, fix=at_half_the_rates(self.job), exit_code=Exit.BAD_DATA))
        if group.is_first:
            if self.saver.is_behind:  # the weights learn on meanwhile
                weights, optimizer = (
                    dict(zip(parts, host_copies([*parts.values()]), strict=True)) for parts in (weights, optimizer)
                )
                Moment(self.job.device.torch_device).wait()
            self.saver.save(Checkpoint(self.step, weights, optimizer))
            if stopped_by:
                self.saver.finish()
        group.barrier()
        self.saved_at = time.monotonic()
        if stopped_by:
            by = Signals(stopped_by)
            what = f"Stopped by {by.name} after step {self.step:,}; a checkpoint is saved."
            raise group.abort(UserError(what, fix=AGAIN, exit_code=code_of(by)))

    def result(self) -> dict[str, Any]:
        """The validation of the last epoch, or the training loss where that was not validated, for result.json."""
        run, epochs = self.job.run, self.job.recipe.training.epochs
        loss = run.last_epoch_loss
        final: dict[str, Any] = {"split": None, "loss": loss, "top1_error": None, "top5_error": None}
        for row in run.validations.tail(1).to_dict("records"):
            if row["epoch"] == epochs:
                final = {name: row[name] for name in final}
        return {
            "steps": self.step,
            "epochs": epochs,
            "training_loss": loss,
            "final": final,
            "began_with": run.environment.get("began_with"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def open_run(job: TrainingJob) -> None:
    """Begin the run of a job, or check that the one in the folder may continue.

    Raises UserError for another training store, or another source, than before.
    """
    run, source = job.run, job.source
    if not run.has_begun:
        run.begin(job.recipe, {**job.environment(), "began_with": origin(job)})
        if source is not None and job.recipe.training.continues:
            saved = newest_checkpoint(source)
            run.take_rows(source, step=saved.step)
            checkpoint.save(run.checkpoints, saved)
        return
    before = str(run.environment["stores"].get("train"))
    if before != job.store.path.name:
        raise UserError(
            f"{run.folder} was trained on {before}, not on {job.store.path.name}.",
            fix=f"Continue it with --store {job.store.path.with_name(before)}, or choose another folder with --runs.",
        )
    check_same_source(run, source)


def start(job: TrainingJob, stop: Stop = lambda: None) -> TrainingState:
    """Everything as it was at the newest checkpoint, or at the beginning, with stages of the source if there is one.

    Every rank begins with the full network, as the first one has it, and keeps its shard.
    Raises UserError if the disk has no space for the checkpoints.
    """
    run, group, device, training = job.run, job.group, job.device, job.recipe.training
    full = build(job.recipe.network, seed=job.seed)
    full_optimizer = make_optimizer(full, training)
    step = group.broadcast(_restore(job, full, full_optimizer) if group.is_first else 0)
    state = full_optimizer.state()
    group.broadcast_tensors([*(weight.detach() for weight in full.named_weights().values()), *state.values()])
    model = full.held_by(group.towers).to(device.torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(model, training, compiles=device.compiles)
    optimizer.load({name: model.rows_of(name, tensor) for name, tensor in state.items()})
    pixels = group.broadcast(save_pixels(run, job.store) if group.is_first else pixels_of(job.store))
    is_flat_allowed = group.broadcast(group.is_first and "flat_loss_at" in run.environment)
    if group.is_first:
        run.record({"failure": None, "starts": [*run.environment.get("starts", []), job.this_start(step)]})
    pixels = pixels.to(device.torch_device)
    source = Source(model, optimizer, pixels, job.recipe, job.recipe.augmentation, group)
    return TrainingState(
        job, model, optimizer, pixels, device.with_fast_norms(model), recorded(model, device),
        Gradients(model, group),
        StopConsensus(group), Loggers(run, job.log if group.is_first else (), step=step),
        Saver(run, is_behind=device.is_gpu), stop, step,
        fast=fast_training(source, device, seed=job.seed, layout=layout_of(job), keep=partial(keep, job=job)),
        flat_loss=None if is_flat_allowed else FlatLoss(job.recipe.network.classes),
    )  # fmt: skip


def _restore(job: TrainingJob, full: AlexNet, optimizer: Optimizer) -> int:
    """The step of the newest checkpoint, once its weights and optimizer state are in place; 0 if there is none."""
    run, recipe, step = job.run, job.recipe, 0
    if saved := checkpoint.recover(run.checkpoints):
        full.load(saved.weights)
        optimizer.load(saved.optimizer)
        step = saved.step
        say(f"Continuing {run.folder} after step {step:,}.")
    else:
        if job.source is not None:  # a run that continues another has its checkpoint by now
            copy_stages(full, job.source, recipe.training.init_from_stages)
        epochs = counted(recipe.training.epochs, "epoch")
        say(f"Training {recipe.name} on {job.store.path.name}: {epochs} into {run.folder}.")
    run.forget_after(step=step, epoch=step // job.steps_per_epoch)
    job.check_disk_space()
    return step
