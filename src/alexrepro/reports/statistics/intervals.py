"""95 % intervals of error rates and of their differences, and McNemar's test (docs/explanation/intervals.md).

Errors are fractions, intervals pairs of fractions. N images, S seeds. All seeds are evaluated on the same images, so
they count as an effective number of images of one seed; the choice of seeds widens an interval by their spread and the
t quantile of S - 1 degrees of freedom.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from statistics import fmean, stdev, variance

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit  # scipy.stats takes another 32 MB and 0.6 s

Interval = tuple[float, float]
UPPER_QUANTILE = (1 + 0.95) / 2


@dataclass(frozen=True)
class Estimate:
    """An error or a difference of errors, as a fraction: mean over seeds, 95 % interval, standard deviation over seeds.

    A published number has no interval; a single seed has no deviation.
    """

    mean: float
    low: float | None = None
    high: float | None = None
    std: float | None = None


def wilson_interval(wrong: int, images: int) -> Interval:
    """The Wilson score interval of an error rate; raises ValueError unless 0 <= wrong <= images and images > 0."""
    if not 0 <= wrong <= images or images == 0:
        raise ValueError(f"{wrong} wrong images of {images}: expected at least one image and at most as many errors")
    return _score_interval(wrong / images, images)


@dataclass(frozen=True)
class Sample:
    """The error rates of S seeds on the same images.

    images: the effective number of images. noise: the part of the variance of the mean over seeds that comes from
    images on which the seeds happen to differ; 0 where only counts are known, which makes the interval wider.
    """

    by_seed: tuple[float, ...]
    images: float
    noise: float = 0.0

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return fmean(self.by_seed)

    @property
    def score_interval(self) -> Interval:
        """The Wilson interval for the effective number of images; it ignores the choice of seeds."""
        return _score_interval(self.mean, self.images)

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the recipe's expected error, over images and seeds."""
        return _widened(self.mean, self.score_interval, _seed_margin(self.by_seed, self.noise), lowest=0.0)


def sample_of(wrong: NDArray[np.bool_]) -> Sample:
    """The sample of seeds whose outcome on every image is known; wrong: (N, S)."""
    outcomes = wrong.astype(np.float64)
    return Sample(tuple(outcomes.mean(axis=0).tolist()), _effective_images(outcomes), _noise(outcomes))


def sample_of_counts(wrong: Sequence[int], images: int) -> Sample:
    """The sample of seeds if only their numbers of wrong images are known: it counts the images of one seed."""
    return Sample(tuple(count / images for count in wrong), images)


def unpaired_interval(one: Sample, other: Sample) -> Interval:
    """The 95 % interval of the first error minus the second, on different images or with unknown outcomes.

    Newcombe's hybrid score interval (1998, method 10), widened by the spread of the differences of equal seeds.
    """
    (low, high), (other_low, other_high) = one.score_interval, other.score_interval
    difference = one.mean - other.mean
    ends = (
        difference - hypot(one.mean - low, other_high - other.mean),
        difference + hypot(high - one.mean, other.mean - other_low),
    )
    by_seed = [first - second for first, second in zip(one.by_seed, other.by_seed, strict=True)]
    return _widened(difference, ends, _seed_margin(by_seed, one.noise + other.noise))


def seeds_interval(differences: NDArray[np.float64]) -> Interval:
    """The 95 % interval of the mean of paired differences in -1..1, (N, S); for one seed that of Bonett and Price."""
    rows, seeds = differences.shape
    images = _effective_images(differences)
    scale = images / (rows * seeds)
    ends = _mean_interval(float(differences.sum()) * scale, float((differences * differences).sum()) * scale, images)
    margin = _seed_margin(differences.mean(axis=0).tolist(), _noise(differences))
    return _widened(float(differences.mean()), ends, margin)


def paired_interval(only_first_wrong: int, only_second_wrong: int, images: int) -> Interval:
    """The 95 % interval of the second error rate minus the first on the same images (Bonett and Price, 2012)."""
    return _mean_interval(only_second_wrong - only_first_wrong, only_first_wrong + only_second_wrong, images)


def mcnemar(only_first_wrong: int, only_second_wrong: int) -> tuple[float, float]:
    """Two-sided p-values of McNemar's test: exact, and the less conservative mid-p (Fagerland et al., 2013)."""
    from scipy.stats import binom, binomtest

    discordant, fewer = only_first_wrong + only_second_wrong, min(only_first_wrong, only_second_wrong)
    if not discordant:
        return 1.0, 1.0
    mid_p = 2 * binom.cdf(fewer - 1, discordant, 0.5) + binom.pmf(fewer, discordant, 0.5)
    return float(binomtest(fewer, discordant).pvalue), float(mid_p)


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean and the sample standard deviation, which is None for a single value."""
    return fmean(values), stdev(values) if len(values) > 1 else None


def _effective_images(outcomes: NDArray[np.float64]) -> float:
    """How many images of one seed carry as much information as (N, S) outcomes: N if all seeds agree, at most N·S."""
    images, seeds = outcomes.shape
    if seeds == 1:
        return float(images)
    total, of_images = float(outcomes.var()), float(outcomes.mean(axis=1).var())
    return float(images * total / max(of_images, total / seeds)) if total else float(images)


def _noise(outcomes: NDArray[np.float64]) -> float:
    """The variance of the mean due to the residual of a two-way layout of images and seeds, (N, S)."""
    images, seeds = outcomes.shape
    if min(images, seeds) == 1:
        return 0.0
    of_images, of_seeds = outcomes.mean(axis=1, keepdims=True), outcomes.mean(axis=0, keepdims=True)
    residual = outcomes - of_images - of_seeds + outcomes.mean()
    return float(np.square(residual).sum() / ((images - 1) * (seeds - 1) * images * seeds))


def _seed_margin(by_seed: Sequence[float], noise: float) -> float:
    """Half the interval due to the choice of seeds; 0 for a single seed, which does not show it."""
    seeds = len(by_seed)
    if seeds == 1:
        return 0.0
    return float(stdtrit(seeds - 1, UPPER_QUANTILE)) * sqrt(max(0.0, variance(by_seed) / seeds - noise))


def _widened(middle: float, ends: Interval, margin: float, *, lowest: float = -1.0) -> Interval:
    """An interval with an independent margin added to both sides, clipped to lowest..1."""
    if not margin:
        return ends
    low, high = ends
    return max(lowest, middle - hypot(middle - low, margin)), min(1.0, middle + hypot(high - middle, margin))


def _score_interval(rate: float, images: float) -> Interval:
    z = float(ndtri(UPPER_QUANTILE))
    middle = (rate + z * z / (2 * images)) / (1 + z * z / images)
    half = z * sqrt(rate * (1 - rate) / images + z * z / (4 * images * images)) / (1 + z * z / images)
    return max(0.0, middle - half), min(1.0, middle + half)


def _mean_interval(total: float, squares: float, images: float) -> Interval:
    """The interval of a mean from the sum and the sum of squares; Bonett and Price add one difference of each sign."""
    images += 2
    mean = total / images
    half = ndtri(UPPER_QUANTILE) * sqrt(((squares + 2) / images - mean**2) / images)
    return float(mean - half), float(mean + half)
