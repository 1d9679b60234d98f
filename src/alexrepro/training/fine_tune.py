"""What a run takes from an earlier one: the weights of some stages (§6; initw.py), or all of its state.

Fine-tuning begins with velocities of zero and random weights in the other stages. A run that continues another, at
lower rates say, begins at its update with its weights, velocities and rows. The earlier run is only read, and only
until the later one has a checkpoint.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alexrepro.errors import Exit, UserError
from alexrepro.files import sha256_of_file
from alexrepro.model.alexnet import AlexNet
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs import checkpoint
from alexrepro.runs.run import Run, open_run


def check_source(recipe: Recipe, source: Run | None, *, is_new: bool) -> None:
    """Raise UserError unless a new run has the source that its recipe asks for, or if a source is not asked for."""
    stages, continues = recipe.training.init_from_stages, recipe.training.continues
    if source is None and is_new and continues:
        raise UserError(
            f"{recipe.name} continues an earlier run, which is not named.",
            fix="Name it: alexrepro train RUN, or begin at random with: --set training.continues=false.",
            exit_code=Exit.USAGE,
        )
    if source is None and is_new and stages:
        raise UserError(
            f"{recipe.name} begins with {', '.join(stages)} of an earlier run.",
            fix="Name it after the recipe: alexrepro train RECIPE RUN, or begin at random with: "
            "--set training.init_from_stages=[].",
            exit_code=Exit.USAGE,
        )
    if source is not None and not stages and not continues:
        raise UserError(
            f"{recipe.name} does not say which stages begin with the weights of {source.folder}.",
            fix='Name them, for example with: --set training.init_from_stages=["conv1","conv2"].',
            exit_code=Exit.USAGE,
        )


def check_same_source(run: Run, source: Run | None) -> None:
    """Raise UserError if a run that has begun is to continue with another source; it needs none."""
    if source is None:
        return
    before = run.environment.get("began_with")
    if before is None or not _is_origin(source, before):
        began = f"{before['run']}, update {before['step']:,}" if before else "random weights"
        raise UserError(
            f"{run.folder} began with {began}, not with {source.folder}.",
            fix="Continue it without naming a run to begin with, or choose another folder with --runs.",
        )


def _is_origin(source: Run, before: Mapping[str, Any]) -> bool:
    """Whether a run began with this source: by the checksum of the weights, or by its name where they are gone."""
    model = _model(source, before["step"])
    if model.is_file():
        return bool(sha256_of_file(model) == before["sha256"])
    return source.folder.absolute().parts[-2:] == Path(before["run"]).parts[-2:]  # recipe and digest, data set and seed


def origin(source: Run | None, recipe: Recipe, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where the first weights of a run come from, for environment.json: the run, its updates, and their checksum.

    facts: of the later run. Raises UserError if the source has no checkpoint, or cannot be continued by that run.
    """
    if source is None:
        return None
    saved = _newest(open_run(source.folder))
    if recipe.training.continues:
        _check_continued(source, saved.step, recipe, facts)
    sha256 = sha256_of_file(_model(source, saved.step))
    return {"run": source.folder.absolute().as_posix(), "step": saved.step, "sha256": sha256}


def _check_continued(source: Run, step: int, recipe: Recipe, facts: Mapping[str, Any]) -> None:
    before = source.environment
    for name in ("dataset", "seed", "updates_per_epoch"):
        if before[name] != facts[name]:
            raise UserError(
                f"{source.folder} has the {name} {before[name]}, and the run that continues it has {facts[name]}.",
                fix=f"Continue it with --store {before['dataset']} --seed {before['seed']} "
                f"--set training.batch={source.recipe.training.batch}.",
            )
    if source.recipe.network.layers() != recipe.network.layers():
        raise UserError(
            f"{source.folder} has another network than {recipe.name}-{recipe.digest}.",
            fix=f"Continue it with its own: alexrepro train {source.folder}",
        )
    if step >= recipe.training.epochs * facts["updates_per_epoch"]:
        raise UserError(
            f"{source.folder} has made {step:,} updates, so nothing is left of {recipe.training.epochs} epochs.",
            fix="Name an interrupted run, or add epochs with --set training.epochs=N.",
        )


def continue_run(source: Run, run: Run) -> None:
    """Give a run that has just begun all that another one has reached: its rows and its newest checkpoint."""
    saved = _newest(source)
    run.take_rows(source, step=saved.step)
    checkpoint.save(run.checkpoints, saved)


@torch.no_grad()
def inherit(model: AlexNet, source: Run, stages: tuple[str, ...]) -> None:
    """Copy the weights and biases of the named stages. Raises UserError if one is missing or has another shape."""
    weights: Mapping[str, Tensor] = _newest(source).weights
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


def _model(source: Run, step: int) -> Path:
    return source.checkpoints / f"step-{step:0{checkpoint.STEP_DIGITS}d}" / checkpoint.MODEL


def _newest(source: Run) -> checkpoint.Checkpoint:
    saved = checkpoint.newest(source.checkpoints)
    if saved is None:
        raise UserError(f"{source.folder} has no checkpoint to begin with.", fix="Train it first, or name another run.",
                      exit_code=Exit.MISSING_INPUT)  # fmt: skip
    return saved
