"""torchvision's alexnet, in and out, against torchvision's own network, and in the checkpoints of other programs."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.testing import assert_close

from alexrepro.errors import Exit, UserError
from alexrepro.model import formats
from alexrepro.model.alexnet import build
from alexrepro.model.formats import torchvision
from alexrepro.model.formats.torchvision import NAMES, alexnet_in
from alexrepro.model.weights import Weights
from alexrepro.recipes.catalog import TINY, find_recipe

HERE = Path("some.pth")
CLASSES = 7


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    """torchvision's own network with random weights."""
    from torchvision.models import alexnet  # takes over a second of every process of the suite

    torch.manual_seed(3)
    return alexnet(weights=None, num_classes=CLASSES).eval()


@pytest.fixture(scope="module")
def state(theirs: nn.Module) -> dict[str, Tensor]:
    return theirs.state_dict()


@pytest.fixture(scope="module")
def file(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("torchvision") / "alexnet.pth"
    torch.save(state, path)
    return path


@torch.no_grad()
def test_our_network_computes_what_torchvisions_does(theirs: nn.Module, file: Path) -> None:
    pixels = 255 * torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    weights = formats.read(file)
    assert weights.mean_image is not None
    ours = weights.network()(pixels - weights.mean_image[:, :224, :224])

    assert weights.recipe == find_recipe("one-weird-trick").for_classes(CLASSES)
    assert_close(ours, theirs((pixels / 255 - mean) / std), atol=1e-5, rtol=0)  # float32; another order of scaling


def test_a_state_dict_written_again_is_equal(state: dict[str, Tensor], file: Path, tmp_path: Path) -> None:
    torchvision.write(formats.read(file), tmp_path / "again.pth")

    again = torch.load(tmp_path / "again.pth", weights_only=True)

    assert list(again) == list(state)
    assert all(torch.equal(again[name], tensor) for name, tensor in state.items())


def test_a_network_that_torchvision_lacks_is_refused_by_the_field_that_differs(tmp_path: Path) -> None:
    tensors = {name: tensor.detach() for name, tensor in build(TINY.network, seed=0).named_kernels().items()}

    with pytest.raises(UserError, match=r"network of tiny: network\.input_std is None") as refused:
        torchvision.write(Weights(TINY, tensors), tmp_path / "tiny.pth")

    assert "more fields differ" in refused.value.what
    assert "alexrepro train one-weird-trick" in refused.value.fix


def prefixed(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def test_a_safetensors_file_from_elsewhere_is_read(state: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(state, tmp_path / "hub.safetensors", metadata={"format": "pt"})

    found = formats.read(tmp_path / "hub.safetensors")

    assert found.recipe.name == "one-weird-trick"
    assert all(torch.equal(found.tensors[name], state[theirs]) for name, theirs in NAMES.items())


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    """A small tensor for each name of alexnet, each another number."""
    return {name: torch.tensor([float(number)]) for number, name in enumerate(NAMES.values())}


WAYS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "plain": lambda t: t,
    "DDP and torch.compile": lambda t: prefixed(t, "module._orig_mod."),
    "a backbone in a wrapper": lambda t: prefixed(t, "module.net.backbone."),
    "ImageNet example": lambda t: {
        "epoch": 90, "arch": "alexnet", "best_acc1": torch.tensor(56.5),
        "state_dict": {name.replace("features.", "features.module."): tensor for name, tensor in t.items()},
        "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.01}]},
    },
    "only a moving average": lambda t: {"epoch": 3, "ema": t},
    "a list": lambda t: [t, {"lr": 0.1}],
    "a loss next to the model": lambda t: {**prefixed(t, "model."), "criterion.weight": torch.ones(3)},
    "a moving average first": lambda t: {"model_ema": {n: -v for n, v in t.items()}, "model": t},
    "a moving average in one dict": lambda t: {**t, **prefixed({n: -v for n, v in t.items()}, "ema.")},
    "Parameters": lambda t: {name: nn.Parameter(tensor) for name, tensor in t.items()},
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_the_tensors_are_found(tensors: dict[str, Tensor], way: str) -> None:
    assert alexnet_in(WAYS[way](tensors), HERE) == tensors


def test_other_entries_that_fit_are_reported(tensors: dict[str, Tensor], capsys: pytest.CaptureFixture[str]) -> None:
    alexnet_in({"ema": tensors, "model": tensors}, HERE)

    assert "reading the weights under 'model', ignoring those under 'ema'" in capsys.readouterr().err


MISFITS: dict[str, tuple[Any, str]] = {
    "ResNet": ({"state_dict": {"module.layer4.0.conv1.weight": torch.ones(1)}}, "the first tensor that differs is"),
    "one more": (dict.fromkeys([*NAMES.values(), "classifier.7.weight"], torch.ones(1)), "'classifier.7.weight'"),
    "optimizer only": ({"optimizer": {"lr": 0.1}}, "not a state dict"),
    "shapes": (dict.fromkeys(NAMES.values(), torch.zeros(2)), "conv1.weight has the shape"),
}


@pytest.mark.parametrize("kind", MISFITS)
def test_other_contents_are_bad_data(tmp_path: Path, kind: str) -> None:
    content, what = MISFITS[kind]
    torch.save(content, tmp_path / "odd.pth")

    with pytest.raises(UserError, match=what) as caught:
        formats.read(tmp_path / "odd.pth")

    assert caught.value.exit_code == Exit.BAD_DATA


EXTRAS = [argparse.Namespace(lr=0.1, out=Path("/tmp")), np.float64(56.5), np.float32(1), np.int64(3), np.zeros(4)]


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
def test_plain_values_next_to_the_weights_are_read(tensors: dict[str, Tensor], tmp_path: Path, is_zip: bool) -> None:
    torch.save({"model": tensors, "args": EXTRAS}, tmp_path / "some.pth", _use_new_zipfile_serialization=is_zip)

    assert alexnet_in(torchvision.load(tmp_path / "some.pth"), HERE) == tensors


def test_a_whole_model_is_named_and_the_advice_is_ours(tmp_path: Path) -> None:
    torch.save(nn.Linear(1, 1), tmp_path / "whole.pth")

    with pytest.raises(UserError, match=r"a Python object, torch\.nn\.modules\.linear\.Linear") as caught:
        formats.read(tmp_path / "whole.pth")

    assert "weights_only" not in caught.value.what + caught.value.fix
    assert "model.state_dict()" in caught.value.fix
