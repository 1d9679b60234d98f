"""Files of weights: others are refused as what they are, misfits by name, and ours give back everything."""

import errno
import gzip
import io
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn

from alexrepro.errors import Exit, UserError
from alexrepro.model import formats
from alexrepro.model.alexnet import build
from alexrepro.model.formats import kind_of
from alexrepro.model.weights import Weights, checked
from alexrepro.recipes.as_printed_and_run import TINY

from ...disks import small_disk


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in build(TINY.network, seed=0).named_kernels().items()}


def zipped(*names: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return held.getvalue()


def tarred() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pth"))
    return held.getvalue()


def numpy_bytes() -> bytes:
    held = io.BytesIO()
    np.save(held, np.ones(2))
    return held.getvalue()


def torchscript() -> bytes:
    held = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, but its files are still around
        torch.jit.save(torch.jit.script(nn.ReLU()), held)
    return held.getvalue()


BINARY = bytes(range(256)) * 4
FOREIGN = {
    "empty.pth": (b"", "it is empty"),
    "page.pth": (b"<!DOCTYPE html><html>Sign in</html>", "a web page"),
    "page.safetensors": (b"\n<html>", "a web page"),
    "page.caffemodel": (b"<html>not found</html>", "a web page"),
    "denied.pth": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a web page"),
    "pointer.pth": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "a pointer of Git LFS"),
    "answer.pth": (b'{"message": "Not Found"}', "it is a text file"),
    "text.caffemodel": (b'name: "AlexNet"\nlayer {\n}' * 40, "describes a network for Caffe"),
    "weights.pth": (gzip.compress(BINARY), "compressed with gzip"),
    "weights.tar": (tarred(), "a tar archive"),
    "bvlc_alexnet.npy": (numpy_bytes(), "a NumPy array"),
    "model.h5": (b"\x89HDF\r\n\x1a\n" + BINARY, "an HDF5 file"),
    "script.pt": (torchscript(), "a TorchScript archive"),
    "weights.zip": (zipped("a/weights.pth", "b"), "not a checkpoint of torch"),
    "cut.pth": (b"PK\x03\x04 and no more", "it is incomplete"),
    "noise.pth": (BINARY, "it is incomplete, or not a checkpoint of torch"),
    "noise.safetensors": (BINARY, "it is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_without_weights_is_refused_as_what_it_is(tmp_path: Path, name: str) -> None:
    content, what = FOREIGN[name]
    (tmp_path / name).write_bytes(content)

    with pytest.raises(UserError, match=what) as caught:
        formats.read(tmp_path / name)

    assert caught.value.exit_code == Exit.BAD_DATA
    assert name in caught.value.what
    assert "weights_only" not in caught.value.what + caught.value.fix


def test_the_content_decides_and_not_the_ending(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(save({"x": torch.ones(1)}))
    torch.save({"x": torch.ones(1)}, tmp_path / "weights")
    torch.save({"x": torch.ones(1)}, tmp_path / "legacy.safetensors", _use_new_zipfile_serialization=False)

    assert kind_of(tmp_path / "weights.pth") == "safetensors"
    assert kind_of(tmp_path / "weights") == "torch"
    assert kind_of(tmp_path / "legacy.safetensors") == "torch"


def test_a_file_of_no_kind_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "weights.dat").write_bytes(BINARY)

    with pytest.raises(UserError, match="does not begin like a file of weights") as caught:
        formats.read(tmp_path / "weights.dat")

    assert caught.value.exit_code == Exit.USAGE


ODD_PATHS = [("absent.pth", "There is no file"), (".", "is a folder or a device"), ("x" * 300, "cannot be read")]


@pytest.mark.parametrize(("name", "what"), ODD_PATHS)
def test_a_path_without_a_file_is_missing_input(tmp_path: Path, name: str, what: str) -> None:
    with pytest.raises(UserError, match=what) as caught:
        formats.read(tmp_path / name)

    assert caught.value.exit_code == Exit.MISSING_INPUT


ODD = {
    "conv9.weight belongs to no stage": {"conv9.weight": torch.zeros(1)},
    "fc7.bias is missing": {"fc7.bias": None},
    "conv1.bias has the shape": {"conv1.bias": torch.zeros(13)},
    "fc8.bias holds values that are not finite": {"fc8.bias": torch.full((20,), torch.nan)},
    "fc8.bias holds torch.int64 values": {"fc8.bias": torch.zeros(20, dtype=torch.int64)},
    "conv1.bias holds values that are not finite": {"conv1.bias": torch.full((12,), 1e300, dtype=torch.float64)},
}


@pytest.mark.parametrize("what", ODD)
def test_a_tensor_that_does_not_fit_is_named(tensors: dict[str, Tensor], what: str) -> None:
    given = {name: tensor for name, tensor in {**tensors, **ODD[what]}.items() if tensor is not None}

    with pytest.raises(UserError, match=what) as caught:
        checked(Weights(TINY, given), Path("odd.file"))

    assert caught.value.exit_code == Exit.BAD_DATA


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_floating_point_numbers_of_any_size_become_float32(tensors: dict[str, Tensor], dtype: torch.dtype) -> None:
    found = checked(Weights(TINY, {**tensors, "fc8.bias": torch.ones(20).to(dtype)}), Path("odd.file"))

    assert found.tensors["fc8.bias"].dtype == torch.float32
    assert torch.equal(found.tensors["fc8.bias"], torch.ones(20))


def test_our_file_gives_back_everything(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    recipe = TINY.but({"network.norm.k": 1.5}, name="mine")
    names, wnids = (tuple(f"{text} {n}" for n in range(20)) for text in ('"é"', "n0144"))
    written = Weights(recipe, tensors, torch.rand(3, 256, 256), names, wnids)

    formats.write(written, tmp_path / "mine.safetensors", lrn="op")
    found = formats.read(tmp_path / "mine.safetensors")

    assert (found.recipe, found.classes, found.wnids) == (written.recipe, written.classes, written.wnids)
    assert found.mean_image is not None
    assert torch.equal(found.mean_image, written.mean_image)
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in tensors.items())


def test_a_checkpoint_alone_does_not_say_its_recipe(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(tensors, tmp_path / "model.safetensors")

    with pytest.raises(UserError, match="names no recipe"):
        formats.read(tmp_path / "model.safetensors")


@pytest.mark.parametrize("ending", [".safetensors", ".onnx"])
def test_a_full_disk_is_an_error_of_the_disk_and_leaves_nothing(
    tensors: dict[str, Tensor], tmp_path: Path, ending: str
) -> None:
    pytest.importorskip("onnx")
    with small_disk(tmp_path / "disk", 64 * 1024) as disk:
        with pytest.raises(OSError, match="No space left") as caught:
            formats.write(Weights(TINY, tensors), disk / f"net{ending}", lrn="op")

        assert caught.value.errno == errno.ENOSPC
        assert list(disk.iterdir()) == []


def test_a_folder_cannot_be_written_over(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    (tmp_path / "out.safetensors").mkdir()
    with pytest.raises(UserError, match="not the name of a file"):
        formats.write(Weights(TINY, tensors), tmp_path / "out.safetensors", lrn="op")
