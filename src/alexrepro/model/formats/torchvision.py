"""Torchvision's alexnet: `features.0.weight` ... `classifier.6.bias` in a state dict, read without running code."""

import argparse
import codecs
import io
import pathlib
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from alexrepro.errors import UserError
from alexrepro.model.weights import Weights, checked, constant_mean, damaged
from alexrepro.progress import say
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import differences

MODULES = {
    "conv1": "features.0", "conv2": "features.3", "conv3": "features.6", "conv4": "features.8",
    "conv5": "features.10", "fc6": "classifier.1", "fc7": "classifier.4", "fc8": "classifier.6",
}  # fmt: skip
NAMES = {f"{stage}.{part}": f"{module}.{part}" for stage, module in MODULES.items() for part in ("weight", "bias")}
FIRST = NAMES["conv1.weight"]
WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
# Plain values that training programs save next to the weights; loading them runs no other code.
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
AS_STATE_DICT = "Where it can be loaded, save its tensors alone: torch.save(model.state_dict(), 'weights.pth')."
ELSEWHERE = "Fetch the same network as .safetensors, as .pth of torchvision's alexnet, or as .caffemodel."


def weights_in(content: Any, path: Path) -> Weights:
    """The weights of torchvision's alexnet with any number of classes, in what a file holds. Raises UserError."""
    found = alexnet_in(content, path)
    classes = found[NAMES["fc8.bias"]].numel()
    recipe = find_recipe("one-weird-trick").for_classes(classes)
    tensors = {name: found[theirs] for name, theirs in NAMES.items()}
    return checked(Weights(recipe, tensors, constant_mean(MEAN_RGB), imagenet_names(classes)), path)


def load(path: Path) -> Any:
    """What a file of torch holds: tensors and plain values. Raises UserError for anything else."""
    try:
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals(PLAIN):
            return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except Exception as error:  # the reader raises anything from UnpicklingError to RuntimeError
        if "TorchScript" in str(error):
            raise damaged(path, "it is a TorchScript archive, which holds code", fix=AS_STATE_DICT) from None
        if named := re.search(r"GLOBAL ([\w.]+)", str(error)):
            what = f"it holds a Python object, {named[1]}, and cannot be read without running code"
            raise damaged(path, what, fix=AS_STATE_DICT) from None
        what = "it is incomplete, or not a checkpoint of torch that can be read without running code"
        raise damaged(path, what) from None


def alexnet_in(found: Any, path: Path) -> dict[str, Tensor]:
    """The tensors of torchvision's alexnet, by its names, in a state dict or a checkpoint that holds one.

    Of several entries that fit, the first one that is not a moving average (`ema`) is taken.
    """
    tensors = dict(_named_tensors(found))
    if not tensors:
        raise damaged(path, "it is not a state dict, with a name for each tensor")
    entries = {}
    for prefix in [name.removesuffix(FIRST) for name in tensors if f".{name}".endswith(f".{FIRST}")]:
        parts = (f"{prefix}features.", f"{prefix}classifier.")
        entries[prefix] = {n.removeprefix(prefix): tensor for n, tensor in tensors.items() if n.startswith(parts)}
    fitting = [prefix for prefix, held in entries.items() if held.keys() == set(NAMES.values())]
    if not fitting:
        odd = sorted(set(NAMES.values()) ^ max(entries.values(), key=len, default=tensors).keys())
        what = f"it does not hold torchvision's alexnet; the first tensor that differs is {odd[0]!r:.80}"
        raise damaged(path, what, fix=ELSEWHERE)
    chosen, *others = sorted(fitting, key=lambda prefix: "ema" in re.split(r"[._]", prefix.lower()))
    if others:
        ignored = ", ".join(repr(other.rstrip(".")) for other in others)
        say(f"{path}: reading the weights under {chosen.rstrip('.')!r}, ignoring those under {ignored}.")
    return entries[chosen]


def _named_tensors(found: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor in dicts and lists with the keys that lead to it, without those of DDP, FSDP or torch.compile."""
    items = found.items() if isinstance(found, Mapping) else enumerate(found) if isinstance(found, list | tuple) else ()
    for key, value in items:
        name = ".".join(word for word in f"{prefix}{key}".split(".") if word and word not in WRAPPERS)
        if isinstance(value, Tensor) and isinstance(key, str):
            yield name, value
        else:
            yield from _named_tensors(value, f"{name}." if name else "")


def imagenet_names(classes: int) -> tuple[str, ...] | None:
    """The names of the thousand classes of ILSVRC-2012 in the order of their WNIDs; None for any other number."""
    from torchvision.models import AlexNet_Weights  # 100 MB, which an evaluation of a run does without

    names = tuple(AlexNet_Weights.IMAGENET1K_V1.meta["categories"])
    return names if classes == len(names) else None


def write(weights: Weights, path: Path) -> None:
    """Write a state dict that torchvision's alexnet loads. Raises UserError if the network is another one."""
    recipe = weights.recipe
    like = find_recipe("one-weird-trick").for_classes(recipe.network.classes)
    found = [
        f"{path} is {ours}, not {theirs}"
        for path, (theirs, ours) in differences(like, recipe).items()
        if path.startswith("network.") and path.rpartition(".")[2] not in TRAINING_ONLY
    ]
    if found:
        more = f" (and {len(found) - 1} more fields differ)" if found[1:] else ""
        what = f"torchvision's alexnet cannot hold the network of {recipe.name}: {found[0]}{more}."
        fix = "Write it as .safetensors or .onnx; torchvision's network is trained by: alexrepro train one-weird-trick."
        raise UserError(what, fix=fix)
    content = io.BytesIO()  # torch reports a full disk as a RuntimeError
    torch.save({theirs: weights.tensors[name].clone() for name, theirs in NAMES.items()}, content)
    path.write_bytes(content.getbuffer())


def logits(path: Path, crops: Tensor) -> Tensor:
    """The logits that torchvision's own network computes with the file."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    from torchvision.models import alexnet

    model = alexnet(num_classes=len(state[NAMES["fc8.bias"]])).eval()
    model.load_state_dict(state)
    std = torch.tensor(find_recipe("one-weird-trick").network.input_std)[:, None, None]
    return cast(Tensor, model(crops / std))
