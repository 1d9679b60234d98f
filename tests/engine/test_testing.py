"""Averages over views and networks, by a network whose answers are written into the image."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from alexrepro.data.store import Store
from alexrepro.data.views import Pixels
from alexrepro.engine.machine import Machine
from alexrepro.engine.testing import Candidate, averages, preprocessing, tested_batches
from alexrepro.errors import Refusal
from alexrepro.recipes.recipe import Recipe

CORNERS = {  # y, x of the pixel that stands first in each view: as it is, then mirrored
    (0, 0): 10, (0, 32): 20, (16, 16): 30, (32, 0): 40, (32, 32): 50,
    (0, 223): 60, (0, 255): 70, (16, 239): 80, (32, 223): 90, (32, 255): 100,
}  # fmt: skip


class ReadsTheFirstPixel(nn.Module):
    """Says that class 1 has the chance of the view's first pixel in 256."""

    def forward(self, views: Tensor) -> Tensor:
        chance = views[:, 0, 0, 0] / 256
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


def test_one_pass_averages_ten_views_and_keeps_the_centre(
    candidate: Candidate, image: Tensor, machine: Machine
) -> None:
    found = averages(candidate, image, views=("centre", "ten"), machine=machine)

    assert found["centre"][0].tolist() == pytest.approx([226 / 256, 30 / 256])
    assert found["ten"][0].tolist() == pytest.approx([201 / 256, 55 / 256])  # the mean of the ten


def test_the_centre_view_is_bit_for_bit_that_of_its_own_pass(
    candidate: Candidate, image: Tensor, machine: Machine
) -> None:
    both = averages(candidate, image, views=("centre", "ten"), machine=machine)
    alone = averages(candidate, image, views=("centre",), machine=machine)

    assert list(alone) == ["centre"]
    assert torch.equal(both["centre"], alone["centre"])


def test_classes_that_stand_in_another_order_are_put_in_theirs(
    candidate: Candidate, image: Tensor, machine: Machine
) -> None:
    turned = replace(candidate, order=torch.tensor([1, 0]), weight=0.5)

    found = averages(turned, image, views=("centre",), machine=machine)

    assert found["centre"][0].tolist() == pytest.approx([15 / 256, 113 / 256])


def test_outputs_that_are_not_finite_are_refused(candidate: Candidate, image: Tensor, machine: Machine) -> None:
    broken = replace(candidate, pixels=replace(candidate.pixels, mean_image=torch.full((3, 256, 256), torch.nan)))

    with pytest.raises(Refusal, match="not finite"):
        averages(broken, image, views=("centre",), machine=machine)


def test_batches_show_every_image_once_in_stored_order(
    candidate: Candidate, stores: dict[str, Store], machine: Machine
) -> None:
    batches = tested_batches([candidate], stores["test"], views=("centre",), machine=machine, title="")

    assert [row for tested in batches for row in tested.batch.images.tolist()] == list(range(18))


def test_the_digest_of_preprocessing_changes_with_each_of_its_parts(
    candidate: Candidate, stores: dict[str, Store]
) -> None:
    def changed(field: str, value: object) -> Candidate:
        return replace(candidate, recipe=candidate.recipe.but({field: value}))

    brighter = replace(candidate.pixels, mean_image=candidate.pixels.mean_image + 1)
    digests = [
        preprocessing([candidate], stores["test"], "ten"),
        preprocessing([candidate], stores["test"], "centre"),
        preprocessing([candidate], stores["val"], "ten"),
        preprocessing([candidate, candidate], stores["test"], "ten"),
        preprocessing([changed("augmentation.mean", "central")], stores["test"], "ten"),
        preprocessing([changed("network.input_px", 220)], stores["test"], "ten"),
        preprocessing([replace(candidate, pixels=brighter)], stores["test"], "ten"),
    ]

    assert len(set(digests)) == len(digests)
    assert preprocessing([changed("training.rate", 0.1)], stores["test"], "ten") == digests[0]
