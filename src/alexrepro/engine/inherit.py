"""Fine-tuning: some stages begin with the weights of an earlier run, the rest as ever (§6; initw.py).

Velocities begin at zero, and the earlier run is only read.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from alexrepro.engine import checkpoint
from alexrepro.engine.run import Run
from alexrepro.errors import Exit, Refusal
from alexrepro.files import sha256_of_file
from alexrepro.model.alexnet import AlexNet
from alexrepro.recipes.recipe import Recipe


def check_source(recipe: Recipe, source: Run | None) -> None:
    """Raise Refusal unless the recipe names stages to begin with and a run to take them from, or neither."""
    stages = recipe.training.begins_with
    if stages and source is None:
        raise Refusal(
            f"{recipe.name} begins with {', '.join(stages)} of an earlier run.",
            fix="Name it with: --init-from RUN, or begin at random with: --set training.begins_with=[].",
            exit_code=Exit.USAGE,
        )
    if source is not None and not stages:
        raise Refusal(
            f"{recipe.name} does not say which stages begin with the weights of {source.folder}.",
            fix='Name them, for example with: --set training.begins_with=["conv1","conv2"].',
            exit_code=Exit.USAGE,
        )


def origin(source: Run | None) -> dict[str, Any] | None:
    """Where the first weights come from, for environment.json: the run, its updates, and the checksum of its weights.

    Raises Refusal if the run has no checkpoint.
    """
    if source is None:
        return None
    saved = _newest(source)
    model = source.checkpoints / f"step-{saved.step:09d}" / checkpoint.MODEL
    return {"run": source.folder.as_posix(), "step": saved.step, "sha256": sha256_of_file(model)}


@torch.no_grad()
def inherit(model: AlexNet, source: Run, stages: tuple[str, ...]) -> None:
    """Copy the weights and biases of the named stages. Raises Refusal if one is missing there or has another shape."""
    weights: Mapping[str, Tensor] = _newest(source).weights
    for name, parameter in model.named_kernels().items():
        if name.partition(".")[0] not in stages:
            continue
        if name not in weights or weights[name].shape != parameter.shape:
            found = tuple(weights[name].shape) if name in weights else "nothing"
            raise Refusal(
                f"{name} has the shape {tuple(parameter.shape)}, and {source.folder} has {found} there.",
                fix="Choose a run of the same network, or other stages with: --set training.begins_with=[...].",
                exit_code=Exit.BAD_DATA,
            )
        parameter.copy_(weights[name])


def _newest(source: Run) -> checkpoint.Checkpoint:
    saved = checkpoint.newest(source.checkpoints)
    if saved is None:
        raise Refusal(f"{source.folder} has no checkpoint to begin with.", fix="Train it first, or name another run.",
                      exit_code=Exit.MISSING_INPUT)  # fmt: skip
    return saved
