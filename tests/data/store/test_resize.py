"""The rules by which an image becomes a stored square, and stores of other sides."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alexrepro.data.store import torch_kernel
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.data.store.resize import resize
from alexrepro.errors import UserError

from .folders import write_images


def halves(height: int, width: int) -> np.ndarray:
    """Red on the left, blue on the right."""
    found = np.zeros((height, width, 3), dtype=np.uint8)
    found[:, : width // 2, 0] = 255
    found[:, width // 2 :, 2] = 255
    return found


def test_stretching_keeps_every_column_and_cropping_only_the_middle() -> None:
    image = halves(100, 300)
    image[:, :90] = 255  # white at the left, which the central square does not reach

    stretched, cropped = resize(image, 64, "stretch"), resize(image, 64)

    assert stretched.shape == cropped.shape == (64, 64, 3)
    assert (stretched[:, :17] == 255).all()  # 90 of 300 columns are 19 of 64; the filter blurs two
    assert not (cropped == 255).all(axis=2).any()


def test_padding_shows_the_whole_image_in_the_middle_of_a_canvas() -> None:
    padded = resize(halves(100, 200), 64, "pad")

    assert set(padded[:16].flatten()) == set(padded[48:].flatten()) == {114}  # gray: (122.7 + 116.7 + 104.0) / 3
    assert (padded[16:48, :30] == (255, 0, 0)).all()
    assert (padded[16:48, 34:] == (0, 0, 255)).all()


def test_a_store_of_small_images_holds_them_as_they_are(tmp_path: Path) -> None:
    source = write_images(tmp_path / "small", height=32, width=32)

    store = prepare(source, out=tmp_path / "stores", workers=1, options=Options(side_px=32))["train"]

    assert np.array_equal(store.pixels(1), np.asarray(Image.open(source / "a/1.png")))
    assert (store.side_px, store.manifest.encoding, store.manifest.resize) == (32, "raw", "crop")
    assert store.mean_image().shape == (3, 32, 32)
    rows = np.concatenate([np.asarray(Image.open(path)).reshape(-1, 3) for path in sorted(source.rglob("*.png"))])
    np.testing.assert_allclose(store.color_axes().mean_rgb, rows.mean(0), rtol=1e-12)  # order of float64 sums


def test_other_rules_make_other_stores_beside_the_first(tmp_path: Path) -> None:
    source = write_images(tmp_path / "small", height=40, width=40)

    stores = [
        prepare(source, out=tmp_path / "stores", workers=1, options=Options(side_px=side, resize=rule))["train"]  # type: ignore[arg-type]
        for side, rule in ((32, "crop"), (32, "stretch"), (64, "crop"))
    ]

    assert len({store.path for store in stores}) == 2  # of a square image, cropping and stretching give the same images
    assert [store.side_px for store in stores] == [32, 32, 64]


@pytest.mark.parametrize("side", [0, 33, 288])
def test_a_side_that_cannot_be_stored_is_refused(side: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot be stored"):
        prepare(write_images(tmp_path / "small"), out=tmp_path / "stores", workers=1, options=Options(side_px=side))


@pytest.mark.parametrize(
    ("shape", "size", "mode"),
    [((60, 80), (32, 43), "bilinear"), ((31, 17), (64, 35), "bicubic"), ((1, 7), (5, 35), "bicubic")],
)
def test_the_kernel_without_torch_gives_the_pixels_of_torch(
    shape: tuple[int, int], size: tuple[int, int], mode: str
) -> None:
    wide = np.random.default_rng(0).integers(0, 256, (shape[0], 2 * shape[1], 3), dtype=np.uint8)

    for pixels in (wide, wide[:, : shape[1]]):  # the latter with a gap after each row
        image = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)
        expected = torch.nn.functional.interpolate(image, size, mode=mode, antialias=True, align_corners=False)
        np.testing.assert_array_equal(torch_kernel.resized(pixels, size, mode=mode), expected[0].permute(1, 2, 0))
