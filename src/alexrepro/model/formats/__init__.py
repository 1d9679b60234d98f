"""Weights in and out: which file holds what, and the proof that a written file says what the network says."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path

import torch
from torch import Tensor, nn

from alexrepro.errors import Exit, UserError
from alexrepro.files import reading, write_whole
from alexrepro.model.formats import caffe, onnx, own, torchvision
from alexrepro.model.formats.kinds import kind_of
from alexrepro.model.weights import Weights

CROPS = 2  # shown to a written file
CROP_STD = 60.0  # gray levels, about that of photographs minus their mean


@dataclass(frozen=True)
class Format:
    """A way to write weights: how, what reads them back, and the greatest difference in the logits that is allowed.

    The tolerance is a share of the largest logit.
    """

    write: Callable[[Weights, Path], None]
    logits: Callable[[Path, Tensor], Tensor]
    reader: str
    tolerance: float


@dataclass(frozen=True)
class Proof:
    """How a written file was checked: by what, and the largest difference as a share of the largest logit."""

    reader: str
    difference: float
    tolerance: float


def read(path: Path, *, mean: Path | None = None) -> Weights:
    """The weights in a file of any kind that can be read; `mean` belongs to Caffe's, whose files hold none.

    Raises UserError if the file is missing, of no known kind, or does not hold a network that is known here.
    """
    for needed in filter(None, (path, mean)):
        with reading(needed):
            needed.stat()
        if not needed.is_file():
            what = f"{needed} is a folder or a device, not a file."
            raise UserError(what, fix="Check the path.", exit_code=Exit.MISSING_INPUT)
    kind = kind_of(path)
    if mean is not None and kind != "caffe":
        raise UserError(
            f"--mean belongs to a .caffemodel; the mean of {path} is known.", fix="Leave it out.", exit_code=Exit.USAGE
        )
    match kind:
        case "safetensors":
            return own.read(path)
        case "torch":
            return torchvision.read(path)
        case "caffe":
            return caffe.read(path, mean=mean)


def write(weights: Weights, path: Path, *, lrn: onnx.Form) -> Proof:
    """Write weights in the format that the ending names, and read them back before the file gets its name.

    Raises UserError if the format cannot hold the network, or if the file that was written gives other logits.
    """
    formats = {
        ".safetensors": Format(own.write, own.logits, "alexrepro", 0.0),  # the same bits
        ".pth": Format(torchvision.write, torchvision.logits, "torchvision", 1e-5),  # float32 sums in another order
        ".onnx": Format(partial(onnx.write, lrn=lrn), onnx.logits, "onnxruntime", 1e-4),  # and another power
    }
    if path.suffix.lower() not in formats or path.is_dir():
        raise UserError(
            f"{path} is not the name of a file with one of the endings {', '.join(formats)}.",
            fix="Name such a file; see: alexrepro convert --help.",
            exit_code=Exit.USAGE,
        )
    form = formats[path.suffix.lower()]
    proofs: list[Proof] = []

    def fill(temporary: Path) -> None:
        for shown in (loud(weights), weights):
            form.write(shown, temporary)
            proofs.append(_prove(form, shown, temporary))

    write_whole(path, fill)
    return max(proofs, key=lambda proof: proof.difference)


@torch.no_grad()
def loud(weights: Weights) -> Weights:
    """The same network with other weights, whose signal is as strong in every stage as in the crops.

    With weights as they are at first, the logits may be next to nothing but biases, and a file that lacks a stage's
    normalization gives almost the same.
    """
    model, generator = weights.network(), torch.Generator().manual_seed(1)
    target = CROP_STD if weights.recipe.network.activation == "relu" else 1.0

    def redraw(module: nn.Module, crops: tuple[Tensor, ...], _: Tensor) -> Tensor:
        for name, parameter in module.named_parameters():
            parameter.normal_(0.0, float(name == "weight"), generator=generator)
        std = float(module.forward(*crops).std())
        for name, parameter in module.named_parameters():
            parameter.mul_(target / std) if name == "weight" else parameter.normal_(
                0.0, target / 4, generator=generator
            )
        found: Tensor = module.forward(*crops)
        return found

    for name, module in model.stages.named_modules():
        if name.rpartition(".")[2] in {"kernels", "side"}:
            module.register_forward_hook(redraw)
    model(_crops(weights))
    return replace(weights, tensors={name: tensor.detach() for name, tensor in model.named_kernels().items()})


def _crops(weights: Weights) -> Tensor:
    network = weights.recipe.network
    shape = (CROPS, network.channels, network.input_px, network.input_px)
    return CROP_STD * torch.randn(shape, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def _prove(form: Format, weights: Weights, path: Path) -> Proof:
    crops = _crops(weights)
    ours, theirs = weights.network()(crops), form.logits(path, crops)
    largest = float(ours.abs().max())
    difference = float((ours - theirs).abs().max()) / (largest or 1.0) if ours.shape == theirs.shape else inf
    if not difference <= form.tolerance:  # a difference that is not a number is refused, too
        raise UserError(
            f"{form.reader} makes other logits of the written file: they differ by {difference:.1e} of the largest.",
            fix="Nothing was kept. Try another format; the library may have a fault.",
            exit_code=Exit.BAD_DATA,
        )
    return Proof(form.reader, difference, form.tolerance)
