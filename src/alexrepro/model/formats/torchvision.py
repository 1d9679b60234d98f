"""The state dict of torchvision's alexnet: `features.0.weight` ... `classifier.6.bias`, read without running code."""

from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import AlexNet_Weights, alexnet

from alexrepro.errors import Refusal
from alexrepro.model.weights import Weights, checked, constant_mean, damaged
from alexrepro.recipes.recipe import Recipe, differences
from alexrepro.recipes.successors import ONE_WEIRD_TRICK

MODULES = {
    "conv1": "features.0", "conv2": "features.3", "conv3": "features.6", "conv4": "features.8",
    "conv5": "features.10", "fc6": "classifier.1", "fc7": "classifier.4", "fc8": "classifier.6",
}  # fmt: skip
NAMES = {f"{stage}.{part}": f"{module}.{part}" for stage, module in MODULES.items() for part in ("weight", "bias")}
MEAN_RGB = (123.675, 116.28, 103.53)  # 255 times 0.485, 0.456, 0.406
TRAINING_ONLY = ("initial", "dropout", "weight_std", "bias", "rate_factor", "decay_factor")


def read(path: Path) -> Weights:
    """The weights in a state dict of torchvision's alexnet, with any number of classes.

    Raises Refusal for a file that holds anything else; nothing in it is ever run.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except Exception as error:  # hostile bytes make the reader raise anything from UnpicklingError to RuntimeError
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise damaged(path, f"it is not a state dict that can be read without running code ({reason})") from None
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise damaged(path, "it is not a state dict, a name for each tensor")
    odd = sorted(set(NAMES.values()) ^ set(map(str, found)))
    if odd:
        raise damaged(path, f"torchvision's alexnet has other tensors; the first that differs is {odd[0]}")
    classes = len(found[NAMES["fc8.bias"]]) if found[NAMES["fc8.bias"]].dim() == 1 else 0
    if classes < 1:
        raise damaged(path, f"{NAMES['fc8.bias']} is no list of biases")
    tensors = {name: found[theirs] for name, theirs in NAMES.items()}
    recipe = ONE_WEIRD_TRICK.for_classes(classes)
    return checked(Weights(recipe, tensors, constant_mean(MEAN_RGB), imagenet_names(classes)), path)


def imagenet_names(classes: int) -> tuple[str, ...] | None:
    """The names of the thousand classes of ILSVRC-2012 in the order of their WNIDs; None for any other number."""
    names = tuple(AlexNet_Weights.IMAGENET1K_V1.meta["categories"])
    return names if classes == len(names) else None


def write(weights: Weights, path: Path) -> None:
    """Write a state dict that torchvision's alexnet loads. Raises Refusal if the network is another one."""
    _check(weights.recipe)
    torch.save({theirs: weights.tensors[name].clone() for name, theirs in NAMES.items()}, path)


def logits(path: Path, views: Tensor) -> Tensor:
    """What torchvision's own network says of the views with the weights in the file."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    model = alexnet(num_classes=len(state[NAMES["fc8.bias"]])).eval()
    model.load_state_dict(state)
    found: Tensor = model(views / torch.tensor(ONE_WEIRD_TRICK.network.input_std)[:, None, None])
    return found


def _check(recipe: Recipe) -> None:
    found = [
        f"{path} is {ours}, not {theirs}"
        for path, (theirs, ours) in differences(ONE_WEIRD_TRICK.for_classes(recipe.network.classes), recipe).items()
        if path.startswith("network.") and path.rpartition(".")[2] not in TRAINING_ONLY
    ]
    if found:
        more = f" ({len(found)} such fields)" if len(found) > 1 else ""
        raise Refusal(
            f"torchvision's alexnet cannot hold the network of {recipe.name}: {found[0]}{more}.",
            fix="Write it as .safetensors or .onnx.",
        )
