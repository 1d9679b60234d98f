"""Training: the loop of §5, from a job to a run folder. The file to read first.

Everything random is drawn from (seed, epoch) or (seed, step), so a run that stops anywhere continues exactly.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from math import isfinite, log
from typing import NoReturn

import torch
import torch.nn.functional as F

from alexrepro.data.loading.crops import training_crops
from alexrepro.data.loading.loader import Loader, Workers
from alexrepro.data.loading.sampling import shard_of
from alexrepro.data.store.store import Store
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.evaluate import count, evaluate
from alexrepro.evaluation.inference import EvaluationJob, Model, loader_of
from alexrepro.host_copies import Moment, host_copies
from alexrepro.keys import key
from alexrepro.paper.results import Crops
from alexrepro.paper.training import Rates
from alexrepro.progress import Advance, counted, progress, say
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.evaluation import Evaluation, evaluations_in
from alexrepro.runs.run import Run
from alexrepro.stop_signals import stop_requests
from alexrepro.training.divergence import (
    FlatLoss,
    at_half_the_rates,
    center_crops,
    diagnose,
    failure_recorded,
    flat_loss,
)
from alexrepro.training.job import TrainingJob
from alexrepro.training.state import Late, TrainingState, open_run, start

READ_LOSS_EVERY = 25  # steps; those of a GPU are read when the next ones are complete, so that it never waits


def train(job: TrainingJob) -> Run:
    """Train until the recipe's last epoch; an interrupted run continues, and a complete one is returned as it is.

    Raises UserError when asked to stop (after saving), when the loss is not finite or stays at chance (after saving,
    once), when a batch does not fit into memory, or when the run folder belongs to another training.
    """
    job = job.fitted()
    run, recipe, group = job.run, job.recipe, job.group
    with run.lock() if group.is_first else nullcontext(), stop_requests() as stop, group.ended_by_launcher(stop):
        group.assert_same_everywhere(job.shared_facts())
        if group.is_first:
            open_run(job)
        if group.broadcast(group.is_first and run.result is not None):
            say(f"{run.folder} is complete: {counted(recipe.training.epochs, 'epoch')}. Nothing to train.")
            return run
        job = job.with_own_validation()
        state = start(job, stop)
        device, batch = job.device, recipe.training.batch
        loader = Loader(
            job.store, batch=batch, side_px=recipe.network.input_px, parts=group.parts,
            copies=device.copies_of_epochs(batch=-(-batch // group.shard[1])), workers=Workers(group.loader_workers),
        )  # fmt: skip
        with (
            failure_recorded(job), device.enough_memory(batch=batch),
            state.loggers, state.saver, state.opened, loader,
        ):  # fmt: skip
            _validate(state)  # if the run was asked to stop before it did
            _train_epochs(state, loader)
        state.stop_consensus.settle()
        if group.is_first:
            run.finish(state.result())
    return run


def _train_epochs(state: TrainingState, loader: Loader) -> None:
    """Every epoch that is left, from the state's step on; each ends with a validation and a checkpoint."""
    job, model, optimizer = state.job, state.model, state.optimizer
    recipe, training = job.recipe, job.recipe.training
    for epoch in range(state.step // job.steps_per_epoch + 1, training.epochs + 1):
        errors = tuple(state.validation_errors().values())
        rates = training.rates(recipe.network.stages, epoch=epoch, errors=errors)
        optimizer.freeze(rates)
        augmentation = recipe.augmentation
        if not rates.has_color_shift:
            augmentation = replace(augmentation, color_shift=None)
        plan, first = state.plan(epoch), state.step % job.steps_per_epoch
        state.read_at = Moment(job.device.torch_device)
        with progress(f"epoch {epoch}/{training.epochs}", total=len(plan), done=first * training.batch) as advance:
            for batch in loader.batches(plan, first=first):
                stop_signal, is_save_due, is_read_due = state.requests()  # of any rank
                if is_save_due or is_read_due:
                    _read_losses(state, rates, advance, leaves_newest=job.device.is_gpu and not is_save_due)
                if is_save_due:
                    state.save(stopped_by=stop_signal)
                images = min(training.batch, len(plan) - batch.number * training.batch)  # of all replicas
                fast = state.fast  # the same step as below, in one launch of a GPU
                if fast and fast.is_ready(batch, images=images, rates=rates, augmentation=augmentation):
                    values = fast(batch, step=state.step)
                else:
                    crops = training_crops(batch, pixels=state.pixels, augmentation=augmentation)
                    step_key = key(job.seed, "dropout", state.step)
                    masks = model.draw_masks(images, key_of_step=step_key, rows=shard_of(images, job.group.shard))
                    with job.device.autocast(training):
                        logits = state.forward(crops, masks)
                    loss = F.cross_entropy(logits.to(crops.dtype), batch.labels, reduction="sum") / images  # mean (§5)
                    loss.backward()  # type: ignore[no-untyped-call]
                    wrong = (logits.detach().argmax(1) != batch.labels).sum().to(loss.dtype) / images
                    state.gradients.wait()  # for their sums over all replicas
                    optimizer.step(rates)
                    values = torch.stack([loss.detach(), wrong])
                state.step += 1
                state.unread.append((state.step, images, values))
                if len(state.unread) == READ_LOSS_EVERY:
                    _read_losses(state, rates, advance, leaves_newest=job.device.is_gpu)
            _read_losses(state, rates, advance)
        _validate(state)
        state.save()


def _read_losses(state: TrainingState, rates: Rates, advance: Advance, *, leaves_newest: bool = False) -> None:
    """Write the losses of the unread steps to metrics.csv, or only begin to copy them and write those before.

    Raises UserError if one is not finite or all are flat.
    """
    if state.unread:
        found = state.job.group.all_reduce(torch.stack([values for _, _, values in state.unread]))
        steps, (values,) = [(step, images) for step, images, _ in state.unread], host_copies([found])
        state.late.append(Late(steps, values, Moment(found.device)))
        state.unread = []
    state.losses_read_at = time.monotonic()
    while len(state.late) > leaves_newest:
        _write_losses(state, state.late.pop(0), rates, advance)


def _write_losses(state: TrainingState, late: Late, rates: Rates, advance: Advance) -> None:
    """Write the losses of some steps to metrics.csv, as soon as they are in host memory."""
    job, images = state.job, sum(images for _, images in late.steps)
    late.moment.wait()
    losses, errors = late.values[:, 0].tolist(), late.values[:, 1].tolist()
    assert state.read_at is not None
    pace, state.read_at = round(images / late.moment.seconds_since(state.read_at), 1), late.moment
    for (step, _), loss in zip(late.steps, losses, strict=True):
        if not isfinite(loss):
            what = f"The loss became {loss} at step {step:,}, at the learning rate {rates.general:g}."
            raise job.group.abort(UserError(what, fix=at_half_the_rates(job), exit_code=Exit.BAD_DATA))
    if job.group.is_first:
        rows = [
            {
                "step": step, "epoch": (step - 1) // job.steps_per_epoch + 1, "images": count, "loss": f"{loss:.6f}",
                "learning_rate": f"{rates.general:g}", "images_per_second": pace, "top1_error": f"{error:.6f}",
            }
            for (step, count), loss, error in zip(late.steps, losses, errors, strict=True)
        ]  # fmt: skip
        job.run.add_metrics(rows)
        for (step, _), row in zip(late.steps, rows, strict=True):
            state.loggers.log("training", row, step=step)
    if state.flat_loss is not None and state.flat_loss.is_flat(late.steps[-1][0], losses) and rates.can_all_learn:
        _read_losses(state, rates, advance)  # the newest ones, which are saved, too
        _end_flat_loss(state, state.flat_loss)
    chance = log(job.recipe.network.classes)
    advance(images, f"loss {sum(losses) / len(losses):.3f} (chance {chance:.3f})")


def _end_flat_loss(state: TrainingState, watched: FlatLoss) -> NoReturn:
    """Raise UserError, once, for a loss that stays at chance although all stages learn; a few images show the cause."""
    job = state.job
    diagnosis = diagnose(state.model, center_crops(job.store, recipe=job.recipe, pixels=state.pixels))
    state.save()
    state.saver.finish()
    if job.group.is_first:
        facts = {"flat_loss_at": state.step, "failure": f"at chance after {state.step:,} steps"}
        job.run.record(facts)  # the same command, typed again, trains on
    raise job.group.abort(flat_loss(state.step, diagnosis, loss=watched.mean, classes=job.recipe.network.classes))


def _validate(state: TrainingState) -> None:
    """If an epoch has just ended, its center-crop errors on the validation store, as a row of validation.csv.

    A run that is asked to stop saves at once, without the row, and begins with this when it continues.
    """

    def stop_if_asked() -> None:
        stop_signal, *_ = state.requests()
        if stop_signal:
            state.save(stopped_by=stop_signal)

    job = state.job
    epoch, steps = divmod(state.step, job.steps_per_epoch)
    if job.validation is None or epoch == 0 or steps > 0 or epoch in state.validation_errors():
        return
    split, models = job.validation.manifest.full_name, [Model(state.evaluated, job.recipe, state.pixels)]
    title = f"epoch {epoch} on {split}"
    evaluation = EvaluationJob(models, job.validation, "center", job.device, job.group, title=title)
    if state.validation_loader is None:
        state.validation_loader = state.opened.enter_context(loader_of(evaluation))
    counts = count(evaluation, loader=state.validation_loader, after_batch=stop_if_asked)
    if job.group.is_first:
        row = {
            "epoch": epoch, "split": split, "crops": "center", "images": counts.images,
            "top1_error": f"{1 - counts.top1_correct / counts.images:.6f}",
            "top5_error": f"{1 - counts.top5_correct / counts.images:.6f}",
            "loss": f"{counts.loss_sum / counts.images:.6f}",
        }  # fmt: skip
        job.run.add_validation(row)
        state.loggers.log("validation", row, step=state.step)


def ablate(
    trials: Sequence[tuple[Recipe, Crops]], job: TrainingJob, *, test: Store, seeds: Sequence[int]
) -> Iterator[Evaluation | UserError]:
    """Train each recipe with each seed; yields after each run its evaluation on the test store with the trial's crops.

    job: how to train all of them; its own recipe and seed do not matter. Seeds go outermost, so that an interrupted
    ablation holds complete comparisons for the first seeds. A run that fails, because its loss is not finite or stays
    at chance, yields its error in place of an evaluation. Raises UserError as `train` does for other reasons.
    """
    runs = [(seed, *trial) for seed in seeds for trial in trials]
    for number, (seed, recipe, crops) in enumerate(runs, start=1):
        say(f"Run {number} of {len(runs)}, seed {seed}: {recipe.name}, {recipe.description}.")
        found: Evaluation | UserError
        try:
            run = train(replace(job, recipe=recipe, seed=seed))
            found = _saved(run, test, crops) or evaluate(run, test, crops=crops, device=job.device)
        except UserError as error:
            if error.exit_code is not Exit.BAD_DATA:
                raise
            say(f"{error.what} {error.fix}")
            found = error
        yield found


def _saved(run: Run, store: Store, crops: Crops) -> Evaluation | None:
    """The run's evaluation of its last epoch on this store with these crops; None if it or its predictions are gone."""
    split, digest = store.manifest.full_name, store.manifest.digest
    if not run.predictions(split, crops).exists():
        return None
    wanted = (split, digest, crops, run.recipe.training.epochs)
    return next((e for e in evaluations_in(run.folder) if (e.split, e.store, e.crops, e.epochs) == wanted), None)
