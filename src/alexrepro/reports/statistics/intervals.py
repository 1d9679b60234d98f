"""How sure a number is: intervals of error rates and of their differences, and the spread over seeds.

Every error is a fraction in 0..1, every interval a pair of fractions. N images, S seeds. Seeds are tested on the same
images, so they are not more images: what S seeds tell is counted as an effective number of images of one seed, and
what the choice of seeds adds is estimated from their spread, with the t quantile of S - 1 degrees of freedom.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from statistics import fmean, stdev, variance

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, binomtest, norm, t

Interval = tuple[float, float]
CONFIDENCE = 0.95


def wilson_interval(wrong: int, images: int, *, confidence: float = CONFIDENCE) -> Interval:
    """The Wilson score interval of an error rate, as fractions.

    wrong: wrongly classified images out of `images`; raises ValueError unless 0 <= wrong <= images and images > 0.
    """
    if not 0 <= wrong <= images or images == 0:
        raise ValueError(f"{wrong} wrong images out of {images}: there must be images, and no more errors than images")
    return _score_interval(wrong / images, images, confidence)


def difference_interval(
    wrong: int, images: int, *, base_wrong: int, base_images: int, confidence: float = CONFIDENCE
) -> Interval:
    """The interval of an error rate minus a base's, as fractions, from the Wilson intervals of the two.

    Newcombe's hybrid score interval (1998, method 10). It treats the images as two independent samples; on the
    same images it is wider than a paired interval would be.
    """
    ends = (wilson_interval(*counts, confidence=confidence) for counts in ((wrong, images), (base_wrong, base_images)))
    return _newcombe(wrong / images, base_wrong / base_images, *ends)


@dataclass(frozen=True)
class Sample:
    """The error rates of S seeds on the same images.

    images: how many images of one seed would tell as much. noise: the part of the variance of the mean over seeds
    that comes from images on which the seeds happen to differ; 0 where only counts are known, which errs on the
    safe side.
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
        """What other images would change, whatever the seeds."""
        return _score_interval(self.mean, self.images, CONFIDENCE)

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the error that this recipe has on average over images and seeds."""
        return _widened(self.mean, self.score_interval, _seed_margin(self.by_seed, self.noise), lowest=0.0)


def sample_of(wrong: NDArray[np.bool_]) -> Sample:
    """A sample of which every answer is known. wrong: (N, S)."""
    outcomes = wrong.astype(np.float64)
    return Sample(tuple(outcomes.mean(axis=0).tolist()), _effective_images(outcomes), _noise(outcomes))


def sample_of_counts(wrong: Sequence[int], images: int) -> Sample:
    """A sample of which only the wrong images of each seed are counted; they tell no more than one seed's images."""
    return Sample(tuple(count / images for count in wrong), images)


def unpaired_interval(one: Sample, other: Sample) -> Interval:
    """The 95 % interval of the first error minus the second, on other images or on unknown answers, seed by seed.

    Newcombe's interval, and what seeds add from the spread of the differences of equal seeds.
    """
    ends = _newcombe(one.mean, other.mean, one.score_interval, other.score_interval)
    by_seed = [first - second for first, second in zip(one.by_seed, other.by_seed, strict=True)]
    return _widened(one.mean - other.mean, ends, _seed_margin(by_seed, one.noise + other.noise))


def seeds_interval(differences: NDArray[np.float64]) -> Interval:
    """The 95 % interval of the mean of differences in -1..1 of answers to the same images by the same seeds, (N, S).

    Of one seed it is the interval of Bonett and Price.
    """
    rows, seeds = differences.shape
    images = _effective_images(differences)
    scale = images / (rows * seeds)
    ends = mean_difference_interval(
        float(differences.sum()) * scale, float((differences * differences).sum()) * scale, images
    )
    margin = _seed_margin(differences.mean(axis=0).tolist(), _noise(differences))
    return _widened(float(differences.mean()), ends, margin)


def _effective_images(outcomes: NDArray[np.float64]) -> float:
    """How many images of one seed tell as much as (N, S) outcomes: N where seeds agree on every image, at most N·S."""
    images, seeds = outcomes.shape
    if seeds == 1:
        return float(images)
    total, of_images = float(outcomes.var()), float(outcomes.mean(axis=1).var())
    return float(images * total / max(of_images, total / seeds)) if total else float(images)


def _noise(outcomes: NDArray[np.float64]) -> float:
    """The variance of the mean that comes from neither images nor seeds as such: the residual of both, (N, S)."""
    images, seeds = outcomes.shape
    if min(images, seeds) == 1:
        return 0.0
    of_images, of_seeds = outcomes.mean(axis=1, keepdims=True), outcomes.mean(axis=0, keepdims=True)
    residual = outcomes - of_images - of_seeds + outcomes.mean()
    return float(np.square(residual).sum() / ((images - 1) * (seeds - 1) * images * seeds))


def _seed_margin(by_seed: Sequence[float], noise: float) -> float:
    """What the choice of seeds adds to half an interval; nothing where it is of one seed, which cannot tell."""
    seeds = len(by_seed)
    if seeds == 1:
        return 0.0
    return float(t.ppf((1 + CONFIDENCE) / 2, seeds - 1)) * sqrt(max(0.0, variance(by_seed) / seeds - noise))


def _widened(middle: float, ends: Interval, margin: float, *, lowest: float = -1.0) -> Interval:
    """An interval around a mean with an independent part added to both sides, within its bounds."""
    if not margin:
        return ends
    low, high = ends
    return max(lowest, middle - hypot(middle - low, margin)), min(1.0, middle + hypot(high - middle, margin))


def _score_interval(rate: float, images: float, confidence: float) -> Interval:
    z = float(norm.ppf((1 + confidence) / 2))
    middle = (rate + z * z / (2 * images)) / (1 + z * z / images)
    half = z * sqrt(rate * (1 - rate) / images + z * z / (4 * images * images)) / (1 + z * z / images)
    return max(0.0, middle - half), min(1.0, middle + half)


def _newcombe(rate: float, base_rate: float, ends: Interval, base_ends: Interval) -> Interval:
    (low, high), (base_low, base_high), difference = ends, base_ends, rate - base_rate
    return difference - hypot(rate - low, base_high - base_rate), difference + hypot(high - rate, base_rate - base_low)


@dataclass(frozen=True)
class McNemar:
    """Two-sided p-values of McNemar's test of two error rates on the same images: exact, and the less strict mid-p."""

    exact_p: float
    mid_p: float


def mcnemar(only_first_wrong: int, only_second_wrong: int) -> McNemar:
    """McNemar's test, from the images on which only one of two networks is wrong; the others say nothing.

    If the networks were equally good, each of these would be either's with the chance of a half. The mid-p value
    counts the observed split half (Fagerland, Lydersen and Laake, 2013).
    """
    discordant, fewer = only_first_wrong + only_second_wrong, min(only_first_wrong, only_second_wrong)
    if not discordant:
        return McNemar(1.0, 1.0)
    exact = binomtest(fewer, discordant).pvalue
    below = 2 * binom.cdf(fewer - 1, discordant, 0.5) + binom.pmf(fewer, discordant, 0.5)
    return McNemar(float(exact), float(below))


def paired_interval(
    only_first_wrong: int, only_second_wrong: int, images: int, *, confidence: float = CONFIDENCE
) -> Interval:
    """The interval of the second network's error rate minus the first's on the same images, as fractions.

    Bonett and Price's adjusted Wald interval (2012), which adds one image to each of the two counts.
    """
    discordant = only_first_wrong + only_second_wrong
    return mean_difference_interval(only_second_wrong - only_first_wrong, discordant, images, confidence=confidence)


def mean_difference_interval(
    total: float, squares: float, images: float, *, confidence: float = CONFIDENCE
) -> Interval:
    """The interval of the mean of differences in -1..1, one an image, from their sum and the sum of their squares.

    That of Bonett and Price, which adds two images, one for each sign.
    """
    images += 2
    difference = total / images
    half = norm.ppf((1 + confidence) / 2) * sqrt(((squares + 2) / images - difference**2) / images)
    return float(difference - half), float(difference + half)


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean, and the standard deviation with n - 1 below, which is None for a single value."""
    return fmean(values), stdev(values) if len(values) > 1 else None
