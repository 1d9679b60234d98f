"""Training: the loop of §5, from a recipe and a store to a run folder. The file to read first.

Everything random is drawn from (seed, epoch) or (seed, step), so a run that stops anywhere continues exactly.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from math import isfinite, log
from signal import Signals
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from alexrepro.data.loading.crops import training_crops
from alexrepro.data.loading.loader import Loader, workers_for
from alexrepro.data.loading.sampling import Batch, shard_of
from alexrepro.distributed.process_group import ProcessGroup
from alexrepro.evaluation.evaluate import count
from alexrepro.evaluation.inference import EvaluationJob, Model, center_crops
from alexrepro.keys import key
from alexrepro.paper.training import Augmentation, Rates
from alexrepro.progress import Advance, progress, say
from alexrepro.runs.run import Run
from alexrepro.stop_signals import stop_requests, stopped
from alexrepro.training.divergence import EARLY_WINDOW, FlatLoss, diagnose, flat_refusal, not_finite
from alexrepro.training.job import TrainingJob
from alexrepro.training.starts import open_folder, own_validation, start_of
from alexrepro.training.state import Trainer, environment, result, shared_facts, start

Resume = Literal["auto", "never"]
Stop = Callable[[], Signals | None]

READ_LOSS_EVERY = 25  # updates; reading waits for the device
SAVE_EVERY_SECONDS = 600.0  # within an epoch, so that a crash costs ten minutes at most


def train(job: TrainingJob, *, resume: Resume = "auto") -> Run:
    """Train until the recipe's last epoch; an interrupted run continues, and a complete one is returned as it is.

    Raises UserError when asked to stop (after saving), when the loss is not finite or, unless that is allowed, stays at
    chance, when a batch does not fit into memory, or when the run folder belongs to another training.
    """
    job = job.fitted()
    run, recipe, group = job.run, job.recipe, job.group
    with _held(run, group), stop_requests() as stop, group.ended_by_launcher(stop):
        group.assert_same_everywhere(shared_facts(job))
        facts = environment(job)
        if group.is_first:
            open_folder(job, facts, is_anew=resume == "never")
        if group.broadcast(group.is_first and run.result is not None):
            say(f"{run.folder} is complete: {recipe.training.epochs} epochs. Nothing to train.")
            return run
        job = replace(job, validation=own_validation(job))
        if job.validation is None and recipe.training.schedule.needs_validation:
            say("No validation images with labels, so the rate is never divided; prepare some, or choose as-run-2012.")
        trainer = start(job)
        if group.is_first:
            run.add_start(start_of(facts, step=trainer.step, validation=job.validation))
        trainer.flat = None if job.allow_flat_loss else FlatLoss(recipe.network.classes)
        _train_epochs(trainer, stop)
        if group.is_first:
            run.finish(result(trainer))
    return run


def _held(run: Run, group: ProcessGroup) -> AbstractContextManager[None]:
    return run.lock() if group.is_first else nullcontext()


def _train_epochs(trainer: Trainer, stop: Stop) -> None:
    """The rest of the run, from the trainer's step to the last epoch's last update and its checkpoint."""
    recipe, group, device = trainer.recipe, trainer.group, trainer.device
    loader = Loader(
        trainer.store, batch=recipe.training.batch, side_px=recipe.network.input_px, shard=group.shard,
        copies=device.copies, workers=workers_for(gpu=device.is_gpu, number=group.loader_workers),
    )  # fmt: skip
    with device.enough_memory(batch=recipe.training.batch), trainer.log, loader:
        done = trainer.step // trainer.updates_per_epoch
        if group.broadcast(trainer.is_unvalidated):
            _validate(trainer, done, stop)
        for epoch in range(done + 1, recipe.training.epochs + 1):
            _train_epoch(trainer, epoch, loader, stop)
            _validate(trainer, epoch, stop)
            trainer.save()
    trainer.stop_consensus.settle()


def _train_epoch(trainer: Trainer, epoch: int, loader: Loader, stop: Stop) -> None:
    """The rest of an epoch, from the trainer's step to the epoch's last update."""
    recipe, training, group = trainer.recipe, trainer.recipe.training, trainer.group
    errors = group.broadcast([float(row["top1_error"]) for row in trainer.run.validations])
    rates = training.rates(recipe.network.stages, epoch=epoch, errors=errors)
    trainer.momentum.freeze(rates)
    augmentation = recipe.augmentation
    if not rates.has_color_shift:
        augmentation = replace(augmentation, color_shift=None)
    plan = trainer.plan(epoch)
    first = trainer.step - (epoch - 1) * trainer.updates_per_epoch
    unread: list[tuple[int, int, Tensor]] = []
    with progress(f"epoch {epoch}/{training.epochs}", total=len(plan), done=first * training.batch) as advance:
        since = time.monotonic()
        for batch in loader.batches(plan, first=first):
            is_due = group.is_first and time.monotonic() - trainer.saved_at > SAVE_EVERY_SECONDS
            asked, due = trainer.stop_consensus.exchange(stop() or 0, is_due)
            if asked or due:
                since = _read_losses(trainer, epoch, rates=rates, unread=unread, since=since, advance=advance)
                _save(trainer, asked)
            count = min(training.batch, len(plan) - batch.number * training.batch)  # of all replicas
            loss = _update(trainer, batch, rates, augmentation, count)
            trainer.step += 1
            unread.append((trainer.step, count, loss))
            if len(unread) == READ_LOSS_EVERY:
                since = _read_losses(trainer, epoch, rates=rates, unread=unread, since=since, advance=advance)
        _read_losses(trainer, epoch, rates=rates, unread=unread, since=since, advance=advance)


def _update(trainer: Trainer, batch: Batch, rates: Rates, augmentation: Augmentation, count: int) -> Tensor:
    """One update of §5 on a batch of so many images, of which this replica has its part.

    Returns its parts of the loss and of the top-1 error before the update, (2,), still on the device.
    """
    recipe, model = trainer.recipe, trainer.model
    crops = training_crops(batch, pixels=trainer.pixels, augmentation=augmentation)
    step = key(trainer.seed, "dropout", trainer.step)
    masks = model.draw_masks(count, key_of_step=step, rows=shard_of(count, trainer.group.shard))
    with trainer.device.autocast(recipe.training):
        logits = trainer.forward(crops, masks)
    loss = F.cross_entropy(logits.to(crops.dtype), batch.labels, reduction="sum") / count  # the batch's mean (§5)
    loss.backward()  # type: ignore[no-untyped-call]
    wrong = (logits.detach().argmax(1) != batch.labels).sum().to(loss.dtype) / count
    trainer.gradients.wait()
    trainer.momentum.step(rates)
    return torch.stack([loss.detach(), wrong])


def _read_losses(
    trainer: Trainer, epoch: int, *, rates: Rates, unread: list[tuple[int, int, Tensor]], since: float, advance: Advance
) -> float:
    """Write the waiting losses to metrics.csv; returns the time. Raises UserError if one is not finite."""
    if not unread:
        return since
    found = trainer.group.all_reduce(torch.stack([seen for _, _, seen in unread]))
    losses, errors = found[:, 0].tolist(), found[:, 1].tolist()
    now = time.monotonic()
    images = sum(count for _, count, _ in unread)
    pace = round(images / (now - since), 1)
    for (step, _, _), loss in zip(unread, losses, strict=True):
        if not isfinite(loss):
            images_shown, fix = trainer.shown_at(step), trainer.at_half_the_rates
            raise trainer.group.abort(not_finite(loss, step, learning_rate=rates.general, images=images_shown, fix=fix))
    if trainer.group.is_first:
        trainer.add_metrics(
            (step, epoch, count, f"{loss:.6f}", f"{rates.general:g}", pace, f"{error:.6f}")
            for (step, count, _), loss, error in zip(unread, losses, errors, strict=True)
        )
    if trainer.flat is not None:
        trainer.flat.add(losses)
        if rates.can_all_learn:
            _stop_if_flat(trainer, trainer.flat, rates)
    chance = log(trainer.recipe.network.classes)
    advance(images, f"loss {sum(losses) / len(losses):.3f} (chance {chance:.3f}), {pace:,.0f} images/s")
    unread.clear()
    return now


def _stop_if_flat(trainer: Trainer, flat: FlatLoss, rates: Rates) -> None:
    """Raise UserError if the loss is at chance and will stay there, as a few stored images show; every rank looks."""
    is_flat = flat.is_flat(trainer.step)
    if not is_flat and not flat.is_time_to_look(trainer.step):
        return
    crops, labels = center_crops(trainer.store, recipe=trainer.recipe, pixels=trainer.pixels)
    found = diagnose(trainer.model, crops, labels, learning_rate=rates.general)
    if is_flat or found.is_hidden:
        loss = flat.mean(EARLY_WINDOW)
        raise trainer.group.abort(flat_refusal(trainer.step, found, loss=loss, recipe=trainer.recipe))


def _save(trainer: Trainer, asked: int) -> None:
    """Write a checkpoint; raises UserError, on every rank, if a signal of that number has asked the run to stop."""
    trainer.save()
    if asked:
        raise trainer.group.abort(stopped(Signals(asked), step=trainer.step))


def _validate(trainer: Trainer, epoch: int, stop: Stop) -> None:
    """Center-crop errors on the validation store, if there is one, as a row of validation.csv.

    A run that is asked to stop saves at once, without the row, and begins with this when it continues.
    """

    def stop_if_asked() -> None:
        asked, _ = trainer.stop_consensus.exchange(stop() or 0, False)
        if asked:
            _save(trainer, asked)

    if trainer.validation is None:
        return
    split = trainer.validation.manifest.full_name
    models = [Model(trainer.model, trainer.recipe, trainer.pixels)]
    job = EvaluationJob(
        models, trainer.validation, "center", trainer.device, trainer.group, title=f"epoch {epoch} on {split}"
    )
    counts = count(job, after_batch=stop_if_asked)
    if not trainer.group.is_first:
        return
    top1, top5 = 1 - counts.top1_correct / counts.images, 1 - counts.top5_correct / counts.images
    loss = counts.loss_sum / counts.images
    trainer.add_validation((epoch, split, "center", counts.images, f"{top1:.6f}", f"{top5:.6f}", f"{loss:.6f}"))
