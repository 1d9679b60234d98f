"""One rule for verdicts."""

import pytest

from alexrepro.reports.statistics.verdict import judged, strongest

GOOD = (0.17, 0.17, 0.16, 0.18)


@pytest.mark.parametrize(
    ("top1", "is_difference", "verdict"),
    [
        ((0.375, 0.374, 0.372, 0.376), False, "reproduced"),
        ((0.375, 0.350, 0.290, 0.410), False, "within noise"),  # inside, but so would be almost anything
        ((0.014, 0.030, 0.002, 0.058), True, "within noise"),
        ((0.375, 0.372, 0.370, 0.374), False, "within noise"),  # outside the interval by less than runs differ
        ((0.375, 0.365, 0.363, 0.367), False, "not reproduced"),
        ((0.375, 0.390, 0.388, 0.392), False, "not reproduced"),
        ((0.014, 0.014, 0.008, 0.020), True, "reproduced"),
        ((0.004, 0.003, -0.003, 0.009), True, "within noise"),  # holds zero, too
        ((0.004, 0.003, -0.003, 0.009), False, "reproduced"),
        ((0.017, -0.01, -0.016, -0.004), True, "not reproduced"),  # the other sign
    ],
)
def test_the_interval_decides(top1: tuple[float, float, float, float], is_difference: bool, verdict: str) -> None:
    top5 = (0.012, 0.012, 0.008, 0.016) if is_difference else GOOD

    assert judged(top1, top5, is_difference=is_difference) == verdict


def test_the_worse_of_two_numbers_counts_and_one_that_was_not_printed_does_not() -> None:
    assert judged((0.5, 0.4, 0.39, 0.41), GOOD) == "not reproduced"
    assert judged((None, 0.4, 0.39, 0.41), GOOD) == "reproduced"


def test_a_measurement_counts_before_none() -> None:
    assert strongest(["not run", "not comparable", "within noise"]) == "within noise"
