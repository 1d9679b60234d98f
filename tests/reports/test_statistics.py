"""Intervals, tests and spreads against closed formulas, and against other ways to compute them."""

from fractions import Fraction
from math import comb, sqrt

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import permutation_test

from alexrepro.reports.statistics import (
    difference_interval,
    mcnemar,
    mean_and_std,
    mean_difference_interval,
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


@pytest.mark.parametrize(("wrong", "images"), [(56_250, 150_000), (3, 500), (1, 25), (24, 25)])
def test_the_wilson_interval_ends_where_the_score_test_turns(wrong: int, images: int) -> None:
    def score(rate: float) -> float:
        return abs(wrong / images - rate) - Z * sqrt(rate * (1 - rate) / images)

    ends = brentq(score, 1e-12, wrong / images, xtol=1e-14), brentq(score, wrong / images, 1 - 1e-12, xtol=1e-14)

    assert wilson_interval(wrong, images) == pytest.approx(ends, abs=1e-10)  # where the search stops


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


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 9), (2, 11), (5, 5), (8, 3), (40, 70), (150, 100)])
def test_mcnemars_test_adds_up_the_splits_that_are_no_likelier(only_first: int, only_second: int) -> None:
    discordant, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(Fraction(comb(discordant, k), 2**discordant) for k in range(fewer + 1))
    observed = Fraction(comb(discordant, fewer), 2**discordant)

    found = mcnemar(only_first, only_second)

    assert found.exact_p == pytest.approx(float(min(Fraction(1), 2 * tail)), rel=1e-9)
    assert found.mid_p == pytest.approx(float(2 * tail - observed), rel=1e-9)


def test_mcnemars_test_is_scipys_test_of_exchanged_pairs() -> None:
    first = np.array([1, 1, 1, 1, 1, 1, 0, 1, 0, 1])  # wrong or not, on the same ten images
    second = np.array([0, 0, 0, 0, 0, 1, 1, 1, 0, 0])

    def difference(a: np.ndarray, b: np.ndarray) -> float:
        return float(a.mean() - b.mean())

    exchanged = permutation_test((first, second), difference, permutation_type="samples", n_resamples=np.inf)

    assert mcnemar(6, 1).exact_p == pytest.approx(exchanged.pvalue, abs=1e-12)  # both count all splits


def test_the_paired_interval_is_its_closed_formula() -> None:
    # 21 images, on 1 of which only the first is wrong and on 7 only the second: 6 ± z √((10 − 36/23) / 1) in 23.
    low, high = paired_interval(1, 7, 21)

    half = Z * sqrt(10 - 36 / 23)
    assert (low, high) == pytest.approx(((6 - half) / 23, (6 + half) / 23), abs=1e-12)  # rounding only


def test_the_paired_interval_is_narrower_than_that_of_two_samples() -> None:
    paired = paired_interval(20, 30, 1000)  # of 420 and 430 wrong
    unpaired = difference_interval(430, 1000, base_wrong=420, base_images=1000)

    assert unpaired[0] < paired[0] < 0.01 < paired[1] < unpaired[1]


def test_one_pair_of_networks_has_the_paired_interval() -> None:
    assert mean_difference_interval(7 - 1, 7 + 1, 21) == paired_interval(1, 7, 21)


def test_the_interval_of_several_pairs_is_that_of_the_mean_over_images() -> None:
    draws = np.random.default_rng(0)
    by_pair = draws.choice([-1.0, 0.0, 1.0], p=[0.1, 0.8, 0.1], size=(3, 400))
    means = by_pair.mean(axis=0)

    low, high = mean_difference_interval(means.sum(), (means**2).sum(), 400)

    added = np.append(means, [1.0, -1.0])
    half = Z * added.std() / sqrt(402)
    assert (low, high) == pytest.approx((added.mean() - half, added.mean() + half), abs=1e-12)  # rounding only


def test_pairs_that_agree_on_every_image_tell_no_more_than_one() -> None:
    draws = np.random.default_rng(1)
    one = draws.choice([-1.0, 0.0, 1.0], p=[0.1, 0.7, 0.2], size=400)
    other = draws.permutation(one)

    alone, thrice, two = (
        mean_difference_interval(means.sum(), (means**2).sum(), 400)
        for means in (one, np.mean([one, one, one], axis=0), np.mean([one, other], axis=0))
    )

    assert thrice == pytest.approx(alone, abs=1e-12)  # rounding only
    assert two[1] - two[0] < 0.8 * (alone[1] - alone[0])  # about √½ where the pairs have nothing in common


@pytest.mark.slow
def test_the_interval_over_images_holds_the_truth_as_often_as_it_says() -> None:
    draws = np.random.default_rng(2)
    truth, holds = 0.03, 0
    for _ in range(1000):
        hardness = draws.beta(2, 4, size=500)  # images that one seed gets wrong are those that others get wrong
        base = draws.random((3, 500)) < hardness
        changed = draws.random((3, 500)) < np.clip(hardness + truth, 0, 1)
        means = (changed.astype(float) - base).mean(axis=0)
        low, high = mean_difference_interval(means.sum(), (means**2).sum(), 500)
        holds += low <= truth <= high
    assert 930 <= holds <= 970  # 950 ± 3 standard deviations of the count
