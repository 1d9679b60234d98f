"""The tensors of alexnet are found wherever other programs put them, and other networks are named."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import alexnet

from alexrepro.errors import UserError
from alexrepro.model import formats
from alexrepro.model.formats import torchvision
from alexrepro.model.formats.state_dict import NAMES, alexnet_in

HERE = Path("some.pth")


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    """A small tensor for each name of alexnet, each another number."""
    return {name: torch.tensor([float(number)]) for number, name in enumerate(NAMES.values())}


def prefixed(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def inside_features(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As the ImageNet example of PyTorch saves alexnet, whose features alone are in DataParallel."""
    return {name.replace("features.", "features.module."): tensor for name, tensor in tensors.items()}


WAYS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "plain": lambda t: t,
    "DDP": lambda t: prefixed(t, "module."),
    "DataParallel around features": inside_features,
    "torch.compile": lambda t: prefixed(t, "_orig_mod."),
    "DDP and torch.compile": lambda t: prefixed(t, "module._orig_mod."),
    "FSDP": lambda t: prefixed(t, "_fsdp_wrapped_module."),
    "Lightning": lambda t: {"state_dict": prefixed(t, "model."), "pytorch-lightning_version": "2.4"},
    "a backbone in a wrapper": lambda t: prefixed(t, "module.net.backbone."),
    "another attribute": lambda t: {"state_dict": prefixed(t, "encoder.alex.")},
    "ImageNet example": lambda t: {
        "epoch": 90, "arch": "alexnet", "state_dict": inside_features(t), "best_acc1": torch.tensor(56.5),
        "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.01}]},
    },
    **{
        name: (lambda t, name=name: {"epoch": 3, name: t})  # type: ignore[misc]
        for name in ("model", "net", "model_state_dict", "module", "ema", "weights")
    },
    "a list": lambda t: [t, {"lr": 0.1}],
    "a loss beside the model": lambda t: {**prefixed(t, "model."), "criterion.weight": torch.ones(3)},
    "a moving average first": lambda t: {"model_ema": {n: -v for n, v in t.items()}, "model": t},
    "a moving average in one dict": lambda t: {**t, **prefixed({n: -v for n, v in t.items()}, "ema.")},
    "Parameters": lambda t: {name: nn.Parameter(tensor) for name, tensor in t.items()},
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_the_tensors_are_found(tensors: dict[str, Tensor], way: str) -> None:
    found = alexnet_in(WAYS[way](tensors), HERE)

    assert found == tensors


def test_another_entry_that_fits_is_told(tensors: dict[str, Tensor], capsys: pytest.CaptureFixture[str]) -> None:
    alexnet_in({"ema": tensors, "model": tensors}, HERE)

    assert "the weights under 'model' are read; those under 'ema' are left out" in capsys.readouterr().err


OTHERS = {
    "a ResNet": {"module.layer4.0.conv1.weight": torch.ones(1)},
    "a VGG network": {"features.0.weight": torch.ones(1), "features.28.weight": torch.ones(1)},
    "a transformer": {"blocks.0.attn.qkv.weight": torch.ones(1)},
    "a SqueezeNet": {"features.3.squeeze.weight": torch.ones(1)},
    "a quantized network": {"classifier.1._packed_params.dtype": torch.ones(1)},
}


@pytest.mark.parametrize("network", OTHERS)
def test_another_network_is_named(network: str) -> None:
    with pytest.raises(UserError, match=f"it holds {network}, not torchvision's alexnet"):
        alexnet_in({"state_dict": OTHERS[network]}, HERE)


@pytest.mark.parametrize("odd", ["classifier.7.weight", "features.12.weight"])
def test_a_tensor_too_many_is_named(tensors: dict[str, Tensor], odd: str) -> None:
    with pytest.raises(UserError, match=f"the first that differs is '{odd}'"):
        alexnet_in({**tensors, odd: torch.ones(1)}, HERE)


@pytest.mark.parametrize("content", [{}, None, torch.ones(2), {"optimizer": {"lr": 0.1}}])
def test_what_holds_no_tensors_by_name_is_no_state_dict(content: Any) -> None:
    with pytest.raises(UserError, match="it is not a state dict"):
        alexnet_in(content, HERE)


BESIDE = {
    "a namespace": argparse.Namespace(lr=0.1, out=Path("/tmp")),
    "numbers of NumPy": [np.float64(56.5), np.float32(1), np.int64(3)],
    "an array of NumPy": np.zeros(4),
}


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("kind", BESIDE)
def test_plain_values_beside_the_weights_are_read(
    tensors: dict[str, Tensor], tmp_path: Path, kind: str, is_zip: bool
) -> None:
    torch.save({"model": tensors, "args": BESIDE[kind]}, tmp_path / "some.pth", _use_new_zipfile_serialization=is_zip)

    assert alexnet_in(torchvision._loaded(tmp_path / "some.pth"), HERE) == tensors


def test_a_whole_model_is_named_and_the_advice_is_ours(tmp_path: Path) -> None:
    torch.save(nn.Linear(1, 1), tmp_path / "whole.pth")

    with pytest.raises(UserError, match=r"a Python object, torch\.nn\.modules\.linear\.Linear") as caught:
        formats.read(tmp_path / "whole.pth")

    assert "weights_only" not in caught.value.what + caught.value.fix
    assert "\x1b" not in caught.value.what
    assert "model.state_dict()" in caught.value.fix


@pytest.fixture(scope="module")
def whole() -> dict[str, Tensor]:
    """The random weights of torchvision's own network."""
    torch.manual_seed(3)
    return alexnet(weights=None, num_classes=7).state_dict()


def as_safetensors(tensors: dict[str, Tensor], folder: Path) -> Path:
    save_file(tensors, folder / "hub.safetensors", metadata={"format": "pt"})
    return folder / "hub.safetensors"


def as_lightning(tensors: dict[str, Tensor], folder: Path) -> Path:
    torch.save({"state_dict": prefixed(tensors, "model.")}, folder / "last.ckpt")
    return folder / "last.ckpt"


@pytest.mark.parametrize("save", [as_safetensors, as_lightning])
def test_a_file_from_elsewhere_has_the_weights_of_the_plain_one(
    whole: dict[str, Tensor], tmp_path: Path, save: Callable[[dict[str, Tensor], Path], Path]
) -> None:
    found = formats.read(save(whole, tmp_path))

    assert found.recipe.name == "one-weird-trick"
    assert all(torch.equal(found.tensors[name], whole[theirs]) for name, theirs in NAMES.items())
