"""Our own file: safetensors with `<stage>.weight`, `<stage>.bias` and `mean_image`.

The recipe, the names of the classes and their WNIDs are in its header.
"""

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from alexrepro.errors import UserError
from alexrepro.model.formats import torchvision
from alexrepro.model.formats.state_dict import alexnet_in
from alexrepro.model.weights import Weights, checked, damaged
from alexrepro.recipes.recipe import Recipe, from_text

MEAN = "mean_image"


def write(weights: Weights, path: Path) -> None:
    """Write everything into one file."""
    means = {} if weights.mean_image is None else {MEAN: weights.mean_image}
    header = {"recipe": weights.recipe.to_toml()}
    for name, names in (("classes", weights.classes), ("wnids", weights.wnids)):
        if names is not None:
            header[name] = json.dumps(names, ensure_ascii=False)
    path.write_bytes(save({**weights.tensors, **means}, metadata=header))


def read(path: Path) -> Weights:
    """The weights in a file that `write` made, or of torchvision's alexnet. Raises UserError for any other."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except PermissionError:
        raise
    except Exception as error:  # a header makes the reader raise anything from SafetensorError to AttributeError
        raise damaged(path, f"it is damaged ({str(error).splitlines()[0][:80]})") from None
    if "recipe" not in header:
        if not tensors.keys() >= {"conv1.weight", "conv1.bias"}:
            return torchvision.from_tensors(alexnet_in(tensors, path), path)
        raise UserError(
            f"{path} does not say which recipe its network has.",
            fix="Name the run folder that it comes from, or a file that `alexrepro convert` wrote.",
        )
    recipe = _recipe(header["recipe"], path)
    classes, wnids = (_names(header, name, path) for name in ("classes", "wnids"))
    return checked(Weights(recipe, tensors, tensors.pop(MEAN, None), classes, wnids), path)


def _names(header: dict[str, str], name: str, path: Path) -> tuple[str, ...] | None:
    if name not in header:
        return None
    try:
        return tuple(map(str, json.loads(header[name])))
    except (ValueError, TypeError, RecursionError):
        raise damaged(path, "the names of its classes are no list") from None


def logits(path: Path, crops: Tensor) -> Tensor:
    """What the network in the file says of the crops."""
    found: Tensor = read(path).network()(crops)
    return found


def _recipe(text: str, path: Path) -> Recipe:
    try:
        return from_text(text, path)
    except UserError as refusal:
        raise damaged(path, f"its recipe is not one ({refusal.what.rstrip('.')})") from None
