"""Weights with all that is needed to use them, and the .safetensors file that holds everything."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from alexrepro.errors import Exit, UserError
from alexrepro.model.alexnet import AlexNet
from alexrepro.paper.training import STORED_PX
from alexrepro.recipes.recipe import Recipe, from_text

MEAN = "mean_image"  # in a file


@dataclass(frozen=True)
class Weights:
    """Float32 tensors on the CPU by the names of `AlexNet.named_weights`, and their recipe.

    mean_image: float32 (3, 256, 256), RGB, 0-255, which is subtracted from crops; None if unknown.
    classes: a name for each output, or None. wnids: the outputs' WNIDs in training, or None.
    """

    recipe: Recipe
    tensors: Mapping[str, Tensor]
    mean_image: Tensor | None = None
    classes: tuple[str, ...] | None = None
    wnids: tuple[str, ...] | None = None

    def network(self) -> AlexNet:
        """The network with these weights."""
        model = AlexNet(self.recipe.network)
        model.load(self.tensors)
        return model

    def named(self, classes: tuple[str, ...]) -> "Weights":
        """These weights with other class names. Raises UserError unless there is one for each output."""
        outputs = self.recipe.network.classes
        if len(classes) != outputs:
            what = f"There are {len(classes):,} names for {outputs:,} classes."
            raise UserError(what, fix="Give one a line, in their order.")
        return replace(self, classes=classes)


def checked(weights: Weights, path: Path) -> Weights:
    """The weights in float32; raises UserError naming the first tensor of their file that does not fit the recipe."""
    network = weights.recipe.network
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in AlexNet(network).named_weights().items()}
    odd = sorted(set(shapes) ^ set(weights.tensors))
    if odd:
        raise damaged(path, f"{odd[0]} {'is missing' if odd[0] in shapes else 'belongs to no stage'}")
    for names in filter(None, (weights.classes, weights.wnids)):
        if len(names) != network.classes:
            raise damaged(path, f"it names {len(names)} classes for {network.classes} outputs")
    tensors = {name: _as_float32(weights.tensors[name], name, shape, path) for name, shape in shapes.items()}
    if (mean := weights.mean_image) is not None:
        mean = _as_float32(mean, MEAN, (3, *[weights.recipe.augmentation.stored_px] * 2), path)
    return replace(weights, tensors=tensors, mean_image=mean)


def _as_float32(tensor: Tensor, name: str, shape: tuple[int, ...], path: Path) -> Tensor:
    if tensor.shape != shape:
        raise damaged(path, f"{name} has the shape {tuple(tensor.shape)}, not {tuple(shape)}")
    if not tensor.is_floating_point():
        raise damaged(path, f"{name} holds {tensor.dtype} values, not floating-point numbers")
    found = tensor.detach().float().contiguous()
    if not bool(found.isfinite().all()):
        raise damaged(path, f"{name} holds values that are not finite numbers")
    return found


def write(weights: Weights, path: Path) -> None:
    """Write everything into one .safetensors file; recipe, class names and WNIDs go into its header."""
    means = {} if weights.mean_image is None else {MEAN: weights.mean_image}
    names = {"classes": weights.classes, "wnids": weights.wnids}
    header = {name: json.dumps(held, ensure_ascii=False) for name, held in names.items() if held is not None}
    path.write_bytes(save({**weights.tensors, **means}, metadata={"recipe": weights.recipe.to_toml(), **header}))


def logits(path: Path, crops: Tensor) -> Tensor:
    """The logits of the network in a file that `write` made."""
    return cast(Tensor, from_safetensors(*load_safetensors(path), path).network()(crops))


def load_safetensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header and the tensors of any .safetensors file. Raises UserError if it is damaged."""
    with undamaged(path), safe_open(path, framework="pt") as file:
        return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def from_safetensors(header: Mapping[str, str], tensors: dict[str, Tensor], path: Path) -> Weights:
    """The weights in a file that `write` made. Raises UserError for any other."""
    if "recipe" not in header:
        fix = "Name the run folder that it comes from, or a file that `alexrepro convert` wrote."
        raise UserError(f"The header of {path} names no recipe.", fix=fix)
    classes, wnids = (tuple(json.loads(header[name])) if name in header else None for name in ("classes", "wnids"))
    recipe = from_text(header["recipe"], path)
    return checked(Weights(recipe, tensors, tensors.pop(MEAN, None), classes, wnids), path)


def damaged(
    path: Path, what: str, *, fix: str = "Fetch or write it again; the formats are in docs/how-to/use-known-weights.md."
) -> UserError:
    """The error for a file that does not hold the weights it should."""
    return UserError(f"{path} cannot be used: {what}.", fix=fix, exit_code=Exit.BAD_DATA)


@contextmanager
def undamaged(path: Path) -> Iterator[None]:
    """Raise UserError where a library fails to read a file; each raises errors of many types, with long messages."""
    try:
        yield
    except PermissionError:
        raise
    except Exception as error:
        raise damaged(path, f"it is damaged ({' '.join(str(error).split())[:80]})") from None


def constant_mean(rgb: tuple[float, float, float]) -> Tensor:
    """A mean image (3, 256, 256) with the same color at every pixel."""
    return torch.tensor(rgb)[:, None, None].expand(3, STORED_PX, STORED_PX).contiguous()


def extra(module: str) -> Any:
    """A module of an optional library. Raises UserError saying how to install it."""
    try:
        return import_module(module)
    except ImportError:
        library = re.sub(r"^google\.", "", module).partition(".")[0]
        what, fix = f"The library {library} is not installed.", "Install it with: pip install 'alexrepro[onnx]'."
        raise UserError(what, fix=fix, exit_code=Exit.MISSING_INPUT) from None
