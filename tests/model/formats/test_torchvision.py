"""torchvision's alexnet, in and out, against torchvision's own network."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torchvision.models import alexnet

from alexrepro.errors import Exit, UserError
from alexrepro.model.alexnet import build
from alexrepro.model.formats import torchvision
from alexrepro.model.weights import Weights
from alexrepro.recipes.as_printed_and_run import TINY
from alexrepro.recipes.catalog import find_recipe

CLASSES = 7


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    """A state dict of torchvision's own random weights, and its file."""
    torch.manual_seed(3)
    found = alexnet(weights=None, num_classes=CLASSES).state_dict()
    path = tmp_path_factory.mktemp("torchvision") / "alexnet.pth"
    torch.save(found, path)
    return path, found


@torch.no_grad()
def test_our_network_says_what_torchvisions_says(state: tuple[Path, dict[str, Tensor]]) -> None:
    path, tensors = state
    pixels = 255 * torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    theirs = alexnet(weights=None, num_classes=CLASSES).eval()
    theirs.load_state_dict(tensors)
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    weights = torchvision.read(path)
    assert weights.mean_image is not None
    ours = weights.network()(pixels - weights.mean_image[:, :224, :224])

    assert_close(ours, theirs((pixels / 255 - mean) / std), atol=1e-5, rtol=0)  # float32; another order of scaling


def test_a_state_dict_written_again_is_equal(state: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    path, tensors = state
    torchvision.write(torchvision.read(path), tmp_path / "again.pth")

    again = torch.load(tmp_path / "again.pth", weights_only=True)

    assert list(again) == list(tensors)
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())


def test_a_network_that_torchvision_lacks_is_refused_by_the_field_that_differs(tmp_path: Path) -> None:
    tensors = {name: tensor.detach() for name, tensor in build(TINY.network, seed=0).named_kernels().items()}

    with pytest.raises(UserError, match=r"network of tiny: network\.input_std is None"):
        torchvision.write(Weights(TINY, tensors), tmp_path / "tiny.pth")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ({"weight": torch.zeros(3)}, "other tensors"),
        ([torch.zeros(3)], "not a state dict"),
        (dict.fromkeys(torchvision.NAMES.values(), torch.zeros(2)), "conv1.weight has the shape"),
        (dict.fromkeys(torchvision.NAMES.values(), torch.zeros(2, 2)), "no list of biases"),
    ],
    ids=["foreign", "list", "shapes", "biases"],
)
def test_other_contents_are_bad_data(tmp_path: Path, content: object, what: str) -> None:
    torch.save(content, tmp_path / "odd.pth")

    with pytest.raises(UserError, match=what) as caught:
        torchvision.read(tmp_path / "odd.pth")

    assert caught.value.exit_code == Exit.BAD_DATA


class Runs:
    """An object whose unpickling makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Any, ...]]:
        return Path.touch, (self.canary,)


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_pickle_that_runs_code_is_bad_data_and_does_not_run(tmp_path: Path, write: Callable[..., object]) -> None:
    write({"features.0.weight": Runs(tmp_path / "ran")}, tmp_path / "hostile.pth")

    with pytest.raises(UserError, match="without running code") as caught:
        torchvision.read(tmp_path / "hostile.pth")

    assert caught.value.exit_code == Exit.BAD_DATA
    assert not (tmp_path / "ran").exists()


def test_the_recipe_of_a_state_dict_is_one_weird_trick(state: tuple[Path, dict[str, Tensor]]) -> None:
    assert torchvision.read(state[0]).recipe == find_recipe("one-weird-trick").for_classes(CLASSES)
