"""Intervals and tests against closed formulas, published examples and simulation.

A simulated trial draws the hardness of every image, the same for all seeds, and then who is wrong; the truth is known.
"""

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
from scipy.optimize import brentq

from alexrepro.reports.statistics.intervals import (
    Interval,
    mcnemar,
    paired_interval,
    sample_of,
    sample_of_counts,
    seeds_interval,
    unpaired_interval,
    wilson_interval,
)

Z = 1.959963984540054  # the 97.5 % point of the normal distribution
MEAN = 0.3 / (0.3 + 0.6)  # of the hardness Beta(0.3, 0.6), which puts most images near never and always wrong
Trial = Callable[[np.random.Generator], tuple[Interval, float]]  # an interval and the truth


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


def test_the_paired_interval_is_its_closed_formula() -> None:
    # 21 images, on 1 of which only the first is wrong and on 7 only the second: 6 ± z √((10 − 36/23) / 1) in 23.
    half = Z * sqrt(10 - 36 / 23)

    assert paired_interval(1, 7, 21) == pytest.approx(((6 - half) / 23, (6 + half) / 23), abs=1e-12)  # rounding only


def outcomes(seeds: int, images: int = 400) -> np.ndarray:
    """Who is wrong on which image, (N, S): the same images are hard for all seeds."""
    draws = np.random.default_rng(1)
    return draws.random((images, seeds)) < draws.beta(0.3, 0.6, size=(images, 1))


def test_seeds_that_agree_on_every_image_have_the_interval_of_one() -> None:
    wrong, others = outcomes(1), outcomes(1)[::-1]
    differences = others.astype(float) - wrong
    discordant = (int((differences < 0).sum()), int((differences > 0).sum()))

    assert sample_of(wrong).interval == wilson_interval(int(wrong.sum()), 400)
    assert sample_of(np.repeat(wrong, 3, axis=1)).interval == pytest.approx(sample_of(wrong).interval, abs=1e-12)
    assert sample_of(np.full((400, 3), True)).interval == wilson_interval(400, 400)
    assert seeds_interval(differences) == paired_interval(*discordant, 400)
    assert seeds_interval(np.repeat(differences, 3, axis=1)) == pytest.approx(seeds_interval(differences), abs=1e-12)


def test_the_effective_images_are_the_design_effect_of_the_mean_over_images() -> None:
    wrong = outcomes(3)
    of_images = wrong.mean(axis=1)

    images = sample_of(wrong).images

    assert of_images.var() / 400 == pytest.approx(wrong.mean() * (1 - wrong.mean()) / images, rel=1e-12)
    assert 400 < images < 1200


def hardness(draws: np.random.Generator) -> np.ndarray:
    return draws.beta(0.3, 0.6, size=(1000, 1))


def answered(draws: np.random.Generator, hard: np.ndarray, seeds: int = 3, spread: float = 0.0) -> np.ndarray:
    """Who is wrong, (N, S). spread: the standard deviation of the seeds' own error."""
    probabilities = hard + draws.normal(0, spread, size=(1, seeds)) if spread else hard
    return draws.random((1000, seeds)) < probabilities


def of_seeds(seeds: int) -> Trial:
    return lambda draws: (sample_of(answered(draws, hardness(draws), seeds=seeds)).interval, MEAN)


def paired(draws: np.random.Generator) -> tuple[Interval, float]:
    hard = hardness(draws)
    return seeds_interval(answered(draws, hard).astype(float) - answered(draws, hard)), 0.0


def unpaired(draws: np.random.Generator) -> tuple[Interval, float]:
    one, other = (sample_of(answered(draws, hardness(draws))) for _ in range(2))
    return unpaired_interval(one, other), 0.0


def of_seeds_that_differ(draws: np.random.Generator) -> tuple[Interval, float]:
    hard = 0.1 + 0.8 * hardness(draws)  # so that it stays a probability with what a seed adds
    return sample_of(answered(draws, hard, spread=0.02)).interval, 0.1 + 0.8 * MEAN


def of_counts(draws: np.random.Generator) -> tuple[Interval, float]:
    wrong = answered(draws, hardness(draws)).sum(axis=0)
    return sample_of_counts(wrong.tolist(), 1000).interval, MEAN


@pytest.mark.parametrize(
    ("trial", "lowest", "highest"),
    [
        *((trial, 0.93, 0.97) for trial in (of_seeds(1), of_seeds(3), of_seeds(5), of_seeds_that_differ)),
        *((trial, 0.93, 0.97) for trial in (paired, unpaired)),
        (of_counts, 0.95, 1.0),  # conservative, as it cannot know on which images the seeds agree
    ],
)
def test_an_interval_of_95_percent_holds_the_truth_in_95_percent_of_trials(
    trial: Trial, lowest: float, highest: float
) -> None:
    draws = np.random.default_rng(0)

    found = [trial(draws) for _ in range(1200)]

    assert lowest <= np.mean([low <= truth <= high for (low, high), truth in found]) <= highest
