"""What a run takes from an earlier one: the weights of some stages (§6; initw.py), or all of its state.

Fine-tuning begins with velocities of zero and random weights in the other stages. A run that continues another, for
instance at lower rates, begins at its step with its weights, velocities and rows. The source is only read, and only
until the new run has a checkpoint.
"""

from pathlib import Path
from typing import Any

import torch

from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.inference import newest_checkpoint
from alexrepro.files import sha256_of_file
from alexrepro.model.alexnet import AlexNet
from alexrepro.runs.paths import MODEL, checkpoint_of
from alexrepro.runs.run import Run, open_run
from alexrepro.training.job import TrainingJob


def origin(job: TrainingJob) -> dict[str, Any] | None:
    """Where the first weights of a new run come from: the run, its step, and the weights' checksum; None if random.

    Raises UserError if the recipe needs a source that is not named, has no checkpoint, or cannot be continued.
    """
    training = job.recipe.training
    if job.source is None:
        if training.continues or training.init_from_stages:
            raise UserError(
                f"{job.recipe.name} begins with an earlier run, which is not named.",
                fix="Name it: alexrepro train RECIPE RUN, or begin at random with: "
                "--set training.continues=false --set training.init_from_stages=[].",
                exit_code=Exit.USAGE,
            )
        return None
    source = open_run(job.source.folder)
    step = newest_checkpoint(source).step
    if training.continues:
        _check_continued(source, step, job)
    sha256 = sha256_of_file(checkpoint_of(source.checkpoints, step) / MODEL)
    return {"run": source.folder.absolute().as_posix(), "step": step, "sha256": sha256}


def check_same_source(run: Run, source: Run | None) -> None:
    """Raise UserError if a run that has begun is started with another source than before; it needs none.

    A source is known by its recipe, digest, data set and seed, wherever it lies now.
    """
    before = run.environment.get("began_with")
    if source is None or (before and source.folder.absolute().parts[-2:] == Path(before["run"]).parts[-2:]):
        return
    began = f"{before['run']}, step {before['step']:,}" if before else "random weights"
    raise UserError(
        f"{run.folder} began with {began}, not with {source.folder}.",
        fix="Continue it without naming a run to begin with, or choose another folder with --runs.",
    )


def _check_continued(source: Run, step: int, job: TrainingJob) -> None:
    before, facts = source.environment, job.environment()
    differing = [name for name in ("dataset", "seed", "steps_per_epoch") if before[name] != facts[name]]
    if source.recipe.network.layers() != job.recipe.network.layers():
        differing.append("network")
    if differing:
        raise UserError(
            f"{source.folder} has another {', '.join(differing)} than the run that continues it.",
            fix=f"Continue it with --store {before['dataset']} --seed {before['seed']} "
            f"--set training.batch={source.recipe.training.batch}, and leave the fields of the network as they are.",
        )
    if step >= job.steps:
        raise UserError(
            f"{source.folder} has made {step:,} steps, so nothing is left of {job.recipe.training.epochs} epochs.",
            fix="Name an interrupted run, or add epochs with --set training.epochs=N.",
        )


@torch.no_grad()
def copy_stages(model: AlexNet, source: Run, stages: tuple[str, ...]) -> None:
    """Copy the weights and biases of the named stages. Raises UserError if one is missing or has another shape."""
    weights = newest_checkpoint(source).weights
    for name, parameter in model.named_weights().items():
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
