"""Known weights from file to prediction: Caffe's files against OpenCV's own reader, and damaged files."""

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from alexrepro.cli.app import app
from alexrepro.errors import Exit, UserError
from alexrepro.model.formats import caffe
from alexrepro.model.formats.caffe import read, read_mean

Array = NDArray[np.float32]
Tensors = Mapping[str, tuple[Array, Array]]
Version = Literal["layers", "layer"]

pytest.importorskip("google.protobuf")

# Caffe's stages, narrow: kind, maps, maps that one group reads, kernel.
STAGES = {
    "conv1": ("Convolution", 16, 3, 11), "conv2": ("Convolution", 16, 8, 5), "conv3": ("Convolution", 24, 16, 3),
    "conv4": ("Convolution", 24, 12, 3), "conv5": ("Convolution", 16, 12, 3), "fc6": ("InnerProduct", 32, 16 * 36, 0),
    "fc7": ("InnerProduct", 32, 32, 0), "fc8": ("InnerProduct", 10, 32, 0),
}  # fmt: skip
CONVOLUTIONS = {
    "conv1": "stride: 4", "conv2": "pad: 2 group: 2", "conv3": "pad: 1", "conv4": "pad: 1 group: 2",
    "conv5": "pad: 1 group: 2",
}  # fmt: skip
ORDERS = {"bvlc_alexnet": ("LRN", "Pooling"), "CaffeNet": ("Pooling", "LRN")}


def alexrepro(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def blob(array: Array, version: Version) -> Any:
    """A tensor as Caffe writes it: four numbers beside its values in the earlier files, a list of sizes later."""
    sizes = zip(("num", "channels", "height", "width"), (1,) * (4 - array.ndim) + array.shape, strict=True)
    shape = {"shape": {"dim": array.shape}} if version == "layer" else dict(sizes)
    return caffe._classes()["BlobProto"](data=array.ravel().tolist(), **shape)


def caffemodel(tensors: Tensors, order: tuple[str, str], version: Version, *, window: int = 5) -> bytes:
    """A file of Caffe's; OpenCV's own reader tells that it is one."""
    net = caffe._classes()["NetParameter"]()
    norm = {"local_size": window, "alpha": 0.02, "beta": 0.75}  # a strong α, so that a wrong window shows
    numbers = {kind: number for number, kind in caffe.KINDS.items()}
    for name, (kind, *_) in STAGES.items():
        layers = [{"name": name, "type": kind, "blobs": [blob(array, version) for array in tensors[name]]}]
        for other in order if name in {"conv1", "conv2"} else ():
            layers.append({"name": f"{other}-{name}", "type": other} | ({"lrn_param": norm} if other == "LRN" else {}))
        for layer in layers:
            getattr(net, version).add(**layer | ({"type": numbers[layer["type"]]} if version == "layers" else {}))
    return bytes(net.SerializeToString())


def prototxt(order: tuple[str, str]) -> str:
    """The same network for OpenCV, in Caffe's language."""
    layers: list[tuple[str, str, str]] = []
    settings = {
        "Pooling": "pooling_param { pool: MAX kernel_size: 3 stride: 2 }",
        "LRN": "lrn_param { local_size: 5 alpha: 0.02 beta: 0.75 }",
    }
    for name, (kind, maps, _, size) in STAGES.items():
        conv = f"convolution_param {{ num_output: {maps} kernel_size: {size} {CONVOLUTIONS.get(name)} }}"
        layers.append((name, kind, conv if size else f"inner_product_param {{ num_output: {maps} }}"))
        layers += [(f"relu-{name}", "ReLU", "")] if name != "fc8" else [("probabilities", "Softmax", "")]
        for other in {"conv1": order, "conv2": order, "conv5": ("Pooling",)}.get(name, ()):
            layers.append((f"{other}-{name}", other, settings[other]))
    lines, bottom = ['input: "data" input_dim: 1 input_dim: 3 input_dim: 227 input_dim: 227'], "data"
    for name, kind, more in layers:
        lines.append(f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}" {more} }}')
        bottom = name
    return "\n".join(lines)


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    """Random weights and biases; logits come out about one apart."""
    generator = np.random.default_rng(0)
    found = {}
    for name, (_, maps, seen, size) in STAGES.items():
        shape = (maps, seen, size, size) if size else (maps, seen)
        std = {"conv1": 0.03, "fc8": 0.02}.get(name, 1.5 / np.prod(shape[1:]) ** 0.5)
        weight, bias = generator.normal(0, std, shape), generator.normal(0, 0.5, maps)
        found[name] = (weight.astype(np.float32), bias.astype(np.float32))
    return found


@pytest.mark.parametrize("version", ["layers", "layer"])
@pytest.mark.parametrize("network", ORDERS)
def test_caffes_weights_predict_what_opencv_predicts(
    tensors: Tensors, tmp_path: Path, network: str, version: Version
) -> None:
    cv2 = pytest.importorskip("cv2")
    coarse = Image.fromarray(np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    coarse.resize((256, 256), Image.Resampling.BICUBIC).save(tmp_path / "image.png")  # lossless, and never resized
    mean = np.random.default_rng(2).uniform(90, 130, (3, 256, 256)).astype(np.float32)  # blue, green, red
    names = ("image.png", "net.caffemodel", "mean.binaryproto", "net.safetensors")
    image, model, mean_file, converted = (tmp_path / name for name in names)
    model.write_bytes(caffemodel(tensors, ORDERS[network], version))
    mean_file.write_bytes(blob(mean, "layers").SerializeToString())
    (tmp_path / "net.prototxt").write_text(prototxt(ORDERS[network]))
    reader = cv2.dnn.readNetFromCaffe(str(tmp_path / "net.prototxt"), str(model))
    whole = cv2.imread(str(image)).transpose(2, 0, 1).astype(np.float32) - mean
    reader.setInput(np.ascontiguousarray(whole[None, :, 14:241, 14:241]))
    expected = reader.forward()[0]

    assert alexrepro("convert", model, "--mean", mean_file, "--to", converted).exit_code == 0
    (predicted,) = json.loads(alexrepro("predict", image, "--weights", converted, "--json").stdout)["images"]

    found = {output["number"]: output["probability"] for output in predicted["top5"]}
    assert list(found) == expected.argsort()[::-1][:5].tolist()
    assert expected.max() < 0.99  # else a single class would hide every difference
    assert found == pytest.approx({number: expected[number] for number in found}, abs=1e-4)  # float32, two engines


BGR = np.array([104, 117, 123])


def test_a_mean_of_three_numbers_is_blue_green_red(tmp_path: Path) -> None:
    np.save(tmp_path / "mean.npy", BGR)

    found = read_mean(tmp_path / "mean.npy")

    assert found[:, 0, 0].tolist() == [123, 117, 104] == found[:, 255, 255].tolist()


ODD_MEANS: dict[str, tuple[Callable[[BinaryIO], object], str]] = {
    "an archive": (lambda file: np.savez(file, BGR), "it is damaged"),
    "objects": (lambda file: pickle.dump([1], file), "it is damaged"),
    "a cut archive": (lambda file: file.write(b"PK\x03\x04 and no more"), "it is damaged"),
    "another shape": (lambda file: np.save(file, np.ones((3, 8, 8))), r"a mean is \(3, 256, 256\) or \(3,\)"),
}


@pytest.mark.parametrize("kind", ODD_MEANS)
def test_an_odd_mean_is_bad_data(tmp_path: Path, kind: str) -> None:
    write, what = ODD_MEANS[kind]
    with (tmp_path / "mean.npy").open("wb") as file:
        write(file)

    with pytest.raises(UserError, match=what) as caught:
        read_mean(tmp_path / "mean.npy")

    assert caught.value.exit_code == Exit.BAD_DATA


def test_without_a_mean_a_file_is_written_but_nothing_predicted(tensors: Tensors, tmp_path: Path) -> None:
    (tmp_path / "net.caffemodel").write_bytes(caffemodel(tensors, ORDERS["CaffeNet"], "layer"))

    written = alexrepro("convert", tmp_path / "net.caffemodel", "--to", tmp_path / "net.safetensors", "--json")
    refused = alexrepro("predict", "any.png", "--weights", tmp_path / "net.safetensors").exception

    assert json.loads(written.stdout)["has_mean_image"] is False
    assert isinstance(refused, UserError)
    assert "--mean" in refused.fix


def odd_maps(tensors: Tensors) -> Tensors:
    weight, bias = tensors["conv2"]
    return {**tensors, "conv2": (weight[:15], bias[:15])}


HOSTILE: dict[str, Callable[[Tensors], bytes]] = {
    "truncated": lambda tensors: caffemodel(tensors, ORDERS["CaffeNet"], "layer")[:-100],
    "another network": lambda _: bytes(caffe._classes()["NetParameter"](layer=[{"name": "a"}]).SerializeToString()),
    "maps that do not divide": lambda tensors: caffemodel(odd_maps(tensors), ORDERS["CaffeNet"], "layer"),
    "an even window": lambda tensors: caffemodel(tensors, ORDERS["CaffeNet"], "layer", window=4),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_damaged_file_is_bad_data(tensors: Tensors, tmp_path: Path, kind: str) -> None:
    (tmp_path / "odd.caffemodel").write_bytes(HOSTILE[kind](tensors))

    with pytest.raises(UserError, match=r"odd\.caffemodel") as caught:
        read(tmp_path / "odd.caffemodel", mean=None)

    assert caught.value.exit_code == Exit.BAD_DATA
