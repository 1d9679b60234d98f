"""The state dict of torchvision's alexnet: `features.0.weight` ... `classifier.6.bias`, read without running code."""

import argparse
import codecs
import io
import pathlib
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.models import AlexNet_Weights, alexnet

from alexrepro.errors import UserError
from alexrepro.model.formats.kinds import AS_STATE_DICT
from alexrepro.model.formats.state_dict import NAMES, alexnet_in
from alexrepro.model.weights import Weights, checked, constant_mean, damaged
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import Recipe, differences

# Plain values that training programs save beside the weights; making one runs nothing else.
PLAIN: list[Any] = [
    argparse.Namespace, pathlib.PosixPath, codecs.encode,
    np.dtype, np.ndarray, *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.bool_)),
    *(
        (made.__reduce__()[0], f"numpy.{core}.multiarray.{name}")
        for made, name in ((np.float64(0), "scalar"), (np.zeros(1), "_reconstruct"))
        for core in ("core", "_core")
    ),
]  # fmt: skip
MEAN_RGB = (123.675, 116.28, 103.53)  # 255 times 0.485, 0.456, 0.406
TRAINING_ONLY = ("initial", "dropout", "weight_std", "bias", "learning_rate_factor", "decay_factor")


def read(path: Path) -> Weights:
    """The weights in a checkpoint of torchvision's alexnet, with any number of classes.

    Raises UserError for a file that holds anything else; nothing in it is ever run.
    """
    return from_tensors(alexnet_in(_loaded(path), path), path)


def from_tensors(found: Mapping[str, Tensor], path: Path) -> Weights:
    """The weights of tensors by torchvision's names, as they were read from a path."""
    classes = len(found[NAMES["fc8.bias"]]) if found[NAMES["fc8.bias"]].dim() == 1 else 0
    if classes < 1:
        raise damaged(path, f"{NAMES['fc8.bias']} is no list of biases")
    tensors = {name: found[theirs] for name, theirs in NAMES.items()}
    try:
        recipe = find_recipe("one-weird-trick").for_classes(classes)
    except UserError as refusal:
        raise damaged(path, f"it has {classes:,} classes; {refusal.what.rstrip('.')}") from None
    return checked(Weights(recipe, tensors, constant_mean(MEAN_RGB), imagenet_names(classes)), path)


def _loaded(path: Path) -> Any:
    """What a file of torch holds: tensors and plain values. Raises UserError for anything else."""
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(PLAIN):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except Exception as error:  # hostile bytes make the reader raise anything from UnpicklingError to RuntimeError
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named:
            what = f"it holds a Python object, {named[1]}, and cannot be read without running code"
            raise damaged(path, what, fix=AS_STATE_DICT) from None
        raise damaged(path, "it is damaged, or no checkpoint of torch that is read without running code") from None


def imagenet_names(classes: int) -> tuple[str, ...] | None:
    """The names of the thousand classes of ILSVRC-2012 in the order of their WNIDs; None for any other number."""
    names = tuple(AlexNet_Weights.IMAGENET1K_V1.meta["categories"])
    return names if classes == len(names) else None


def write(weights: Weights, path: Path) -> None:
    """Write a state dict that torchvision's alexnet loads. Raises UserError if the network is another one."""
    _check(weights.recipe)
    content = io.BytesIO()  # torch tells of a full disk by a RuntimeError
    torch.save({theirs: weights.tensors[name].clone() for name, theirs in NAMES.items()}, content)
    path.write_bytes(content.getbuffer())


def logits(path: Path, crops: Tensor) -> Tensor:
    """What torchvision's own network says of the crops with the weights in the file."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    model = alexnet(num_classes=len(state[NAMES["fc8.bias"]])).eval()
    model.load_state_dict(state)
    found: Tensor = model(crops / torch.tensor(find_recipe("one-weird-trick").network.input_std)[:, None, None])
    return found


def _check(recipe: Recipe) -> None:
    like = find_recipe("one-weird-trick").for_classes(recipe.network.classes)
    found = [
        f"{path} is {ours}, not {theirs}"
        for path, (theirs, ours) in differences(like, recipe).items()
        if path.startswith("network.") and path.rpartition(".")[2] not in TRAINING_ONLY
    ]
    if found:
        more = f" ({len(found)} such fields)" if len(found) > 1 else ""
        raise UserError(
            f"torchvision's alexnet cannot hold the network of {recipe.name}: {found[0]}{more}.",
            fix="Write it as .safetensors or .onnx.",
        )
