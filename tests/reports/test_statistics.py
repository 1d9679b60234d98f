"""Intervals and spreads against closed formulas."""

from math import sqrt

import pytest

from alexrepro.reports.statistics import (
    difference_interval,
    mcnemar,
    mean_and_std,
    paired_interval,
    wilson_interval,
)

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


@pytest.mark.parametrize(
    ("only_first", "only_second", "exact", "mid"),
    [
        (1, 7, 18 / 256, 10 / 256),  # 2 (1 + 8) / 2⁸, and less 8 / 2⁸; printed as 0.070 and 0.039 by Fagerland et al.
        (7, 1, 18 / 256, 10 / 256),
        (3, 3, 1.0, 1.0),
        (0, 0, 1.0, 1.0),
        (0, 2, 0.5, 0.25),
    ],
)
def test_mcnemars_test_is_that_made_by_hand(only_first: int, only_second: int, exact: float, mid: float) -> None:
    found = mcnemar(only_first, only_second)

    assert (found.exact_p, found.mid_p) == pytest.approx((exact, mid), abs=1e-12)  # rounding only


def test_the_paired_interval_is_its_closed_formula() -> None:
    # 21 images, on 1 of which only the first is wrong and on 7 only the second: 6 ± z √((10 − 36/23) / 1) in 23.
    low, high = paired_interval(1, 7, 21)

    half = Z * sqrt(10 - 36 / 23)
    assert (low, high) == pytest.approx(((6 - half) / 23, (6 + half) / 23), abs=1e-12)  # rounding only


def test_the_paired_interval_is_narrower_than_that_of_two_samples() -> None:
    paired = paired_interval(20, 30, 1000)  # of 420 and 430 wrong
    unpaired = difference_interval(430, 1000, base_wrong=420, base_images=1000)

    assert unpaired[0] < paired[0] < 0.01 < paired[1] < unpaired[1]
