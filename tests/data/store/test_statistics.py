import numpy as np
from numpy.typing import NDArray

from alexrepro.data.store.statistics import Moments


def images(count: int) -> NDArray[np.uint8]:
    """Random images of different brightness, so that the channels are correlated as in real images."""
    draws = np.random.default_rng(7)
    gray = draws.integers(0, 200, (count, 256, 256, 1))
    return (gray + draws.integers(0, 56, (count, 256, 256, 3))).astype(np.uint8)


def moments(pixels: NDArray[np.uint8]) -> Moments:
    found = Moments.none(pixels.shape[1])
    for image in pixels:
        found.add(image)
    return found


def test_sums_are_exact_even_for_white() -> None:
    found = moments(np.full((3, 256, 256, 3), 255, dtype=np.uint8))

    np.testing.assert_array_equal(found.products, np.full((3, 3), 3 * 65_536 * 255**2))
    np.testing.assert_array_equal(found.sums, np.full((256, 256, 3), 3 * 255))


def test_mean_image_equals_the_plain_mean() -> None:
    pixels = images(5)

    plain = pixels.astype(np.float64).mean(axis=0).transpose(2, 0, 1)
    np.testing.assert_allclose(moments(pixels).mean_image(), plain, rtol=1e-7)  # one rounding to float32


def test_color_axes_equal_those_of_a_plain_covariance() -> None:
    pixels = images(5)
    axes = moments(pixels).color_axes()

    rows = pixels.reshape(-1, 3).astype(np.float64)
    covariance = np.cov(rows.T, bias=True) / 255**2
    rebuilt = axes.eigenvectors @ np.diag(axes.eigenvalues) @ axes.eigenvectors.T
    np.testing.assert_allclose(axes.mean_rgb, rows.mean(axis=0), rtol=1e-12)  # float64 sums of 327,680 values
    np.testing.assert_allclose(rebuilt, covariance, atol=1e-11)  # eigensolver in float64, values near 0.06
    assert list(axes.eigenvalues) == sorted(axes.eigenvalues, reverse=True)


def test_parts_merge_to_the_same_bits_in_any_order() -> None:
    parts = [moments(part) for part in np.split(images(6), 3)]
    forward, backward = Moments.none(), Moments.none()

    for part, other in zip(parts, reversed(parts), strict=True):
        forward.merge(part)
        backward.merge(other)

    np.testing.assert_array_equal(forward.sums, backward.sums)
    np.testing.assert_array_equal(forward.products, backward.products)


def test_sums_stay_exact_when_no_float_can_hold_them() -> None:
    def counted(images: int) -> Moments:
        """The sums over so many white images, known without an image."""
        sums = np.full((32, 32, 3), 255 * images, dtype=np.uint64)
        return Moments(images, sums, np.full((3, 3), 1024 * 255**2 * images, dtype=np.int64))

    found = counted(2 * 10**9)
    found.merge(moments(np.full((1, 32, 32, 3), 255, dtype=np.uint8)))

    assert found.products[0, 1] == 1024 * 255**2 * (2 * 10**9 + 1) > 2**53
    assert found.sums[0, 0, 0] == 255 * (2 * 10**9 + 1) > 2**32
    np.testing.assert_array_equal(found.mean_image(), np.full((3, 32, 32), 255, dtype=np.float32))
