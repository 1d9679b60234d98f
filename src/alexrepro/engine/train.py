"""Training: the loop of §5, from a recipe and a store to a run folder. The file to read first.

Everything random is drawn from (seed, epoch) or (seed, step), so a run that stops anywhere continues exactly.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from math import isfinite, log
from pathlib import Path
from signal import Signals
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from alexrepro.data.feed import Batch, feed
from alexrepro.data.plan import training_plan
from alexrepro.data.store import Store
from alexrepro.data.views import training_view
from alexrepro.engine.evaluate import count
from alexrepro.engine.machine import Machine
from alexrepro.engine.run import Run, run_of
from alexrepro.engine.schedule import Rates, rates_at
from alexrepro.engine.signals import stop_requests, stopped
from alexrepro.engine.trainer import Trainer, environment, result, start
from alexrepro.errors import Exit, Refusal
from alexrepro.keys import key
from alexrepro.paper.training import Augmentation, Plateau
from alexrepro.progress import Advance, progress, say
from alexrepro.recipes.recipe import Recipe

READ_LOSS_EVERY = 25  # updates; reading waits for the device
SAVE_EVERY_SECONDS = 600.0  # within an epoch, so that a crash costs ten minutes at most


def train(
    recipe: Recipe,
    *,
    store: Store,
    validation: Store | None,
    runs: Path,
    seed: int,
    machine: Machine,
    resume: Literal["auto", "never"] = "auto",
) -> Run:
    """Train a recipe on a store until its last epoch; a run that is already there continues or is complete.

    Raises Refusal when asked to stop (after saving), when the loss is not finite, or when the run is not this one's.
    """
    recipe = recipe.for_classes(len(store.manifest.classes))
    run = run_of(runs, recipe, dataset=store.manifest.dataset, seed=seed)
    with run.lock(), stop_requests() as stop:
        if resume == "never":
            run.set_aside()
        facts = environment(recipe, store=store, validation=validation, seed=seed, machine=machine)
        run.begin(recipe, facts)
        if run.result is not None:
            say(f"{run.folder} is complete: {recipe.training.epochs} epochs. Nothing to train.")
            return run
        if validation is None and isinstance(recipe.training.schedule, Plateau):
            say("There are no validation images, so the rate is never divided; prepare some, or choose as-run-2012.")
        trainer = start(run, recipe, store=store, validation=validation, seed=seed, machine=machine)
        for epoch in range(trainer.step // trainer.updates_per_epoch + 1, recipe.training.epochs + 1):
            _train_epoch(trainer, epoch, stop)
            _validate(trainer, epoch)
            trainer.save()
        run.finish(result(trainer))
    return run


def _train_epoch(trainer: Trainer, epoch: int, stop: Callable[[], Signals | None]) -> None:
    """The rest of an epoch, from the trainer's step to the epoch's last update."""
    recipe, training = trainer.recipe, trainer.recipe.training
    errors = [float(row["top1_error"]) for row in trainer.run.validations]
    rates = rates_at(training, recipe.network.stages, epoch=epoch, errors=errors)
    trainer.momentum.freeze(rates)
    augmentation = recipe.augmentation
    if not rates.has_color_shift:
        augmentation = replace(augmentation, color_shift=None)
    plan = training_plan(
        len(trainer.store), seed=trainer.seed, epoch=epoch, augmentation=augmentation,
        side_px=recipe.network.input_px, reshuffles=training.reshuffles,
    )  # fmt: skip
    first = trainer.step - (epoch - 1) * trainer.updates_per_epoch
    unread: list[tuple[int, int, Tensor]] = []
    with progress(f"epoch {epoch}/{training.epochs}", total=len(plan), done=first * training.batch) as advance:
        since = time.monotonic()
        for batch in feed(trainer.store, plan, batch=training.batch, first=first):
            asked = stop()
            if asked or time.monotonic() - trainer.saved_at > SAVE_EVERY_SECONDS:
                since = _read_losses(trainer, epoch, rates=rates, unread=unread, since=since, advance=advance)
                trainer.save()
                if asked:
                    raise stopped(asked, step=trainer.step)
            loss = _update(trainer, batch, rates, augmentation)
            trainer.step += 1
            unread.append((trainer.step, len(batch), loss))
            if len(unread) == READ_LOSS_EVERY:
                since = _read_losses(trainer, epoch, rates=rates, unread=unread, since=since, advance=advance)
        _read_losses(trainer, epoch, rates=rates, unread=unread, since=since, advance=advance)


def _update(trainer: Trainer, batch: Batch, rates: Rates, augmentation: Augmentation) -> Tensor:
    """One update of §5 on one batch; returns the loss before it, still on the device."""
    recipe, model = trainer.recipe, trainer.model
    batch = batch.to(trainer.machine.device)
    views = training_view(
        batch.crops, offsets_px=batch.offsets_px, mirrored=batch.mirrored, colors=batch.colors,
        pixels=trainer.pixels, augmentation=augmentation,
    )  # fmt: skip
    masks = model.draw_masks(len(batch), key_of_step=key(trainer.seed, "dropout", trainer.step))
    with trainer.machine.arithmetic(recipe.training):
        logits = model(views, masks)
    loss = F.cross_entropy(logits.float(), batch.labels)  # the mean over the batch (§5)
    loss.backward()  # type: ignore[no-untyped-call]
    trainer.momentum.step(rates)
    return loss.detach()


def _read_losses(
    trainer: Trainer, epoch: int, *, rates: Rates, unread: list[tuple[int, int, Tensor]], since: float, advance: Advance
) -> float:
    """Write the waiting losses to metrics.csv; returns the time. Raises Refusal if one is not finite."""
    if not unread:
        return since
    losses = torch.stack([loss for _, _, loss in unread]).tolist()
    now = time.monotonic()
    images = sum(count for _, count, _ in unread)
    pace = round(images / (now - since), 1)
    for (step, _, _), loss in zip(unread, losses, strict=True):
        if not isfinite(loss):
            raise Refusal(
                f"The loss became {loss} at update {step:,}, at the rate {rates.general:g}.",
                fix="Continue from the last checkpoint with a lower rate: --set training.rate=0.005.",
                exit_code=Exit.BAD_DATA,
            )
    trainer.run.add_metrics(
        (step, epoch, count, f"{loss:.6f}", f"{rates.general:g}", pace)
        for (step, count, _), loss in zip(unread, losses, strict=True)
    )
    chance = log(trainer.recipe.network.classes)
    advance(images, f"loss {sum(losses) / len(losses):.3f} (chance {chance:.3f}), {pace:,.0f} images/s")
    unread.clear()
    return now


def _validate(trainer: Trainer, epoch: int) -> None:
    """Centre-view errors on the validation store, if there is one, as a row of validation.csv."""
    if trainer.validation is None:
        return
    split = trainer.validation.manifest.full_name
    counts = count(
        trainer.model, trainer.validation, recipe=trainer.recipe, pixels=trainer.pixels, views="centre",
        machine=trainer.machine, title=f"epoch {epoch} on {split}",
    )  # fmt: skip
    top1, top5 = 1 - counts.top1_correct / counts.images, 1 - counts.top5_correct / counts.images
    loss = counts.loss_sum / counts.images
    trainer.run.add_validation((epoch, split, "centre", counts.images, f"{top1:.6f}", f"{top5:.6f}", f"{loss:.6f}"))
