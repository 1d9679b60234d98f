"""Crops against plain NumPy in float64: crops, mirror images, means, the color shift, and the ten crops in order."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from alexrepro.data.loading.crops import (
    Pixels,
    center_crop,
    color_shift,
    cut,
    evaluation_crops,
    training_crops,
    windows,
)
from alexrepro.data.loading.sampling import Batch, Draws
from alexrepro.errors import UserError
from alexrepro.paper.training import Augmentation, ColorShift

SIDE = 4
FLOAT32 = {"atol": 1e-4, "rtol": 1e-6}  # values up to 255 in float32


@pytest.fixture
def pixels() -> Pixels:
    generator = torch.Generator().manual_seed(4)
    basis, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator))
    return Pixels(torch.rand(3, 6, 6, generator=generator) * 255, torch.tensor([0.2, 0.02, 0.005]), basis)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, 6, 6), generator=torch.Generator().manual_seed(9), dtype=torch.uint8)


OFFSETS = torch.tensor([[0, 2], [1, 0]])
FLIPS = torch.tensor([False, True])
COLORS = torch.tensor([[1.0, -0.5, 2.0], [0.3, 0.0, -1.0]])


def crops_of(images: torch.Tensor) -> torch.Tensor:
    return torch.stack([i[:, y : y + SIDE, x : x + SIDE] for i, (y, x) in zip(images, OFFSETS.tolist(), strict=True)])


def ten_crops(images: torch.Tensor, side: int) -> torch.Tensor:
    return torch.stack([cut(images, window, side) for window in windows("ten", *images.shape[-2:], side)], dim=1)


def shown(images: torch.Tensor, pixels: Pixels, augmentation: Augmentation) -> torch.Tensor:
    batch = Batch(0, Draws(torch.arange(2), OFFSETS, FLIPS, COLORS), crops_of(images), torch.zeros(2))
    return training_crops(batch, pixels=pixels, augmentation=augmentation)


def expected_crops(images: torch.Tensor, pixels: Pixels, augmentation: Augmentation) -> np.ndarray:
    """One image after the other, in float64, in the order of convdata_jpeg.py."""
    mean = pixels.mean_image.double().numpy()
    found = []
    for image, (y, x), flip, draw in zip(
        images.double().numpy(), OFFSETS.tolist(), FLIPS.tolist(), COLORS.double().numpy(), strict=True
    ):
        crop = image[:, y : y + SIDE, x : x + SIDE]
        if augmentation.mean == "aligned":
            crop = crop - mean[:, y : y + SIDE, x : x + SIDE]
            crop = crop[:, :, ::-1] if flip else crop
        else:
            central = mean[:, 1 : 1 + SIDE, 1 : 1 + SIDE]
            subtracted = {"central": central, "channel": mean.mean((1, 2))[:, None, None], "scalar": mean.mean()}
            crop = (crop[:, :, ::-1] if flip else crop) - subtracted[augmentation.mean]
        if augmentation.color_shift:
            deviations = np.sqrt(pixels.eigenvalues.double().numpy()) * 255
            noise = pixels.eigenvectors.double().numpy() @ (augmentation.color_shift.std * draw * deviations)
            crop = (crop + noise[:, None, None]) / augmentation.color_shift.divide_by
        found.append(crop)
    return np.stack(found)


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(color_shift=None),
        Augmentation(),
        Augmentation(mean="central", color_shift=ColorShift(divide_by=1.1)),
        Augmentation(mean="channel"),
        Augmentation(mean="scalar", color_shift=ColorShift(divide_by=1.1)),
    ],
    ids=["no shift", "as printed", "as run", "one mean a channel", "one mean"],
)
def test_training_crops_equal_the_reference(images: torch.Tensor, pixels: Pixels, augmentation: Augmentation) -> None:
    found = shown(images, pixels, augmentation)

    assert_close(found.double(), torch.from_numpy(expected_crops(images, pixels, augmentation)), **FLOAT32)


def test_the_three_readings_of_lambda_differ_by_its_unit(pixels: Pixels) -> None:
    first = torch.tensor([[1.0, 0.0, 0.0]])
    sizes = {
        reading: color_shift(first, pixels=pixels, settings=ColorShift(reading=reading)).norm().item()
        for reading in ("deviation", "unit_variance", "variance")
    }

    expected = {"deviation": 0.1 * 255 * 0.2**0.5, "unit_variance": 0.1 * 255 * 0.2, "variance": 0.1 * 255**2 * 0.2}
    assert sizes == pytest.approx(expected, rel=1e-6)  # float32


def test_ten_crops_come_in_the_order_of_the_2012_code(images: torch.Tensor) -> None:
    crops = ten_crops(images, SIDE)

    corners = [(0, 0), (0, 2), (1, 1), (2, 0), (2, 2)]  # top left, top right, center, bottom left, bottom right
    for v, (y, x) in enumerate(corners):
        assert torch.equal(crops[:, v], images[:, :, y : y + SIDE, x : x + SIDE])


def test_mirrored_crops_follow_the_originals(images: torch.Tensor) -> None:
    crops = ten_crops(images, SIDE)

    assert torch.equal(crops[:, 5:], crops[:, :5].flip(-1))


@pytest.mark.parametrize(("whole", "side"), [(256, 224), (6, 4), (6, 2)])
def test_ten_crops_are_torchvisions_in_another_order(whole: int, side: int) -> None:
    from torchvision.transforms import TenCrop  # takes over a second of every process of the suite

    image = torch.randint(0, 256, (3, whole, whole), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)

    found = ten_crops(image[None], side)[0]

    # Of five they have the center last, and they mirror the image before they cut: top left comes from top right.
    assert torch.equal(found, torch.stack(TenCrop(side)(image))[[0, 1, 4, 2, 3, 6, 5, 9, 8, 7]])


@pytest.mark.parametrize("mean", ["aligned", "central", "channel", "scalar"])
def test_evaluation_crops_are_the_ten_crops_minus_the_mean(images: torch.Tensor, pixels: Pixels, mean: str) -> None:
    augmentation = Augmentation(mean=mean)  # type: ignore[arg-type]

    found = torch.stack(
        list(evaluation_crops(images, crops="ten", side_px=SIDE, pixels=pixels, augmentation=augmentation)), dim=1
    )

    means = {
        "aligned": ten_crops(pixels.mean_image[None], SIDE),
        "central": center_crop(pixels.mean_image, SIDE).expand(1, 10, 3, SIDE, SIDE),
        "channel": pixels.mean_image.mean((1, 2))[:, None, None].expand(1, 10, 3, SIDE, SIDE),
        "scalar": pixels.mean_image.mean(),
    }
    assert torch.equal(found, ten_crops(images, SIDE).float() - means[mean])


def test_an_image_smaller_than_a_crop_is_refused(images: torch.Tensor) -> None:
    with pytest.raises(UserError, match="does not fit"):
        ten_crops(images, 7)
