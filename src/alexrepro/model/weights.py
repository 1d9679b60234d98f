"""Weights with all that is needed to use them: the recipe of their network, its mean image, names of its classes.

Whatever file they come from, they pass through `checked`: names, shapes, number format, finite values.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alexrepro.errors import Exit, UserError
from alexrepro.model.alexnet import AlexNet
from alexrepro.paper.training import STORED_PX
from alexrepro.recipes.recipe import Recipe


@dataclass(frozen=True)
class Weights:
    """Float32 tensors on the CPU by `<stage>.weight` and `<stage>.bias`, and what belongs to them.

    mean_image: float32 (3, 256, 256), RGB, 0-255, which crops are shown without; None where it is not known.
    classes: a name for each output, or None. wnids: what the outputs are called where they were trained, or None.
    """

    recipe: Recipe
    tensors: Mapping[str, Tensor]
    mean_image: Tensor | None = None
    classes: tuple[str, ...] | None = None
    wnids: tuple[str, ...] | None = None

    def network(self) -> AlexNet:
        """The network with these weights."""
        model = AlexNet(self.recipe.network)
        with torch.no_grad():
            for name, parameter in model.named_kernels().items():
                parameter.copy_(self.tensors[name])
        return model

    def named(self, classes: tuple[str, ...]) -> "Weights":
        """The same with other names of classes. Raises UserError if there are more or fewer than outputs."""
        outputs = self.recipe.network.classes
        if len(classes) != outputs:
            raise UserError(
                f"There are {len(classes):,} names for {outputs:,} classes.", fix="Give one a line, in their order."
            )
        return replace(self, classes=classes)


def checked(weights: Weights, path: Path) -> Weights:
    """The weights as they are, in float32, if they fit their recipe; the path is where they were read.

    Raises UserError naming the first tensor that is missing, foreign, of another shape, not of floats, or not finite.
    """
    with torch.device("meta"):
        wanted = {name: parameter.shape for name, parameter in AlexNet(weights.recipe.network).named_kernels().items()}
    odd = sorted(set(wanted) ^ set(weights.tensors))
    if odd:
        raise damaged(path, f"{odd[0]} {'is missing' if odd[0] in wanted else 'belongs to no stage'}")
    for name, tensor in weights.tensors.items():
        if tensor.shape != wanted[name]:
            raise damaged(path, f"{name} has the shape {tuple(tensor.shape)}, not {tuple(wanted[name])}")
    side_px = weights.recipe.augmentation.stored_px
    if weights.mean_image is not None and weights.mean_image.shape != (3, side_px, side_px):
        raise damaged(path, f"the mean image has the shape {tuple(weights.mean_image.shape)}")
    for names in filter(None, (weights.classes, weights.wnids)):
        if len(names) != weights.recipe.network.classes:
            raise damaged(path, f"it names {len(names)} classes for {weights.recipe.network.classes} outputs")
    mean = None if weights.mean_image is None else _as_float32(weights.mean_image, "mean_image", path)
    return replace(
        weights, tensors={name: _as_float32(weights.tensors[name], name, path) for name in wanted}, mean_image=mean
    )


def _as_float32(tensor: Tensor, name: str, path: Path) -> Tensor:
    if tensor.is_meta or tensor.layout is not torch.strided or not tensor.is_floating_point():
        kind = "no" if tensor.is_meta else str(tensor.dtype if tensor.layout is torch.strided else tensor.layout)
        raise damaged(path, f"{name} holds {kind.removeprefix('torch.')} values, not floating-point numbers")
    found = tensor.detach().float().contiguous()
    if not bool(found.isfinite().all()):
        raise damaged(path, f"{name} holds values that are not finite numbers")
    return found


def damaged(
    path: Path, what: str, *, fix: str = "Fetch or write it anew; the formats are in docs/how-to/use-known-weights.md."
) -> UserError:
    """The refusal of a file that does not hold the weights it should."""
    return UserError(f"{path} cannot be used: {what}.", fix=fix, exit_code=Exit.BAD_DATA)


def constant_mean(rgb: tuple[float, float, float]) -> Tensor:
    """A mean image (3, 256, 256) that is the same in every place."""
    return torch.tensor(rgb)[:, None, None].expand(3, STORED_PX, STORED_PX).contiguous()


def extra(module: str) -> Any:
    """A module of an optional library. Raises UserError saying how to install it."""
    try:
        return import_module(module)
    except ImportError:
        library = re.sub(r"^google\.", "", module).partition(".")[0]
        raise UserError(
            f"The library {library} is not installed.", fix="Install it with: pip install 'alexrepro[onnx]'."
        ) from None
