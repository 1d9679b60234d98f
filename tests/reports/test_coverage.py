"""Intervals hold the truth as often as they say, where seeds are tested on the same images.

A trial draws the hardness of every image, the same for all seeds, and then who is wrong; the truth is known.
"""

from collections.abc import Callable

import numpy as np
import pytest

from alexrepro.reports.statistics.intervals import (
    Interval,
    sample_of,
    sample_of_counts,
    seeds_interval,
    unpaired_interval,
)

IMAGES, SEEDS, TRIALS = 1000, 3, 1200
MEAN = 0.3 / (0.3 + 0.6)  # of the hardness Beta(0.3, 0.6), which puts most images near never and always wrong
Trial = Callable[[np.random.Generator], tuple[Interval, float]]  # an interval and the truth


def hardness(draws: np.random.Generator) -> np.ndarray:
    return draws.beta(0.3, 0.6, size=(IMAGES, 1))


def answered(draws: np.random.Generator, hard: np.ndarray, seeds: int = SEEDS, spread: float = 0.0) -> np.ndarray:
    """Who is wrong, (N, S). spread: the standard deviation of the seeds' own error."""
    probabilities = hard + draws.normal(0, spread, size=(1, seeds)) if spread else hard
    return draws.random((IMAGES, seeds)) < probabilities


def of_seeds(seeds: int = SEEDS) -> Trial:
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
    return sample_of_counts(wrong.tolist(), IMAGES).interval, MEAN


def coverage(trial: Trial) -> float:
    draws = np.random.default_rng(0)
    held = []
    for _ in range(TRIALS):
        (low, high), truth = trial(draws)
        held.append(low <= truth <= high)
    return float(np.mean(held))


@pytest.mark.parametrize(
    "trial", [of_seeds(), paired, unpaired, of_seeds_that_differ, of_seeds(5), of_seeds(1)],
    ids=["error", "paired", "unpaired", "seeds that differ", "five seeds", "one seed"],
)  # fmt: skip
def test_an_interval_of_95_percent_holds_the_truth_in_93_to_97_percent_of_trials(trial: Trial) -> None:
    assert 0.93 <= coverage(trial) <= 0.97


def test_an_interval_of_counts_holds_the_truth_in_at_least_95_percent_of_trials() -> None:
    assert coverage(of_counts) >= 0.95
