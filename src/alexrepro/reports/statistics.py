"""How sure a number is: intervals of error rates from counts, and the spread over seeds.

Every error is a fraction in 0..1, every interval a pair of fractions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from statistics import fmean, stdev

from scipy.stats import binom, binomtest, norm


def wilson_interval(wrong: int, images: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of an error rate, as fractions.

    wrong: wrongly classified images out of `images`; raises ValueError unless 0 <= wrong <= images and images > 0.
    """
    interval = binomtest(wrong, images).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)


def difference_interval(
    wrong: int, images: int, *, base_wrong: int, base_images: int, confidence: float = 0.95
) -> tuple[float, float]:
    """The interval of an error rate minus a base's, as fractions, from the Wilson intervals of the two.

    Newcombe's hybrid score interval (1998, method 10). It treats the images as two independent samples; on the
    same images it is wider than a paired interval would be.
    """
    rate, base_rate = wrong / images, base_wrong / base_images
    low, high = wilson_interval(wrong, images, confidence=confidence)
    base_low, base_high = wilson_interval(base_wrong, base_images, confidence=confidence)
    difference = rate - base_rate
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
    only_first_wrong: int, only_second_wrong: int, images: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """The interval of the second network's error rate minus the first's on the same images, as fractions.

    Bonett and Price's adjusted Wald interval (2012), which adds one image to each of the two counts.
    """
    discordant = only_first_wrong + only_second_wrong
    return mean_difference_interval(only_second_wrong - only_first_wrong, discordant, images, confidence=confidence)


def mean_difference_interval(
    total: float, squares: float, images: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """The interval of the mean of differences in -1..1, one an image, from their sum and the sum of their squares.

    An image's difference is the mean over pairs of networks that were all shown it: each image is one draw, however
    many pairs there are, so that seeds do not count as more images (variance of clusters: Obuchowski, 1998). Of a
    single pair it is the interval of Bonett and Price, whose two images, one for each sign, are added here, too.
    """
    images += 2
    difference = total / images
    half = norm.ppf((1 + confidence) / 2) * sqrt(((squares + 2) / images - difference**2) / images)
    return float(difference - half), float(difference + half)


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean, and the standard deviation with n - 1 below, which is None for a single value."""
    return fmean(values), stdev(values) if len(values) > 1 else None
