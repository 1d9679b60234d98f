"""Intervals, tests and spreads against closed formulas, and against other ways to compute them."""

from math import hypot, sqrt

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import permutation_test

from alexrepro.reports.statistics.intervals import (
    mcnemar,
    mean_and_std,
    paired_interval,
    sample_of,
    sample_of_counts,
    seeds_interval,
    unpaired_interval,
    wilson_interval,
)

Z = 1.959963984540054  # the 97.5 % point of the normal distribution


@pytest.mark.parametrize(("wrong", "images"), [(56_250, 150_000), (3, 500), (1, 25), (24, 25)])
def test_the_wilson_interval_ends_where_the_score_test_turns(wrong: int, images: int) -> None:
    def score(rate: float) -> float:
        return abs(wrong / images - rate) - Z * sqrt(rate * (1 - rate) / images)

    ends = brentq(score, 1e-12, wrong / images, xtol=1e-14), brentq(score, wrong / images, 1 - 1e-12, xtol=1e-14)

    assert wilson_interval(wrong, images) == pytest.approx(ends, abs=1e-10)  # where the search stops
    with pytest.raises(ValueError, match="at least one image"):
        wilson_interval(images + 1, images)


def test_the_unpaired_interval_of_one_seed_is_newcombes_example() -> None:
    # Newcombe 1998, table II, example (a): 56/70 against 48/80, method 10.
    found = unpaired_interval(sample_of_counts([56], 70), sample_of_counts([48], 80))

    assert found == pytest.approx((0.0524, 0.3339), abs=5e-5)  # printed with four digits


def test_the_spread_divides_by_one_less_than_the_values() -> None:
    assert mean_and_std([0.375]) == (0.375, None)
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
    assert mcnemar(only_first, only_second) == pytest.approx((exact, mid), abs=1e-12)  # rounding only


def test_mcnemars_test_is_scipys_test_of_exchanged_pairs() -> None:
    first = np.array([1, 1, 1, 1, 1, 1, 0, 1, 0, 1])  # wrong or not, on the same ten images
    second = np.array([0, 0, 0, 0, 0, 1, 1, 1, 0, 0])

    def difference(a: np.ndarray, b: np.ndarray) -> float:
        return float(a.mean() - b.mean())

    exchanged = permutation_test((first, second), difference, permutation_type="samples", n_resamples=np.inf)

    assert mcnemar(6, 1)[0] == pytest.approx(exchanged.pvalue, abs=1e-12)  # both count all splits


def test_the_paired_interval_is_its_closed_formula() -> None:
    # 21 images, on 1 of which only the first is wrong and on 7 only the second: 6 ± z √((10 − 36/23) / 1) in 23.
    low, high = paired_interval(1, 7, 21)

    half = Z * sqrt(10 - 36 / 23)
    assert (low, high) == pytest.approx(((6 - half) / 23, (6 + half) / 23), abs=1e-12)  # rounding only


def outcomes(seeds: int, images: int = 400) -> np.ndarray:
    """Who is wrong on which image, (N, S): the same images are hard for all seeds."""
    draws = np.random.default_rng(1)
    return draws.random((images, seeds)) < draws.beta(0.3, 0.6, size=(images, 1))


def test_one_seed_has_wilsons_interval_and_one_pair_that_of_bonett_and_price() -> None:
    wrong, others = outcomes(1), outcomes(1)[::-1]
    differences = others.astype(float) - wrong

    assert sample_of(wrong).interval == wilson_interval(int(wrong.sum()), 400)
    assert seeds_interval(differences) == paired_interval(
        int((differences < 0).sum()), int((differences > 0).sum()), 400
    )


def test_seeds_that_agree_on_every_image_have_the_interval_of_one() -> None:
    one, other = outcomes(1), outcomes(1)[::-1]
    differences = other.astype(float) - one

    assert sample_of(np.repeat(one, 3, axis=1)).interval == pytest.approx(sample_of(one).interval, abs=1e-12)
    assert seeds_interval(np.repeat(differences, 3, axis=1)) == pytest.approx(seeds_interval(differences), abs=1e-12)


@pytest.mark.parametrize("is_wrong", [False, True])
def test_without_any_difference_the_interval_has_the_images_of_one_seed(is_wrong: bool) -> None:
    wrong = np.full((400, 3), is_wrong)

    assert sample_of(wrong).interval == wilson_interval(400 * is_wrong, 400)


def test_the_effective_images_are_the_design_effect_of_the_mean_over_images() -> None:
    wrong = outcomes(3)
    of_images = wrong.mean(axis=1)

    images = sample_of(wrong).images

    assert of_images.var() / 400 == pytest.approx(wrong.mean() * (1 - wrong.mean()) / images, rel=1e-12)
    assert 400 < images < 1200


def test_seeds_add_their_spread_less_what_images_explain() -> None:
    wrong = outcomes(3, images=40)
    wrong[:30, 2] = True  # a seed that is worse
    sample, rates = sample_of(wrong), wrong.mean(axis=0)
    middle, (low, high) = float(wrong.mean()), sample.score_interval
    residual = wrong - wrong.mean(axis=1, keepdims=True) - rates + middle
    noise = (residual**2).sum() / (39 * 2) / (40 * 3)

    margin = 4.302652729911275 * sqrt(rates.var(ddof=1) / 3 - noise)  # t with two degrees of freedom

    expected = max(0.0, middle - hypot(middle - low, margin)), min(1.0, middle + hypot(high - middle, margin))
    assert sample.interval == pytest.approx(expected, abs=1e-12)  # rounding only


def test_no_interval_of_counts_is_narrower_than_that_of_one_seed() -> None:
    low, high = wilson_interval(130, 400)

    found = sample_of_counts([120, 130, 140], 400).interval

    assert found[0] < low < high < found[1]
