"""Known weights from file to prediction: Caffe's files against OpenCV's own reader of them, and hostile files."""

import io
import json
import pickle
import struct
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open

from alexrepro.__main__ import main

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
NORM = "local_size: 5 alpha: 0.02 beta: 0.75"  # a strong α, so that a wrong window or place shows
ORDERS = {"bvlc_alexnet": ("LRN", "Pooling"), "CaffeNet": ("Pooling", "LRN")}


def alexrepro(*arguments: object) -> tuple[int, str, str]:
    """What the program leaves behind: exit code, stdout, stderr; in this process, where torch is loaded once."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["alexrepro", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()


def probabilities(found: tuple[int, str, str]) -> dict[int, float]:
    """The five probabilities that `predict --json` prints of one image, by class."""
    assert found[0] == 0, found[2]
    (image,) = json.loads(found[1])["images"]
    return {guess["number"]: guess["probability"] for guess in image["top5"]}


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
    settings = framed(norms, plain(1, 5) + single(2, 0.02) + single(3, 0.75))
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
    lines, bottom = ['input: "data" input_dim: 1 input_dim: 3 input_dim: 227 input_dim: 227'], "data"

    def add(name: str, kind: str, settings: str = "") -> None:
        nonlocal bottom
        lines.append(f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}" {settings} }}')
        bottom = name

    for name, (kind, maps, _, size, _) in STAGES.items():
        if kind == "Convolution":
            more = CONVOLUTIONS[name]
            add(name, kind, f"convolution_param {{ num_output: {maps} kernel_size: {size} {more} }}")
        else:
            add(name, kind, f"inner_product_param {{ num_output: {maps} }}")
        if name != "fc8":
            add(f"relu-{name}", "ReLU")
        for other in {"conv1": order, "conv2": order, "conv5": ("Pooling",)}.get(name, ()):
            pooling = "pooling_param { pool: MAX kernel_size: 3 stride: 2 }"
            add(f"{other}-{name}", other, pooling if other == "Pooling" else f"lrn_param {{ {NORM} }}")
    add("probabilities", "Softmax")
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


@pytest.fixture(scope="module")
def model(tensors: Tensors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CaffeNet in the later format."""
    path = tmp_path_factory.mktemp("caffe") / "net.caffemodel"
    path.write_bytes(caffemodel(tensors, ORDERS["CaffeNet"], "layer"))
    return path


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A colored image of 256×256, which nothing has to resize; lossless, so that every reader sees the same."""
    generator = np.random.default_rng(1)
    coarse = generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("images") / "coarse.png"
    Image.fromarray(coarse).resize((256, 256), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.mark.parametrize("version", ["layers", "layer"])
@pytest.mark.parametrize("network", ORDERS)
def test_caffes_weights_predict_what_opencv_predicts(
    tensors: Tensors, image: Path, tmp_path: Path, network: str, version: Version
) -> None:
    cv2 = pytest.importorskip("cv2")
    mean = np.random.default_rng(2).uniform(90, 130, (3, 256, 256)).astype(np.float32)  # blue, green, red
    model, mean_file, converted = (
        tmp_path / name for name in ("net.caffemodel", "mean.binaryproto", "net.safetensors")
    )
    model.write_bytes(caffemodel(tensors, ORDERS[network], version))
    mean_file.write_bytes(blob(mean, "layers"))
    (tmp_path / "net.prototxt").write_text(prototxt(ORDERS[network]))
    reader = cv2.dnn.readNetFromCaffe(str(tmp_path / "net.prototxt"), str(model))
    whole = cv2.imread(str(image)).transpose(2, 0, 1).astype(np.float32) - mean
    reader.setInput(np.ascontiguousarray(whole[None, :, 14:241, 14:241]))
    expected = reader.forward()[0]

    assert alexrepro("convert", model, "--mean", mean_file, "--to", converted)[0] == 0
    found = probabilities(alexrepro("predict", image, "--weights", converted, "--json"))

    assert list(found) == expected.argsort()[::-1][:5].tolist()
    assert expected.max() < 0.99  # else a single class would hide every difference
    assert found == pytest.approx({number: expected[number] for number in found}, abs=1e-4)  # float32, two engines


def npz(path: Path, **arrays: Array) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)


MEANS: dict[str, Callable[[Path], object]] = {
    "three numbers": lambda path: np.save(path, np.array([104, 117, 123])),
    "one array in an .npz": lambda path: npz(path, mean=np.array([104, 117, 123], np.float32)),
}


@pytest.mark.parametrize("kind", MEANS)
def test_a_mean_of_three_numbers_is_blue_green_red(model: Path, tmp_path: Path, kind: str) -> None:
    MEANS[kind](tmp_path / "mean.npy")

    done = alexrepro("convert", model, "--mean", tmp_path / "mean.npy", "--to", tmp_path / "n.safetensors")

    assert done[0] == 0
    with safe_open(tmp_path / "n.safetensors", framework="pt") as file:
        mean = file.get_tensor("mean_image")
    assert mean[:, 0, 0].tolist() == [123, 117, 104] == mean[:, 255, 255].tolist()


ODD_MEANS: dict[str, tuple[Callable[[Path], object], str]] = {
    "two arrays": (lambda path: npz(path, a=np.ones(3), b=np.ones(3)), "it is not a single array of numbers"),
    "objects": (lambda path: path.write_bytes(pickle.dumps([1])), "it is not a single array of numbers"),
    "a cut archive": (lambda path: path.write_bytes(b"PK\x03\x04 and no more"), "it is not a single array of numbers"),
    "NaN": (lambda path: np.save(path, np.full(3, np.nan)), "not finite"),
    "another shape": (lambda path: np.save(path, np.ones((3, 8, 8))), "a mean is (3, 256, 256) or (3,)"),
}


@pytest.mark.parametrize("kind", ODD_MEANS)
def test_an_odd_mean_is_bad_data(model: Path, tmp_path: Path, kind: str) -> None:
    write, what = ODD_MEANS[kind]
    write(tmp_path / "mean.npy")

    code, _, errors = alexrepro("convert", model, "--mean", tmp_path / "mean.npy", "--to", tmp_path / "n.safetensors")

    assert (code, len(errors.splitlines())) == (65, 2)
    assert what in errors


def test_without_a_mean_a_file_is_written_but_nothing_predicted(model: Path, image: Path, tmp_path: Path) -> None:
    written = alexrepro("convert", model, "--to", tmp_path / "net.safetensors", "--json")
    predicted = alexrepro("predict", image, "--weights", tmp_path / "net.safetensors")

    assert (written[0], json.loads(written[1])["has_mean_image"]) == (0, False)
    assert predicted[0] == 78
    assert "--mean" in predicted[2]


def spoiled(tensors: Tensors, name: str, weight: Array) -> bytes:
    return caffemodel({**tensors, name: (weight, tensors[name][1])}, ORDERS["CaffeNet"], "layer")


def even_window(tensors: Tensors) -> bytes:
    odd, even = (plain(1, size) + single(2, 0.02) for size in (5, 4))
    return caffemodel(tensors, ORDERS["CaffeNet"], "layer").replace(odd, even)


def odd_maps(tensors: Tensors) -> bytes:
    weight, bias = tensors["conv2"]
    return caffemodel({**tensors, "conv2": (weight[:15], bias[:15])}, ORDERS["CaffeNet"], "layer")


HOSTILE: dict[str, tuple[str, Callable[[Tensors], bytes]]] = {
    "truncated": (".caffemodel", lambda t: caffemodel(t, ORDERS["CaffeNet"], "layer")[:-100]),
    "another network": (".caffemodel", lambda _: layer("conv1", ("Convolution", 4), b"", "layer")),
    "wrong kernel": (".caffemodel", lambda t: spoiled(t, "conv2", np.zeros((16, 8, 3, 3), np.float32))),
    "an even window": (".caffemodel", even_window),
    "maps that do not divide": (".caffemodel", odd_maps),
    "wrong inputs": (".caffemodel", lambda t: spoiled(t, "fc7", np.zeros((32, 31), np.float32))),
    "not finite": (".caffemodel", lambda t: spoiled(t, "fc8", np.full((10, 32), np.nan, np.float32))),
    "safetensors of another length": (".safetensors", lambda _: struct.pack("<Q", 2**40) + b"{}"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_damaged_file_is_bad_data_and_leaves_nothing(tensors: Tensors, tmp_path: Path, kind: str) -> None:
    ending, content = HOSTILE[kind]
    (tmp_path / f"odd{ending}").write_bytes(content(tensors))

    code, _, errors = alexrepro("convert", tmp_path / f"odd{ending}", "--to", tmp_path / "out.safetensors")

    assert (code, "odd" in errors) == (65, True)
    assert [path.name for path in tmp_path.iterdir()] == [f"odd{ending}"]
