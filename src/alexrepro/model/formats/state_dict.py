"""Torchvision's alexnet in the checkpoints of other programs: deep in a dict, and under longer names.

DataParallel, DDP, FSDP and torch.compile put words into the names of tensors, and a training program puts its model
into an attribute; training programs save the state dict beside the optimizer's.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from alexrepro.errors import UserError
from alexrepro.model.formats.kinds import ELSEWHERE
from alexrepro.model.weights import damaged
from alexrepro.progress import say

MODULES = {
    "conv1": "features.0", "conv2": "features.3", "conv3": "features.6", "conv4": "features.8",
    "conv5": "features.10", "fc6": "classifier.1", "fc7": "classifier.4", "fc8": "classifier.6",
}  # fmt: skip
NAMES = {f"{stage}.{part}": f"{module}.{part}" for stage, module in MODULES.items() for part in ("weight", "bias")}
FIRST = NAMES["conv1.weight"]
WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}  # words put into names
DEEPEST = 5  # dicts in dicts
OTHERS = (  # what stands in the names of the tensors of other networks
    (r"layer4\.0\.", "a ResNet"),
    (r"denseblock", "a DenseNet"),
    (r"Mixed_5b|inception3a", "an Inception network"),
    (r"encoder_layer_0|blocks\.0\.attn|encoder\.layer\.0\.", "a transformer"),
    (r"features\.3\.squeeze", "a SqueezeNet"),
    (r"features\.1\.conv\.0|features\.4\.block", "a MobileNet"),
    (r"_blocks\.0\.|features\.1\.0\.block|blocks\.0\.0\.", "an EfficientNet"),
    (r"stages\.3\.|features\.7\.0\.layer_scale", "a ConvNeXt"),
    (r"features\.(16|28)\.weight", "a VGG network"),
    (r"_packed_params|zero_point|\.SCB$", "a quantized network"),
)


def alexnet_in(found: Any, path: Path) -> dict[str, Tensor]:
    """The tensors of torchvision's alexnet, by its names, in what a file holds.

    Raises UserError saying what is there instead. Where several entries of a checkpoint fit, as with a moving average
    of the weights, it is the first one that is not called so.
    """
    entries = list(_state_dicts(found))
    fitting = [(f"{where}{prefix}", tensors) for where, held in entries for prefix, tensors in _matched(held)]
    if not fitting:
        raise _misfit(path, max((held for _, held in entries), key=len, default={}))
    (where, tensors), *others = sorted(fitting, key=lambda entry: "ema" in re.split(r"[._]", entry[0].lower()))
    if others:
        left = ", ".join(repr(other.rstrip(".")) for other, _ in others)
        say(f"{path}: the weights under {where.rstrip('.')!r} are read; those under {left} are left out.")
    return tensors


def _state_dicts(found: Any, where: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every dict, however deep, that holds tensors by name, with the keys that lead to it."""
    if isinstance(found, list | tuple):
        found = dict(enumerate(found))
    if not isinstance(found, Mapping) or depth > DEEPEST:
        return
    held = {name: value for name, value in found.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if held:
        yield where, held
    for name, value in found.items():
        yield from _state_dicts(value, f"{where}{name}.", depth + 1)


def _matched(held: Mapping[str, Tensor]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The tensors under each prefix below which exactly the names of alexnet are found, the shortest prefix first."""
    plain = {".".join(word for word in name.split(".") if word not in WRAPPERS): name for name in held}
    prefixes = [name.removesuffix(FIRST) for name in plain if f".{name}".endswith(f".{FIRST}")]
    for prefix in sorted(prefixes, key=len):
        inner = tuple(other for other in prefixes if other.startswith(prefix) and other != prefix)
        below = {name for name in plain if name.startswith(prefix) and not (inner and name.startswith(inner))}
        if {name.removeprefix(prefix) for name in below} == set(NAMES.values()):
            yield prefix, {name.removeprefix(prefix): held[plain[name]] for name in below}


def _misfit(path: Path, held: Mapping[str, Tensor]) -> UserError:
    if not held:
        return damaged(path, "it is not a state dict, a name for each tensor")
    network = next((network for part, network in OTHERS if any(re.search(part, name) for name in held)), None)
    if network:
        return damaged(path, f"it holds {network}, not torchvision's alexnet", fix=ELSEWHERE)
    odd = sorted(set(NAMES.values()) ^ set(held))
    return damaged(path, f"torchvision's alexnet has other tensors; the first that differs is {odd[0][:80]!r}")
