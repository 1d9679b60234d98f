"""Where torch, the text and the released code differ or agree: small facts that the ledger leans on."""

from math import log

import numpy as np
import pytest
import simplejpeg
import torch
from torch import Tensor
from torch.testing import assert_close

from alexrepro.data.store.prepare import prepare
from alexrepro.device import find_device
from alexrepro.model.layers import StageModule
from alexrepro.paper.network import Network, Stage
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs import checkpoint
from alexrepro.runs.run import Run
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train

pooled = StageModule(Network(), Network().stages[4], (384, 13, 13)).operations["pool"]


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_max_pooling_and_relu_commute() -> None:
    one, other = (draw(2, 3, 13, 13).requires_grad_() for _ in range(2))

    first, second = pooled(one.relu()), pooled(other).relu()
    weight = draw(*first.shape)
    (first * weight).sum().backward()
    (second * weight).sum().backward()

    assert torch.equal(first, second)
    assert one.grad is not None
    assert other.grad is not None
    assert_close(one.grad, other.grad, rtol=0, atol=1e-12)  # the same terms, added in another order


def test_of_equal_inputs_one_gets_the_gradient_of_pooling() -> None:
    x = torch.ones(1, 1, 3, 3, requires_grad=True)

    pooled(x).sum().backward()

    assert x.grad is not None
    assert sorted(x.grad.flatten().tolist()) == [0.0] * 8 + [1.0]


def test_ties_at_zero_pass_nothing_back_through_the_relu() -> None:
    x = (-draw(1, 2, 7, 7).abs()).requires_grad_()

    pooled(x.relu()).sum().backward()

    assert x.grad is not None
    assert int(x.grad.count_nonzero()) == 0


@pytest.fixture(scope="module")
def first_update(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One update of the biases of two classes; three of the four images, in a batch of up to 128, are of the first."""
    folder = tmp_path_factory.mktemp("first-update")
    for name in ("one/0", "one/1", "one/2", "other/0"):
        file = folder / "photos" / "train" / f"{name}.JPEG"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(simplejpeg.encode_jpeg(np.full((60, 60, 3), 99, dtype=np.uint8)))
    store = prepare(folder / "photos", out=folder / "stores", workers=1)["train"]
    stage = Stage("fc1", kind="full", maps=2, reads="both", weight_std=0.0, order=())
    recipe = Recipe(network=Network(stages=(stage,))).but({"training.epochs": 1, "training.bias_learning_rate": 0.5})
    return train(
        TrainingJob(recipe, store=store, validation=None, runs=folder / "runs", seed=0, device=find_device("cpu"))
    )


def test_the_gradient_is_the_mean_over_the_batch(first_update: Run) -> None:
    saved = checkpoint.newest(first_update.checkpoints)

    assert saved is not None
    assert saved.step == 1
    # Both classes begin with probability 1/2.
    assert_close(saved.weights["fc1.bias"], 0.5 * torch.tensor([0.75 - 0.5, 0.25 - 0.5]), rtol=0, atol=1e-6)  # float32


def test_the_loss_is_the_mean_negative_log_of_the_true_classes_probability(first_update: Run) -> None:
    assert first_update.metrics["loss"].tolist() == pytest.approx([log(2)], abs=1e-6)  # six digits
