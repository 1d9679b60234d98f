"""What a measurement says of a printed number: one rule for errors and for differences of errors.

A printed number is reproduced if it lies in the measured 95 % interval and no further from the measurement than
repeated runs of one network differ. If only one of the two holds, it is within noise, as is a difference that cannot
be told from none: a wide interval, of few images or seeds, confirms nothing.
"""

from collections.abc import Iterable
from typing import Literal

from alexrepro.recipes.catalog import TOLERANCE

Verdict = Literal["reproduced", "within noise", "not reproduced", "not comparable", "not run"]
ROUNDING = 0.001 / 2  # numbers are printed with one digit of a percent
ORDER: tuple[Verdict, ...] = ("not reproduced", "within noise", "reproduced", "not comparable", "not run")
Measured = tuple[float | None, float | None, float | None, float | None]  # printed, measured, ends of the interval


def judged(top1: Measured, top5: Measured, *, is_difference: bool = False) -> Verdict:
    """The verdict on a pair of printed numbers, either of which may be missing: that of the worse one.

    Everything is a fraction; raises ValueError if neither number was printed.
    """
    found = [
        _judge(printed, value, low, high, tolerance=tolerance, is_difference=is_difference)
        for (printed, value, low, high), tolerance in zip((top1, top5), TOLERANCE, strict=True)
        if printed is not None and value is not None and low is not None and high is not None
    ]
    return strongest(found)


def strongest(verdicts: Iterable[Verdict]) -> Verdict:
    """Of several verdicts on one claim the one that counts: a measurement before none, the worse before the better."""
    return min(verdicts, key=ORDER.index)


def _judge(printed: float, value: float, low: float, high: float, *, tolerance: float, is_difference: bool) -> Verdict:
    is_inside = low - ROUNDING <= printed <= high + ROUNDING
    is_near = abs(value - printed) <= tolerance
    if not (is_inside or is_near):
        return "not reproduced"
    settles = is_inside and is_near and not (is_difference and low <= 0 <= high)
    return "reproduced" if settles else "within noise"
