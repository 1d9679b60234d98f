"""Weights in and out: which file holds what, and the proof that a written file says what the network says."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from alexrepro.errors import Exit, Refusal
from alexrepro.files import write_whole
from alexrepro.model.formats import caffe, onnx, own, torchvision
from alexrepro.model.weights import Weights

READABLE = (".safetensors", ".pth", ".pt", ".caffemodel")
VIEWS = 2  # shown to a written file
VIEW_STD = 60.0  # gray levels, about that of photographs minus their mean


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
    """The weights in a file, recognised by its ending; `mean` belongs to Caffe's, whose files hold none.

    Raises Refusal if the file is missing, of no known kind, or does not hold what its ending says.
    """
    for needed in filter(None, (path, mean)):
        if not needed.is_file():
            raise Refusal(f"There is no file {needed}.", fix="Check the path.", exit_code=Exit.MISSING_INPUT)
    if mean is not None and path.suffix != ".caffemodel":
        raise Refusal(
            f"--mean belongs to a .caffemodel; the mean of {path} is known.", fix="Leave it out.", exit_code=Exit.USAGE
        )
    match path.suffix:
        case ".safetensors":
            return own.read(path)
        case ".pth" | ".pt":
            return torchvision.read(path)
        case ".caffemodel":
            return caffe.read(path, mean=mean)
    raise _unknown(path, READABLE)


def write(weights: Weights, path: Path, *, lrn: onnx.Form) -> Proof:
    """Write weights in the format that the ending names, and read them back before the file gets its name.

    Raises Refusal if the format cannot hold the network, or if the file that was written gives other logits.
    """
    formats = {
        ".safetensors": Format(own.write, own.logits, "alexrepro", 0.0),  # the same bits
        ".pth": Format(torchvision.write, torchvision.logits, "torchvision", 1e-5),  # float32 sums in another order
        ".onnx": Format(partial(onnx.write, lrn=lrn), onnx.logits, "onnxruntime", 1e-4),  # and another power
    }
    if path.suffix not in formats:
        raise _unknown(path, tuple(formats))
    form = formats[path.suffix]
    proofs: list[Proof] = []

    def fill(temporary: Path) -> None:
        form.write(weights, temporary)
        proofs.append(_prove(form, weights, temporary))

    write_whole(path, fill)
    return proofs[0]


@torch.no_grad()
def _prove(form: Format, weights: Weights, path: Path) -> Proof:
    network = weights.recipe.network
    shape = (VIEWS, network.channels, network.input_px, network.input_px)
    views = VIEW_STD * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    ours, theirs = weights.network()(views), form.logits(path, views)
    largest = float(ours.abs().max())
    difference = float((ours - theirs).abs().max()) / (largest or 1.0)
    if not difference <= form.tolerance:  # a difference that is not a number is refused, too
        raise Refusal(
            f"{form.reader} makes other logits of the written file: they differ by {difference:.1e} of the largest.",
            fix="Nothing was kept. Try another format; the library may have a fault.",
            exit_code=Exit.BAD_DATA,
        )
    return Proof(form.reader, difference, form.tolerance)


def _unknown(path: Path, endings: tuple[str, ...]) -> Refusal:
    return Refusal(
        f"{path.name} has none of the endings {', '.join(endings)}.",
        fix="Name a file of one of these kinds; see: alexrepro convert --help.",
        exit_code=Exit.USAGE,
    )
