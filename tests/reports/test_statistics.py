"""Intervals and spreads against closed formulas."""

from math import sqrt

import pytest

from alexrepro.reports.statistics import difference_interval, mean_and_std, wilson_interval

Z = 1.959963984540054  # the 97.5 % point of the normal distribution


@pytest.mark.parametrize(("wrong", "images"), [(56_250, 150_000), (3, 500), (0, 25), (25, 25)])
def test_the_wilson_interval_is_its_closed_formula(wrong: int, images: int) -> None:
    rate = wrong / images
    middle = (rate + Z**2 / (2 * images)) / (1 + Z**2 / images)
    half = Z * sqrt(rate * (1 - rate) / images + Z**2 / (4 * images**2)) / (1 + Z**2 / images)

    found = wilson_interval(wrong, images)

    assert found == pytest.approx((middle - half, middle + half), abs=1e-12)  # rounding only


def test_more_confidence_makes_a_wider_interval() -> None:
    low, high = wilson_interval(30, 100, confidence=0.95)
    wider_low, wider_high = wilson_interval(30, 100, confidence=0.99)

    assert wider_low < low < 0.3 < high < wider_high


def test_more_errors_than_images_are_refused() -> None:
    with pytest.raises(ValueError, match="must"):
        wilson_interval(6, 5)


def test_the_difference_interval_is_the_published_example() -> None:
    # Newcombe 1998, table II, example (a): 56/70 against 48/80, method 10.
    found = difference_interval(56, 70, base_wrong=48, base_images=80)

    assert found == pytest.approx((0.0524, 0.3339), abs=5e-5)  # printed with four digits


def test_the_difference_interval_changes_sign_with_the_roles() -> None:
    low, high = difference_interval(30, 100, base_wrong=20, base_images=90)
    other_low, other_high = difference_interval(20, 90, base_wrong=30, base_images=100)

    assert (low, high) == pytest.approx((-other_high, -other_low), abs=1e-12)  # rounding only


def test_one_value_has_a_mean_and_no_spread() -> None:
    assert mean_and_std([0.375]) == (0.375, None)


def test_the_spread_divides_by_one_less_than_the_values() -> None:
    assert mean_and_std([1.0, 2.0, 3.0]) == (2.0, 1.0)
