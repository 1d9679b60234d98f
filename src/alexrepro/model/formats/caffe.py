"""Caffe's files: a .caffemodel of bvlc_alexnet or CaffeNet, and a mean as .binaryproto or .npy.

Tensors are laid out as in torch. Caffe reads BGR: conv1's input channels and the mean are reversed here.
"""

from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from alexrepro.errors import UserError
from alexrepro.model.formats.torchvision import imagenet_names
from alexrepro.model.weights import Weights, checked, constant_mean, damaged, extra, undamaged
from alexrepro.paper.training import STORED_PX
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.recipe import Recipe

KINDS = {4: "Convolution", 14: "InnerProduct", 15: "LRN", 17: "Pooling"}  # numbers in the earlier files


def read(path: Path, *, mean: Path | None) -> Weights:
    """The weights of an eight-stage network of Caffe, with the mean it was trained with if one is given.

    Widths, classes and the constants of normalization are those in the file; whether normalization comes before or
    after pooling tells bvlc_alexnet from CaffeNet. Raises UserError for other networks and damaged files.
    """
    net = _parsed("NetParameter", path)
    layers = [*net.layers, *net.layer]
    blobs = [[_array(blob, path) for blob in layer.blobs] for layer in layers if layer.blobs]
    stages = find_recipe("caffe-2013").network.stages
    if [len(pair) for pair in blobs] != [2] * len(stages) or any(weight.dim() < 2 for weight, _ in blobs):
        what = f"it has {len(blobs)} layers with weights; AlexNet has {len(stages)}, each with two tensors"
        raise damaged(path, what)
    tensors: dict[str, Tensor] = {}
    widths: dict[str, Any] = {}
    for stage, (weight, bias) in zip(stages, blobs, strict=True):
        # The earlier files write a full connection as (1, 1, outputs, inputs) and biases as (1, 1, 1, outputs).
        kernels = weight if stage.kind == "conv" else weight.reshape(weight.shape[-2:])
        tensors |= {f"{stage.name}.weight": kernels, f"{stage.name}.bias": bias.flatten()}
        widths[f"network.{stage.name}.maps"] = len(kernels)
    tensors["conv1.weight"] = tensors["conv1.weight"].flip(1)  # BGR -> RGB
    base, constants = _normalization(layers, path)
    try:
        recipe = base.but(widths | constants)
    except UserError as error:
        raise damaged(path, error.what.rstrip(".")) from None
    mean_image = None if mean is None else read_mean(mean)
    return checked(Weights(recipe, tensors, mean_image, imagenet_names(recipe.network.classes)), path)


def read_mean(path: Path) -> Tensor:
    """The mean of Caffe's training images as RGB, float32 (3, 256, 256), also if the file has one value per channel."""
    if path.suffix.lower() == ".npy":
        with path.open("rb") as file, undamaged(path):
            found = torch.from_numpy(np.lib.format.read_array(file, allow_pickle=False).astype(np.float32))
    else:
        found = _array(_parsed("BlobProto", path), path)
    if found.shape in {(3,), (1, 3, 1, 1)}:
        blue, green, red = found.flatten().tolist()
        return constant_mean((red, green, blue))
    if found.shape[-3:] != (3, STORED_PX, STORED_PX) or found.shape[:-3] not in {(), (1,)}:
        raise damaged(path, f"a mean is (3, {STORED_PX}, {STORED_PX}) or (3,), and this is {tuple(found.shape)}")
    return found.view(3, STORED_PX, STORED_PX).flip(0).contiguous()


def _normalization(layers: list[Any], path: Path) -> tuple[Recipe, dict[str, Any]]:
    """The recipe with the file's order of normalization and pooling, and the file's constants (§3.3)."""
    kinds = [KINDS.get(layer.type, layer.type) for layer in layers]
    norms = [layer.lrn_param for layer, kind in zip(layers, kinds, strict=True) if kind == "LRN"]
    if len(norms) != 2 or "Pooling" not in kinds:
        raise damaged(path, f"it has {len(norms)} layers of response normalization; AlexNet has 2, and pooling")
    constants = {(norm.local_size, norm.alpha, norm.beta, norm.k, norm.norm_region) for norm in norms}
    if len(constants) > 1 or norms[0].norm_region:
        raise damaged(path, "its normalizations differ, or run within a map")
    size, *floats, _ = constants.pop()
    rounded = [float(str(np.float32(value))) for value in floats]  # as it was typed: 1e-4, not 9.999999747e-05
    base = find_recipe("caffe-2013" if kinds.index("LRN") < kinds.index("Pooling") else "caffenet-2013")
    named = zip(("n", "alpha", "beta", "k"), (int(size), *rounded), strict=True)
    return base, {f"network.norm.{name}": value for name, value in named}


def _array(blob: Any, path: Path) -> Tensor:
    """A blob as float32 in its shape, which the earlier files write as four numbers."""
    values = blob.double_data or blob.data
    shape = tuple(blob.shape.dim) or (blob.num, blob.channels, blob.height, blob.width)
    if min(shape) < 1 or prod(shape) != len(values):
        raise damaged(path, f"a tensor of the shape {shape} has {len(values):,} values")
    return torch.from_numpy(np.fromiter(values, np.float32, count=len(values)).reshape(shape))


def _parsed(message: str, path: Path) -> Any:
    found, content = _classes()[message](), path.read_bytes()
    with undamaged(path):
        found.ParseFromString(content)
    return found


@cache
def _classes() -> dict[str, Any]:
    """A class for each message of caffe.pbtxt."""
    file = extra("google.protobuf.descriptor_pb2").FileDescriptorProto()
    text = Path(__file__).with_suffix(".pbtxt").read_text(encoding="utf-8")
    extra("google.protobuf.text_format").Parse(text, file)
    made = extra("google.protobuf.message_factory").GetMessages([file])
    return {name.removeprefix("caffe_fields."): message for name, message in made.items()}
