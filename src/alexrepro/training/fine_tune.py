"""What a run takes from an earlier one: the weights of some stages (§6; initw.py), or all of its state.

Fine-tuning begins with velocities of zero and random weights in the other stages. A run that continues another, for
instance at lower rates, begins at its step with its weights, velocities and rows. The source is only read, and only
until the new run has a checkpoint.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from alexrepro.errors import Exit, UserError
from alexrepro.files import sha256_of_file
from alexrepro.model.alexnet import AlexNet
from alexrepro.runs import checkpoint
from alexrepro.runs.paths import MODEL, checkpoint_of
from alexrepro.runs.run import Run, open_run
from alexrepro.training.job import TrainingJob


def check_source(job: TrainingJob, *, is_new: bool) -> None:
    """Raise UserError unless a new run has the source that its recipe needs, or if its recipe needs none."""
    name, stages, continues = job.recipe.name, job.recipe.training.init_from_stages, job.recipe.training.continues
    if job.source is None and is_new and (continues or stages):
        what, field = ("all state", "continues=false") if continues else (", ".join(stages), "init_from_stages=[]")
        raise UserError(
            f"{name} begins with {what} of an earlier run, which is not named.",
            fix=f"Name it: alexrepro train {'RUN' if continues else 'RECIPE RUN'}, or begin at random with: "
            f"--set training.{field}.",
            exit_code=Exit.USAGE,
        )
    if job.source is not None and not stages and not continues:
        raise UserError(
            f"{name} does not say which stages begin with the weights of {job.source.folder}.",
            fix='Name them, for example with: --set training.init_from_stages=["conv1","conv2"].',
            exit_code=Exit.USAGE,
        )


def check_same_source(run: Run, source: Run | None) -> None:
    """Raise UserError if a run that has begun is started with another source than before; it needs none."""
    if source is None:
        return
    before = run.environment.get("began_with")
    if before is None or not _is_origin(source, before):
        began = f"{before['run']}, step {before['step']:,}" if before else "random weights"
        raise UserError(
            f"{run.folder} began with {began}, not with {source.folder}.",
            fix="Continue it without naming a run to begin with, or choose another folder with --runs.",
        )


def _is_origin(source: Run, before: Mapping[str, Any]) -> bool:
    """Whether a run began with this source: by the checksum of the weights, or by its name where they are gone."""
    model = checkpoint_of(source.checkpoints, before["step"]) / MODEL
    if model.is_file():
        return bool(sha256_of_file(model) == before["sha256"])
    return source.folder.absolute().parts[-2:] == Path(before["run"]).parts[-2:]  # recipe and digest, data set and seed


def origin(job: TrainingJob) -> dict[str, Any] | None:
    """Where the first weights come from, for environment.json: the run, its step, and the weights' checksum.

    Raises UserError if the source has no checkpoint, or if the job cannot continue it.
    """
    if job.source is None:
        return None
    source = open_run(job.source.folder)
    saved = _newest(source)
    if job.recipe.training.continues:
        _check_continued(source, saved.step, job)
    sha256 = sha256_of_file(checkpoint_of(source.checkpoints, saved.step) / MODEL)
    return {"run": source.folder.absolute().as_posix(), "step": saved.step, "sha256": sha256}


def _check_continued(source: Run, step: int, job: TrainingJob) -> None:
    before, facts = source.environment, job.environment()
    for name in ("dataset", "seed", "steps_per_epoch"):
        if before[name] != facts[name]:
            raise UserError(
                f"{source.folder} has the {name} {before[name]}, and the run that continues it has {facts[name]}.",
                fix=f"Continue it with --store {before['dataset']} --seed {before['seed']} "
                f"--set training.batch={source.recipe.training.batch}.",
            )
    if source.recipe.network.layers() != job.recipe.network.layers():
        raise UserError(
            f"{source.folder} has another network than {job.recipe.name}-{job.recipe.digest}.",
            fix="Leave the fields of the network as they are.",
        )
    if step >= job.steps:
        raise UserError(
            f"{source.folder} has made {step:,} steps, so nothing is left of {job.recipe.training.epochs} epochs.",
            fix="Name an interrupted run, or add epochs with --set training.epochs=N.",
        )


def continue_run(source: Run, run: Run) -> None:
    """Give a run that has just begun the rows and the newest checkpoint of its source."""
    saved = _newest(source)
    run.take_rows(source, step=saved.step)
    checkpoint.save(run.checkpoints, saved)


@torch.no_grad()
def copy_stages(model: AlexNet, source: Run, stages: tuple[str, ...]) -> None:
    """Copy the weights and biases of the named stages. Raises UserError if one is missing or has another shape."""
    weights = _newest(source).weights
    for name, parameter in model.named_kernels().items():
        if name.partition(".")[0] not in stages:
            continue
        if name not in weights or weights[name].shape != parameter.shape:
            found = tuple(weights[name].shape) if name in weights else "nothing"
            raise UserError(
                f"{name} has the shape {tuple(parameter.shape)}, and {source.folder} has {found} there.",
                fix="Choose a run of the same network, or other stages with: --set training.init_from_stages=[...].",
                exit_code=Exit.BAD_DATA,
            )
        parameter.copy_(weights[name])


def _newest(source: Run) -> checkpoint.Checkpoint:
    saved = checkpoint.newest(source.checkpoints)
    if saved is None:
        raise UserError(f"{source.folder} has no checkpoint to begin with.", fix="Train it first, or name another run.",
                        exit_code=Exit.MISSING_INPUT)  # fmt: skip
    return saved
