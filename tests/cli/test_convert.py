"""Known weights from file to prediction: Caffe's files against OpenCV's own reader, and damaged files."""

import json
import pickle
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from alexrepro.cli.app import app
from alexrepro.errors import Exit, UserError
from alexrepro.model.formats.caffe import read, read_mean

Array = NDArray[np.float32]
Tensors = Mapping[str, tuple[Array, Array]]
Version = Literal["layers", "layer"]

pytest.importorskip("google.protobuf")

# Caffe's stages, narrow: kind, maps, maps that one group reads, kernel, number of the kind in the earlier files.
STAGES = {
    "conv1": ("Convolution", 16, 3, 11, 4), "conv2": ("Convolution", 16, 8, 5, 4),
    "conv3": ("Convolution", 24, 16, 3, 4), "conv4": ("Convolution", 24, 12, 3, 4),
    "conv5": ("Convolution", 16, 12, 3, 4), "fc6": ("InnerProduct", 32, 16 * 36, 0, 14),
    "fc7": ("InnerProduct", 32, 32, 0, 14), "fc8": ("InnerProduct", 10, 32, 0, 14),
}  # fmt: skip
CONVOLUTIONS = {
    "conv1": "stride: 4", "conv2": "pad: 2 group: 2", "conv3": "pad: 1", "conv4": "pad: 1 group: 2",
    "conv5": "pad: 1 group: 2",
}  # fmt: skip
ORDERS = {"bvlc_alexnet": ("LRN", "Pooling"), "CaffeNet": ("Pooling", "LRN")}


def alexrepro(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(high) if high else bytes([low])


def plain(field: int, number: int) -> bytes:
    return varint(field << 3) + varint(number)


def framed(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def single(field: int, number: float) -> bytes:
    return varint(field << 3 | 5) + struct.pack("<f", number)


def blob(array: Array, version: Version) -> bytes:
    """A tensor in Caffe's encoding: four numbers before its values in the earlier files, a list of sizes later."""
    values = framed(5, array.astype("<f4").tobytes())
    if version == "layer":
        return framed(7, framed(1, b"".join(map(varint, array.shape)))) + values
    sizes = (1,) * (4 - array.ndim) + array.shape
    return b"".join(plain(field, size) for field, size in enumerate(sizes, 1)) + values


def layer(name: str, kind: tuple[str, int], content: bytes, version: Version, *, norm: bytes = b"") -> bytes:
    if version == "layer":
        return framed(100, framed(1, name.encode()) + framed(2, kind[0].encode()) + content + norm)
    return framed(2, framed(4, name.encode()) + plain(5, kind[1]) + content + norm)


def caffemodel(tensors: Tensors, order: tuple[str, str], version: Version) -> bytes:
    """A file of Caffe's, written byte by byte."""
    blobs, norms = (7, 118) if version == "layer" else (6, 18)
    settings = framed(
        norms, plain(1, 5) + single(2, 0.02) + single(3, 0.75)
    )  # a strong α, so that a wrong window shows
    kinds = {"LRN": ("LRN", 15), "Pooling": ("Pooling", 17)}
    content = framed(1, b"net")
    for name, (kind, *_, number) in STAGES.items():
        tensor = b"".join(framed(blobs, blob(array, version)) for array in tensors[name])
        content += layer(name, (kind, number), tensor, version)
        for other in order if name in {"conv1", "conv2"} else ():
            norm = settings if other == "LRN" else b""
            content += layer(f"{other}-{name}", kinds[other], b"", version, norm=norm)
    return content


def prototxt(order: tuple[str, str]) -> str:
    """The same network for OpenCV, in Caffe's language."""
    layers: list[tuple[str, str, str]] = []
    settings = {
        "Pooling": "pooling_param { pool: MAX kernel_size: 3 stride: 2 }",
        "LRN": "lrn_param { local_size: 5 alpha: 0.02 beta: 0.75 }",
    }
    for name, (kind, maps, _, size, _) in STAGES.items():
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
    for name, (_, maps, seen, size, _) in STAGES.items():
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
    mean_file.write_bytes(blob(mean, "layers"))
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


def odd_maps(tensors: Tensors) -> bytes:
    weight, bias = tensors["conv2"]
    return caffemodel({**tensors, "conv2": (weight[:15], bias[:15])}, ORDERS["CaffeNet"], "layer")


def even_window(tensors: Tensors) -> bytes:
    odd, even = (plain(1, size) + single(2, 0.02) for size in (5, 4))
    return caffemodel(tensors, ORDERS["CaffeNet"], "layer").replace(odd, even)


HOSTILE: dict[str, Callable[[Tensors], bytes]] = {
    "truncated": lambda t: caffemodel(t, ORDERS["CaffeNet"], "layer")[:-100],
    "another network": lambda _: layer("conv1", ("Convolution", 4), b"", "layer"),
    "maps that do not divide": odd_maps,
    "an even window": even_window,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_damaged_file_is_bad_data(tensors: Tensors, tmp_path: Path, kind: str) -> None:
    (tmp_path / "odd.caffemodel").write_bytes(HOSTILE[kind](tensors))

    with pytest.raises(UserError, match=r"odd\.caffemodel") as caught:
        read(tmp_path / "odd.caffemodel", mean=None)

    assert caught.value.exit_code == Exit.BAD_DATA
