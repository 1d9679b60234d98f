"""Our own file: safetensors with `<stage>.weight`, `<stage>.bias` and `mean_image`.

The recipe and the names of the classes are in its header.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from alexrepro.errors import Refusal
from alexrepro.model.weights import Weights, checked, damaged
from alexrepro.recipes.recipe import Recipe, from_toml

MEAN = "mean_image"


def write(weights: Weights, path: Path) -> None:
    """Write everything into one file."""
    means = {} if weights.mean_image is None else {MEAN: weights.mean_image}
    header = {"recipe": weights.recipe.to_toml()}
    if weights.classes is not None:
        header["classes"] = json.dumps(weights.classes, ensure_ascii=False)
    save_file({**weights.tensors, **means}, path, metadata=header)


def read(path: Path) -> Weights:
    """The weights in a file that `write` made. Raises Refusal for any other."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        recipe = _recipe(header["recipe"], path)
        classes = tuple(map(str, json.loads(header["classes"]))) if "classes" in header else None
    except KeyError:
        raise Refusal(
            f"{path} does not say which recipe its network has.",
            fix="Name the run folder that it comes from, or a file that `alexrepro convert` wrote.",
        ) from None
    except (SafetensorError, ValueError, TypeError) as error:
        raise damaged(path, str(error)) from None
    return checked(Weights(recipe, tensors, tensors.pop(MEAN, None), classes), path)


def logits(path: Path, views: Tensor) -> Tensor:
    """What the network in the file says of the views."""
    found: Tensor = read(path).network()(views)
    return found


def _recipe(text: str, path: Path) -> Recipe:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.toml"
        file.write_text(text, encoding="utf-8")
        try:
            return from_toml(file)
        except Refusal as refusal:
            raise damaged(path, f"its recipe is not one ({refusal.what})") from None
