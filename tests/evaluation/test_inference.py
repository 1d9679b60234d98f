"""Averages over crops and networks, by a network whose outputs are written into the image."""

from dataclasses import replace
from math import ceil

import pytest
import torch
from torch import Tensor, nn

from alexrepro.data.loading.crops import Pixels
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import UserError
from alexrepro.evaluation.evaluate import preprocessing
from alexrepro.evaluation.inference import COMPILED_FROM_CROPS, Model, averages, device_for
from alexrepro.evaluation.metrics import Scores, check_finite, score
from alexrepro.model.alexnet import build
from alexrepro.paper.results import Crops
from alexrepro.recipes.catalog import TINY
from alexrepro.recipes.recipe import Recipe

CORNERS = {  # y, x of the pixel that stands first in each crop: as it is, then mirrored
    (0, 0): 10, (0, 32): 20, (16, 16): 30, (32, 0): 40, (32, 32): 50,
    (0, 223): 60, (0, 255): 70, (16, 239): 80, (32, 223): 90, (32, 255): 100,
}  # fmt: skip


class ReadsTheFirstPixel(nn.Module):
    """The probability of class 1 is the crop's first pixel divided by 256."""

    def forward(self, crops: Tensor) -> Tensor:
        probability = crops[:, 0, 0, 0] / 256
        return torch.stack([1 - probability, probability], dim=1).log()


@pytest.fixture
def model(recipe: Recipe) -> Model:
    pixels = Pixels(torch.zeros(3, 256, 256), torch.zeros(3), torch.zeros(3, 3))
    return Model(ReadsTheFirstPixel(), recipe, pixels)  # type: ignore[arg-type]


@pytest.fixture
def image() -> Tensor:
    found = torch.zeros(1, 3, 256, 256, dtype=torch.uint8)
    for (y, x), value in CORNERS.items():
        found[:, :, y, x] = value
    return found


def test_one_pass_averages_ten_crops_and_keeps_the_center(model: Model, image: Tensor, device: Device) -> None:
    found = averages(model, image, crops=("center", "ten"), device=device)

    assert found["center"][0].tolist() == pytest.approx([226 / 256, 30 / 256])
    assert found["ten"][0].tolist() == pytest.approx([201 / 256, 55 / 256])  # the mean of the ten


def test_averaged_logits_are_the_geometric_mean_of_the_ten(model: Model, image: Tensor, device: Device) -> None:
    found = averages(model, image, crops=("ten-logits",), device=device)

    ones = torch.tensor(list(CORNERS.values()), dtype=torch.float64) / 256
    means = torch.stack([1 - ones, ones]).log().mean(1).exp()
    assert found["ten-logits"][0].tolist() == pytest.approx((means / means.sum()).tolist(), abs=1e-6)


def test_outputs_that_are_not_finite_are_refused(model: Model, image: Tensor, device: Device) -> None:
    broken = replace(model, pixels=replace(model.pixels, mean_image=torch.full((3, 256, 256), torch.nan)))

    with pytest.raises(UserError, match="not finite"):
        check_finite(averages(broken, image, crops=("center",), device=device)["center"])


@pytest.mark.slow
def test_compiled_norms_change_no_count(device: Device) -> None:
    draws = torch.Generator().manual_seed(0)
    coarse = torch.rand(20, 3, 16, 16, generator=draws).repeat_interleave(16, 2).repeat_interleave(16, 3)
    images = (255 * (0.7 * coarse + 0.3 * torch.rand(20, 3, 256, 256, generator=draws))).byte()
    labels = torch.randint(0, 20, (20,), generator=draws)
    pixels = Pixels(torch.full((3, 256, 256), 127.5), torch.zeros(3), torch.zeros(3, 3))

    def scored(device: Device) -> Scores:
        network = device.with_fast_norms(build(TINY.network, seed=0).to(memory_format=torch.channels_last))
        return score(averages(Model(network, TINY, pixels), images, crops=("ten",), device=device)["ten"], labels)

    expected, found = scored(device), scored(Device(torch.device("cpu"), compiles=True))

    assert torch.equal(found.top5, expected.top5)
    assert torch.equal(found.ranks, expected.ranks)
    assert torch.allclose(found.log_probs, expected.log_probs, atol=1e-5)  # float32, sums in another order


@pytest.mark.parametrize(("crops", "enough"), [("center", COMPILED_FROM_CROPS), ("ten", COMPILED_FROM_CROPS / 10)])
def test_norms_are_compiled_for_many_crops(monkeypatch: pytest.MonkeyPatch, crops: Crops, enough: float) -> None:
    monkeypatch.setattr("alexrepro.device.can_compile", lambda _: True)

    assert device_for("cpu", None, images=ceil(enough), crops=crops).compiles
    assert not device_for("cpu", None, images=ceil(enough) - 1, crops=crops).compiles


def test_the_digest_of_preprocessing_changes_with_each_of_its_parts(model: Model, stores: dict[str, Store]) -> None:
    def changed(field: str, value: object) -> Model:
        return replace(model, recipe=model.recipe.but({field: value}))

    brighter = replace(model.pixels, mean_image=model.pixels.mean_image + 1)
    digests = [
        preprocessing([model], stores["test"], "ten"),
        preprocessing([model], stores["test"], "center"),
        preprocessing([model], stores["val"], "ten"),
        preprocessing([model, model], stores["test"], "ten"),
        preprocessing([changed("augmentation.mean", "central")], stores["test"], "ten"),
        preprocessing([changed("network.input_px", 220)], stores["test"], "ten"),
        preprocessing([replace(model, pixels=brighter)], stores["test"], "ten"),
    ]

    assert len(set(digests)) == len(digests)
    assert preprocessing([changed("training.learning_rate", 0.1)], stores["test"], "ten") == digests[0]
