"""How sure a number is: intervals of error rates from counts, and the spread over seeds.

Every error is a fraction in 0..1, every interval a pair of fractions.
"""

from collections.abc import Sequence
from math import hypot
from statistics import fmean, stdev

from scipy.stats import binomtest


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


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean, and the standard deviation with n - 1 below, which is None for a single value."""
    return fmean(values), stdev(values) if len(values) > 1 else None
