"""Files of weights: others are refused as what they are, misfits by name, and ours give back everything."""

import errno
import gzip
import io
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from alexrepro.errors import Exit, UserError
from alexrepro.model import formats
from alexrepro.model.alexnet import build
from alexrepro.model.formats import kind_of
from alexrepro.model.weights import Weights, checked
from alexrepro.recipes.catalog import TINY

from ...children import small_disk


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in build(TINY.network, seed=0).named_kernels().items()}


def torchscript() -> bytes:
    held = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, but its files are still around
        torch.jit.save(torch.jit.script(nn.ReLU()), held)
    return held.getvalue()


BINARY = bytes(range(256)) * 4
FOREIGN = {
    "page.pth": (b"<!DOCTYPE html><html>Sign in</html>", "a web page"),
    "denied.pth": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a web page"),
    "pointer.pth": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "a pointer of Git LFS"),
    "text.caffemodel": (b'name: "AlexNet"\nlayer {\n}' * 40, "it is a text file"),
    "weights.pth": (gzip.compress(BINARY), "an archive"),
    "weights.tar": (b"weights.pth".ljust(257, b"\0") + b"ustar\0", "an archive"),
    "script.pt": (torchscript(), "a TorchScript archive"),
    "empty.pth": (b"", "it is incomplete, or not a checkpoint of torch"),
    "cut.pth": (b"PK\x03\x04 and no more", "it is incomplete"),
    "noise.safetensors": (BINARY, "it is damaged"),
}


UNKNOWN = [
    ("noise.dat", "does not begin like a file of weights", Exit.USAGE),
    ("model.safetensors", "names no recipe", Exit.BAD_CONFIG),  # a checkpoint alone
    ("absent.pth", "There is no file", Exit.MISSING_INPUT),
    (".", "cannot be read: Is a directory", Exit.MISSING_INPUT),
]


@pytest.mark.parametrize(
    ("name", "what", "code"), [*((name, what, Exit.BAD_DATA) for name, (_, what) in FOREIGN.items()), *UNKNOWN]
)
def test_a_path_without_known_weights_is_refused_as_what_it_is(
    tmp_path: Path, name: str, what: str, code: Exit
) -> None:
    checkpoint = save({"conv1.weight": torch.ones(1)})
    files = {n: content for n, (content, _) in FOREIGN.items()} | {"noise.dat": BINARY, "model.safetensors": checkpoint}
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)

    with pytest.raises(UserError, match=what) as caught:
        formats.read(tmp_path / name)

    assert caught.value.exit_code == code
    assert "weights_only" not in caught.value.what + caught.value.fix


def test_the_content_decides_and_not_the_ending(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(save({"x": torch.ones(1)}))
    torch.save({"x": torch.ones(1)}, tmp_path / "weights")
    torch.save({"x": torch.ones(1)}, tmp_path / "legacy.safetensors", _use_new_zipfile_serialization=False)

    kinds = [kind_of(tmp_path / name) for name in ("weights.pth", "weights", "legacy.safetensors")]
    assert kinds == ["safetensors", "torch", "torch"]


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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_floating_point_numbers_of_any_size_become_float32(tensors: dict[str, Tensor], dtype: torch.dtype) -> None:
    found = checked(Weights(TINY, {**tensors, "fc8.bias": torch.ones(20).to(dtype)}), Path("odd.file"))

    assert found.tensors["fc8.bias"].dtype == torch.float32
    assert torch.equal(found.tensors["fc8.bias"], torch.ones(20))


def test_our_file_gives_back_everything(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    recipe = TINY.but({"network.norm.k": 1.5}, name="mine")
    names, wnids = (tuple(f"{text} {n}" for n in range(20)) for text in ('"é"', "n0144"))
    written = Weights(recipe, tensors, torch.rand(3, 256, 256), names, wnids)

    formats.write(written, tmp_path / "mine.safetensors")
    found = formats.read(tmp_path / "mine.safetensors")

    assert (found.recipe, found.classes, found.wnids) == (written.recipe, written.classes, written.wnids)
    assert found.mean_image is not None
    assert torch.equal(found.mean_image, written.mean_image)
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("ending", [".safetensors", ".onnx"])
def test_a_full_disk_is_an_error_of_the_disk_and_leaves_nothing(
    tensors: dict[str, Tensor], tmp_path: Path, ending: str
) -> None:
    pytest.importorskip("onnx")
    with small_disk(tmp_path / "disk", 64 * 1024) as disk:
        with pytest.raises(OSError, match="No space left") as caught:
            formats.write(Weights(TINY, tensors), disk / f"net{ending}")

        assert caught.value.errno == errno.ENOSPC
        assert list(disk.iterdir()) == []


def test_a_folder_cannot_be_written_over(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    (tmp_path / "out.safetensors").mkdir()
    with pytest.raises(UserError, match="not the name of a file"):
        formats.write(Weights(TINY, tensors), tmp_path / "out.safetensors")
