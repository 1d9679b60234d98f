"""What a measurement says of a printed number: one rule for errors and for differences of errors.

A printed number that lies in the measured 95 % interval is reproduced, unless it is a difference that cannot be told
from none: that is within noise, as is a number missed by no more than repeated runs of one network differ.
"""

from collections.abc import Iterable
from typing import Literal

from alexrepro.recipes.catalogue import TOLERANCE

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
    if low - ROUNDING <= printed <= high + ROUNDING:
        return "within noise" if is_difference and low <= 0 <= high else "reproduced"
    return "within noise" if abs(value - printed) <= tolerance else "not reproduced"
