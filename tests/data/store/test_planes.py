"""Planes: the arithmetic one value at a time, that of libjpeg-turbo, NumPy's and torch's, of crops and of images."""

from itertools import product
from math import isqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from alexrepro.data.loading.crops import windows_to_rgb
from alexrepro.data.store.decode import Pixels, decode_stored
from alexrepro.data.store.planes import cut_window, plane_bytes, to_planes, to_rgb, window_shape
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.data.store.store import Store
from alexrepro.errors import UserError

from .folders import write_images

SIDE = 32


def drawn(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Store]:
    """The same images raw and as planes."""
    folder = tmp_path_factory.mktemp("planes")
    source = write_images(folder / "small", height=70, width=90)
    raw, planes = (Options(encoding=encoding, side_px=64) for encoding in ("raw", "planes"))  # type: ignore[arg-type]
    return [prepare(source, out=folder / "stores", workers=1, options=each)["train"] for each in (raw, planes)]


def rgb_of(planes: NDArray[np.uint8], side_px: int = SIDE) -> Pixels:
    found = np.empty((side_px, side_px, 3), dtype=np.uint8)
    to_rgb(planes, found)
    return found


def windows_of(planes: NDArray[np.uint8], offsets: torch.Tensor, side_px: int) -> torch.Tensor:
    windows = np.zeros((len(planes), *window_shape(side_px)), dtype=np.uint8)
    stored_px = isqrt(planes.shape[1] * 2 // 3)
    for image, (y, x), window in zip(planes, offsets.tolist(), windows, strict=True):
        cut_window(image, (y, x), stored_px, window)
    return torch.from_numpy(windows)


def clipped(value: float) -> int:
    return min(max(int(value), 0), 255)


def one_pixel(planes: list[int], y: int, x: int, side_px: int) -> list[int]:
    """RGB of one pixel in Python's integers."""
    half = side_px // 2

    def chroma(start: int) -> int:
        def at(row: int, column: int) -> int:
            row, column = (min(max(each, 0), half - 1) for each in (row, column))
            return planes[start + row * half + column]

        rows, columns = (((each // 2, 3), (each // 2 + (1 if each % 2 else -1), 1)) for each in (y, x))
        total = sum(a * b * at(row, column) for (row, a), (column, b) in product(rows, columns))
        return (total + (7 if x % 2 else 8)) // 16 - 128

    luma, cb, cr = planes[y * side_px + x], chroma(side_px**2), chroma(side_px**2 * 5 // 4)
    return [
        clipped(luma + (91881 * cr + 32768) // 65536),
        clipped(luma + (32768 - 22554 * cb - 46802 * cr) // 65536),
        clipped(luma + (116130 * cb + 32768) // 65536),
    ]


def test_planes_become_rgb_as_the_arithmetic_says() -> None:
    planes = drawn(plane_bytes(SIDE))
    expected = [[one_pixel(planes.tolist(), y, x, SIDE) for x in range(SIDE)] for y in range(SIDE)]
    assert rgb_of(planes).tolist() == expected


def test_planes_become_rgb_as_in_libjpeg_turbo() -> None:
    import simplejpeg

    # Constant in blocks of 8x8 and of quality 100, planes pass through the transform of a JPEG without loss.
    planes = [np.kron(drawn(side, side), np.ones((8, 8), dtype=np.uint8)) for side in (16, 8, 8)]
    planes[2] = planes[2].T.copy()  # another one
    jpeg = simplejpeg.encode_jpeg_yuv_planes(*planes, quality=100)
    expected = np.empty((128, 128, 3), dtype=np.uint8)
    decode_stored(jpeg, expected)
    assert np.array_equal(rgb_of(np.concatenate([plane.reshape(-1) for plane in planes]), 128), expected)


@pytest.mark.parametrize(
    ("side_px", "is_compiled"), [(19, False), (20, False), pytest.param(20, True, marks=pytest.mark.slow)]
)
def test_crops_by_torch_are_those_of_whole_images_by_numpy(side_px: int, is_compiled: bool) -> None:
    places = [0, 1, 2, 5, 6, SIDE - side_px - 1, SIDE - side_px]
    offsets = torch.tensor([*product(places, places)])
    planes = drawn(len(offsets), plane_bytes(SIDE))
    windows = windows_of(planes, offsets, side_px)
    convert = torch.compile(windows_to_rgb) if is_compiled else windows_to_rgb
    crops = convert(windows, offsets)
    assert crops.is_contiguous(memory_format=torch.channels_last)
    for crop, image, (y, x) in zip(crops, planes, offsets.tolist(), strict=True):
        assert np.array_equal(crop.permute(1, 2, 0).numpy(), rgb_of(image)[y : y + side_px, x : x + side_px])


def test_whole_images_are_windows_too() -> None:
    planes = drawn(3, plane_bytes(SIDE))
    offsets = torch.zeros(3, 2, dtype=torch.int64)
    images = windows_to_rgb(windows_of(planes, offsets, SIDE), offsets)
    assert np.array_equal(images.permute(0, 2, 3, 1).numpy(), np.stack([rgb_of(image) for image in planes]))


def test_colors_become_the_nearest_rgb_by_torch_as_by_numpy() -> None:
    values = np.arange(0, 256, 15, dtype=np.uint8)
    luma, cb, cr = (each.reshape(-1) for each in np.meshgrid(values, values, values, indexing="ij"))
    planes = np.stack([luma, luma, luma, luma, cb, cr], axis=1)  # of 2x2 pixels
    offsets = torch.zeros(len(planes), 2, dtype=torch.int64)
    found = windows_to_rgb(windows_of(planes, offsets, 2), offsets).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(found, np.stack([rgb_of(image, 2) for image in planes]))
    cb, cr = cb - 128.0, cr - 128.0
    exact = luma[:, None] + np.stack([1.402 * cr, -0.344136 * cb - 0.714136 * cr, 1.772 * cb], axis=1)
    assert np.abs(found[:, 0, 0] - exact.clip(0, 255)).max() < 0.51  # half a level of rounding, and the factors


def test_an_image_becomes_the_nearest_luma_and_mean_chroma() -> None:
    pixels = drawn(SIDE, SIDE, 3)
    planes = to_planes(pixels).astype(float)
    means = pixels.reshape(SIDE // 2, 2, SIDE // 2, 2, 3).mean((1, 3))
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    cb = 128 + means @ np.array([-0.168736, -0.331264, 0.5])
    cr = 128 + means @ np.array([0.5, -0.418688, -0.081312])
    exact = np.concatenate([plane.reshape(-1) for plane in (luma, cb, cr)])
    assert np.abs(planes - exact).max() < 0.51  # half a level of rounding, and the rounded factors


@pytest.mark.parametrize("color", [*product((0, 255), repeat=3), (120, 120, 120)])
def test_a_flat_color_keeps_within_two_levels(color: tuple[int, int, int]) -> None:
    pixels = np.full((SIDE, SIDE, 3), color, dtype=np.uint8)
    assert np.abs(rgb_of(to_planes(pixels)).astype(int) - pixels).max() <= 2


def test_planes_of_another_side_are_refused() -> None:
    with pytest.raises(ValueError, match="1,536 bytes, not 6,144"):
        rgb_of(drawn(plane_bytes(SIDE)), 64)


def test_a_store_of_planes_holds_those_of_the_squares_and_shows_their_pixels(stores: list[Store]) -> None:
    raw, planes = stores
    assert len(raw) == len(planes)
    for row in range(len(raw)):
        expected = to_planes(raw.pixels(row))
        assert np.array_equal(planes.stored(row, check=True), expected)
        assert np.array_equal(planes.pixels(row), rgb_of(expected, 64))


def test_statistics_of_a_store_of_planes_are_those_of_its_pixels(stores: list[Store]) -> None:
    planes = stores[1]
    pixels = np.stack([planes.pixels(row) for row in range(len(planes))]).astype(float)
    np.testing.assert_allclose(planes.mean_image(), pixels.mean(0).transpose(2, 0, 1), rtol=1e-7)  # to float32
    np.testing.assert_allclose(planes.color_axes().mean_rgb, pixels.mean((0, 1, 2)), rtol=1e-12)  # order of sums


def test_a_damaged_image_of_a_store_of_planes_is_named(stores: list[Store], tmp_path: Path) -> None:
    whole = stores[1].path
    content = bytearray((whole / "shard-00000.arrow").read_bytes())
    position = content.index(stores[1].stored(0, check=False).tobytes())
    content[position] ^= 1
    (tmp_path / "shard-00000.arrow").write_bytes(content)
    (tmp_path / "manifest.json").write_bytes((whole / "manifest.json").read_bytes())
    with pytest.raises(UserError, match=r"is damaged: shard-00000\.arrow, row 0"):
        Store.open(tmp_path).pixels(0)
