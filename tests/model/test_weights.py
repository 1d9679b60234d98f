"""Weights from anywhere are checked against their recipe before they are used."""

import errno
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from alexrepro.errors import Exit, UserError
from alexrepro.model import formats
from alexrepro.model.alexnet import build
from alexrepro.model.formats import own
from alexrepro.model.weights import Weights, checked
from alexrepro.recipes.as_printed_and_run import TINY

from ..disks import small_disk


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    named = build(TINY.network, seed=0).named_kernels()
    return {name: parameter.detach() for name, parameter in named.items()}


ODD = {
    "conv9.weight belongs to no stage": {"conv9.weight": torch.zeros(1)},
    "conv1.bias has the shape": {"conv1.bias": torch.zeros(13)},
    "fc8.bias holds values that are not finite": {"fc8.bias": torch.full((20,), torch.nan)},
    "fc8.bias holds int64 values": {"fc8.bias": torch.zeros(20, dtype=torch.int64)},
    "fc8.bias holds sparse_coo values": {"fc8.bias": torch.zeros(20).to_sparse()},
    "fc8.bias holds no values": {"fc8.bias": torch.zeros(20, device="meta")},
    "conv1.bias holds values that are not finite": {"conv1.bias": torch.full((12,), 1e300, dtype=torch.float64)},
}


@pytest.mark.parametrize("what", ODD)
def test_a_tensor_that_does_not_fit_is_named(tensors: dict[str, Tensor], what: str) -> None:
    with pytest.raises(UserError, match=what) as caught:
        checked(Weights(TINY, {**tensors, **ODD[what]}), Path("odd.file"))

    assert caught.value.exit_code == Exit.BAD_DATA


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_floating_point_numbers_of_any_size_become_float32(tensors: dict[str, Tensor], dtype: torch.dtype) -> None:
    found = checked(Weights(TINY, {**tensors, "fc8.bias": torch.ones(20).to(dtype)}), Path("odd.file"))

    assert torch.equal(found.tensors["fc8.bias"], torch.ones(20))


def test_a_missing_tensor_is_named(tensors: dict[str, Tensor]) -> None:
    others = {name: tensor for name, tensor in tensors.items() if name != "fc7.bias"}

    with pytest.raises(UserError, match=r"fc7\.bias is missing"):
        checked(Weights(TINY, others), Path("odd.file"))


def test_half_precision_becomes_float32(tensors: dict[str, Tensor]) -> None:
    found = checked(Weights(TINY, {name: tensor.half() for name, tensor in tensors.items()}), Path("half.file"))

    assert {tensor.dtype for tensor in found.tensors.values()} == {torch.float32}


def test_our_file_gives_back_everything(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    recipe = TINY.but({"network.norm.k": 1.5}, name="mine")
    written = Weights(recipe, tensors, torch.rand(3, 256, 256), tuple(f'"é" {n}' for n in range(20)))
    own.write(written, tmp_path / "mine.safetensors")

    found = own.read(tmp_path / "mine.safetensors")

    assert (found.recipe, found.classes) == (written.recipe, written.classes)
    assert found.mean_image is not None
    assert torch.equal(found.mean_image, written.mean_image)
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in tensors.items())


def test_a_checkpoint_alone_does_not_say_its_recipe(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(tensors, tmp_path / "model.safetensors")

    with pytest.raises(UserError, match="which recipe"):
        own.read(tmp_path / "model.safetensors")


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
