"""Weights in and out: the kind of a file from its first bytes, and the check that a written file gives our logits."""

import re
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from alexrepro.errors import Exit, UserError
from alexrepro.files import reading, write_whole
from alexrepro.model import weights as own
from alexrepro.model.formats import caffe, onnx, torchvision
from alexrepro.model.formats.torchvision import ELSEWHERE
from alexrepro.model.weights import Weights, damaged, from_safetensors, load_safetensors

CROPS = 2  # that a written file is checked with
CROP_STD = 60.0  # gray levels, about that of images minus their mean
HEAD_BYTES = 512
# Patterns of first bytes: kinds that can be read, or what such a file is and what to do. The first match decides.
KINDS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\x1f\x8b|.{257}ustar", "it is an archive", "Unpack it first, and name the file in it."),
    (rb"version https://git-lfs", "it is a pointer of Git LFS, not the file itself", "Fetch it with: git lfs pull."),
    (rb"\s*(?i:<!doctype html|<html|<\?xml|<head)", "it is a web page", "Download the file; the page may say why."),
    (rb"[\t\n\r -~]+\Z", "it is a text file", ELSEWHERE),
    (rb".{4}\0{4}\{", "safetensors", ""),
    (rb"PK\x03\x04|\x80", "torch", ""),  # \x80: a pickle, as torch wrote before 2020
)
ENDINGS = {
    ".safetensors": "safetensors", ".caffemodel": "caffe",
    ".pth": "torch", ".pt": "torch", ".bin": "torch", ".ckpt": "torch", ".tar": "torch",
}  # fmt: skip


@dataclass(frozen=True)
class Proof:
    """How a written file was checked: the reader, and the largest difference relative to the largest logit."""

    reader: str
    difference: float
    tolerance: float


def read(path: Path, *, mean: Path | None = None) -> Weights:
    """The weights in a file of any kind that can be read; `mean` is for Caffe's, whose files hold none.

    Raises UserError if the file is missing, of no known kind, or does not hold a network that is known here.
    """
    for needed in filter(None, (path, mean)):
        with reading(needed):
            needed.open("rb").close()
    if (kind := kind_of(path)) == "caffe":
        return caffe.read(path, mean=mean)
    if mean is not None:
        what = f"--mean belongs to a .caffemodel; the mean of {path} is known."
        raise UserError(what, fix="Leave it out.", exit_code=Exit.USAGE)
    if kind == "torch":
        return torchvision.weights_in(torchvision.load(path), path)
    header, tensors = load_safetensors(path)
    if "recipe" in header or "conv1.weight" in tensors:
        return from_safetensors(header, tensors, path)
    return torchvision.weights_in(tensors, path)


def kind_of(path: Path) -> str:
    """The kind of a file of weights. Raises UserError saying what it is if it cannot be read."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    for pattern, what, fix in KINDS:
        if re.match(pattern, head, re.DOTALL):
            if fix:
                raise damaged(path, what, fix=fix)
            return what
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise UserError(
            f"{path.name} does not begin like a file of weights, and its ending is none of {', '.join(ENDINGS)}.",
            fix="Name a file of one of these kinds; see: alexrepro convert --help.",
            exit_code=Exit.USAGE,
        )
    return ENDINGS[ending]


def write(weights: Weights, path: Path) -> Proof:
    """Write weights in the format that the ending names, and read them back before the file gets its name.

    Raises UserError if the format cannot hold the network, or if the written file gives other logits.
    """
    formats = {  # module, reader, and the largest difference allowed
        ".safetensors": (own, "alexrepro", 0.0),
        ".pth": (torchvision, "torchvision", 1e-5),  # float32 sums in another order
        ".onnx": (onnx, "onnxruntime", 1e-4),  # and another power
    }
    if path.suffix.lower() not in formats or path.is_dir():
        what = f"{path} is not the name of a file with one of the endings {', '.join(formats)}."
        raise UserError(what, fix="Name such a file; see: alexrepro convert --help.", exit_code=Exit.USAGE)
    module, reader, tolerance = formats[path.suffix.lower()]
    differences: list[float] = []

    def fill(temporary: Path) -> None:
        for given in (_loud(weights), weights):
            module.write(given, temporary)
            crops = _crops(given)
            ours, theirs = given.network()(crops), module.logits(temporary, crops)
            error = float((ours - theirs).abs().max()) if ours.shape == theirs.shape else inf
            differences.append(error / (float(ours.abs().max()) or 1.0))
            if not differences[-1] <= tolerance:  # NaN is refused, too
                what = f"{reader} computes other logits from the written file: they differ by {differences[-1]:.1e}"
                fix = "Nothing was kept. Try another format; the library may have a bug."
                raise UserError(f"{what} of the largest.", fix=fix, exit_code=Exit.BAD_DATA)

    write_whole(path, torch.no_grad()(fill))
    return Proof(reader, max(differences), tolerance)


@torch.no_grad()
def _loud(weights: Weights) -> Weights:
    """The same network with weights that keep the signal strong in every stage.

    Initial weights give logits that are almost only biases: a file that lacks a normalization would pass.
    """
    model, generator = weights.network(), torch.Generator().manual_seed(1)
    target = CROP_STD if weights.recipe.network.activation == "relu" else 1.0

    def redraw(module: nn.Module, crops: tuple[Tensor, ...], _: Tensor) -> Tensor:
        weight, *biases = module.parameters()
        weight.normal_(generator=generator)
        for bias in biases:
            bias.zero_()
        weight.mul_(target / module.forward(*crops).std())
        for bias in biases:
            bias.normal_(0.0, target / 4, generator=generator)
        return cast(Tensor, module.forward(*crops))

    for name, module in model.stages.named_modules():
        if name.rpartition(".")[2] in {"kernels", "side"}:
            module.register_forward_hook(redraw)
    for name, tensor in model.named_weights().items():  # of batch or layer normalization
        if name.endswith((".gain", ".running_var")):
            tensor.uniform_(0.5, 2.0, generator=generator)
        elif name.endswith((".shift", ".running_mean")):
            tensor.normal_(0.0, target / 4, generator=generator)
    model(_crops(weights))
    return replace(weights, tensors={name: tensor.detach() for name, tensor in model.named_weights().items()})


def _crops(weights: Weights) -> Tensor:
    network = weights.recipe.network
    shape = (CROPS, network.channels, network.input_px, network.input_px)
    return CROP_STD * torch.randn(shape, generator=torch.Generator().manual_seed(0))
