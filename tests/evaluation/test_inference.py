"""Averages over crops and networks, by a network whose answers are written into the image."""

from collections.abc import Callable
from dataclasses import replace
from math import ceil

import pytest
import torch
from torch import Tensor, nn

from alexrepro.data.loading.crops import Pixels
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import UserError
from alexrepro.evaluation.inference import (
    COMPILED_FROM_CROPS,
    Candidate,
    averages,
    is_worth_compiling,
    preprocessing,
    tested_batches,
)
from alexrepro.evaluation.metrics import Answers, answers, joined
from alexrepro.model.alexnet import build
from alexrepro.paper.results import Crops
from alexrepro.recipes.as_printed_and_run import TINY
from alexrepro.recipes.recipe import Recipe

CORNERS = {  # y, x of the pixel that stands first in each crop: as it is, then mirrored
    (0, 0): 10, (0, 32): 20, (16, 16): 30, (32, 0): 40, (32, 32): 50,
    (0, 223): 60, (0, 255): 70, (16, 239): 80, (32, 223): 90, (32, 255): 100,
}  # fmt: skip


class ReadsTheFirstPixel(nn.Module):
    """Says that class 1 has the chance of the crop's first pixel in 256."""

    def forward(self, crops: Tensor) -> Tensor:
        chance = crops[:, 0, 0, 0] / 256
        return torch.stack([1 - chance, chance], dim=1).log()


@pytest.fixture
def candidate(recipe: Recipe) -> Candidate:
    pixels = Pixels(torch.zeros(3, 256, 256), torch.zeros(3), torch.zeros(3, 3))
    return Candidate(ReadsTheFirstPixel(), recipe, pixels)  # type: ignore[arg-type]


@pytest.fixture
def image() -> Tensor:
    found = torch.zeros(1, 3, 256, 256, dtype=torch.uint8)
    for (y, x), value in CORNERS.items():
        found[:, :, y, x] = value
    return found


def test_one_pass_averages_ten_crops_and_keeps_the_center(candidate: Candidate, image: Tensor, device: Device) -> None:
    found = averages(candidate, image, crops=("center", "ten"), device=device)

    assert found["center"][0].tolist() == pytest.approx([226 / 256, 30 / 256])
    assert found["ten"][0].tolist() == pytest.approx([201 / 256, 55 / 256])  # the mean of the ten


def test_averaged_logits_are_the_geometric_mean_of_the_ten(candidate: Candidate, image: Tensor, device: Device) -> None:
    found = averages(candidate, image, crops=("ten-logits",), device=device)

    chances = torch.tensor(list(CORNERS.values()), dtype=torch.float64) / 256
    means = torch.stack([1 - chances, chances]).log().mean(1).exp()
    assert found["ten-logits"][0].tolist() == pytest.approx((means / means.sum()).tolist(), abs=1e-6)


def test_the_center_crop_is_bit_for_bit_that_of_its_own_pass(
    candidate: Candidate, image: Tensor, device: Device
) -> None:
    both = averages(candidate, image, crops=("center", "ten"), device=device)
    alone = averages(candidate, image, crops=("center",), device=device)

    assert list(alone) == ["center"]
    assert torch.equal(both["center"], alone["center"])


def test_classes_that_stand_in_another_order_are_put_in_theirs(
    candidate: Candidate, image: Tensor, device: Device
) -> None:
    turned = replace(candidate, order=torch.tensor([1, 0]), weight=0.5)

    found = averages(turned, image, crops=("center",), device=device)

    assert found["center"][0].tolist() == pytest.approx([15 / 256, 113 / 256])


def test_outputs_that_are_not_finite_are_refused(candidate: Candidate, image: Tensor, device: Device) -> None:
    broken = replace(candidate, pixels=replace(candidate.pixels, mean_image=torch.full((3, 256, 256), torch.nan)))

    with pytest.raises(UserError, match="not finite"):
        averages(broken, image, crops=("center",), device=device)


def test_batches_show_every_image_once_in_stored_order(
    candidate: Candidate, stores: dict[str, Store], device: Device
) -> None:
    batches = tested_batches([candidate], stores["test"], crops=("center",), device=device, title="")

    assert [row for tested in batches for row in tested.batch.images.tolist()] == list(range(18))


@torch.no_grad()
def counted(
    model: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, *, batch: int, device: Device
) -> dict[Crops, Answers]:
    """The answers over both crops of images that are shown so many at once."""
    pixels = Pixels(torch.full((3, 256, 256), 127.5), torch.zeros(3), torch.zeros(3, 3))
    candidate = Candidate(model, TINY, pixels)
    parts = [
        (averages(candidate, some, crops=("center", "ten"), device=device), truth)
        for some, truth in zip(images.split(batch), labels.split(batch), strict=True)
    ]
    return {crops: joined([answers(found[crops], truth) for found, truth in parts]) for crops in ("center", "ten")}


@pytest.fixture(scope="module")
def shown() -> tuple[Tensor, Tensor]:
    """Squares of noise at several scales, and classes for them."""
    draws = torch.Generator().manual_seed(0)
    coarse = torch.rand(20, 3, 16, 16, generator=draws).repeat_interleave(16, 2).repeat_interleave(16, 3)
    fine = torch.rand(20, 3, 256, 256, generator=draws)
    return (255 * (0.7 * coarse + 0.3 * fine)).byte(), torch.randint(0, 20, (20,), generator=draws)


def assert_same_counts(one: dict[Crops, Answers], other: dict[Crops, Answers]) -> None:
    for crops, found in one.items():
        expected = other[crops]
        assert torch.equal(found.ranks, expected.ranks)
        assert torch.equal(found.guesses, expected.guesses)
        assert torch.allclose(found.log_chances, expected.log_chances, atol=1e-5)  # float32, sums in another order


@pytest.mark.parametrize("batch", [1, 3, 8, 13])
def test_the_shape_of_a_batch_changes_no_count(shown: tuple[Tensor, Tensor], device: Device, batch: int) -> None:
    model = build(TINY.network, seed=0).to(memory_format=torch.channels_last)

    found = counted(model, *shown, batch=batch, device=device)

    assert_same_counts(found, counted(model, *shown, batch=20, device=device))


@pytest.mark.slow
def test_compiled_loops_change_no_count(shown: tuple[Tensor, Tensor], device: Device) -> None:
    plain, same = (build(TINY.network, seed=0).to(memory_format=torch.channels_last) for _ in range(2))
    compiled = Device(torch.device("cpu"), compiles=True).compiled(same)

    found = counted(compiled, *shown, batch=13, device=device)

    assert all(module.is_compiled for module in same.modules() if hasattr(module, "is_compiled"))
    assert_same_counts(found, counted(plain, *shown, batch=20, device=device))


@pytest.mark.parametrize(("crops", "enough"), [("center", COMPILED_FROM_CROPS), ("ten", COMPILED_FROM_CROPS / 10)])
def test_loops_are_compiled_where_many_crops_are_shown(crops: Crops, enough: float) -> None:
    assert is_worth_compiling(ceil(enough), crops)
    assert not is_worth_compiling(ceil(enough) - 1, crops)


def test_the_digest_of_preprocessing_changes_with_each_of_its_parts(
    candidate: Candidate, stores: dict[str, Store]
) -> None:
    def changed(field: str, value: object) -> Candidate:
        return replace(candidate, recipe=candidate.recipe.but({field: value}))

    brighter = replace(candidate.pixels, mean_image=candidate.pixels.mean_image + 1)
    digests = [
        preprocessing([candidate], stores["test"], "ten"),
        preprocessing([candidate], stores["test"], "center"),
        preprocessing([candidate], stores["val"], "ten"),
        preprocessing([candidate, candidate], stores["test"], "ten"),
        preprocessing([changed("augmentation.mean", "central")], stores["test"], "ten"),
        preprocessing([changed("network.input_px", 220)], stores["test"], "ten"),
        preprocessing([replace(candidate, pixels=brighter)], stores["test"], "ten"),
    ]

    assert len(set(digests)) == len(digests)
    assert preprocessing([changed("training.learning_rate", 0.1)], stores["test"], "ten") == digests[0]
