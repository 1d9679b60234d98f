"""The range of every number of a recipe: one default for whole numbers, one for fractions, and the exceptions by name.

A field that is added later is checked without being named here.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from alexrepro.recipes.fields import flatten

MOST_WHOLE = 1_000_000  # kernels, pixels, epochs, images of a batch
MOST = 3.4028235e38  # the largest float32


class Limit(NamedTuple):
    """A range of numbers; `is_odd` leaves out the even ones."""

    least: float = 0
    is_above: bool = False
    most: float = MOST
    is_below: bool = False
    is_odd: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number lies in the range; NaN and infinity lie in none."""
        return (
            (value > self.least if self.is_above else value >= self.least)
            and (value < self.most if self.is_below else value <= self.most)
            and (value % 2 == 1 or not self.is_odd)
        )

    def __str__(self) -> str:
        """The range in words, after "must"."""
        if self.least == -MOST:
            return "be a finite number"
        least = f"be above {self.least:g}" if self.is_above else f"be {self.least:g} or more"
        if self.is_odd:
            return f"be odd, and from {self.least:g} to {self.most:,}"
        if self.is_below:
            return f"{least} and below {self.most:g}"
        return f"{least} and at most {self.most:,}" if self.most < MOST else f"{least} and finite"


POSITIVE, ANY, FRACTION = Limit(is_above=True), Limit(least=-MOST), Limit(most=1, is_below=True)
WHOLE, WHOLE_OR_0 = Limit(1, most=MOST_WHOLE), Limit(0, most=MOST_WHOLE)
ODD = Limit(1, most=MOST_WHOLE, is_odd=True)
EXCEPTIONS = {  # by the end of the path
    ".bias": ANY,
    ".dropout": FRACTION, ".momentum": FRACTION,
    ".norm.k": POSITIVE, ".same_map_norm.k": POSITIVE,  # with 0, a map of zeros is 0 / 0
    ".sigma_px": POSITIVE, ".divide_by": POSITIVE, ".input_std": POSITIVE,
    ".schedule.factor": Limit(1, is_above=True),
    "training.learning_rate_factor": POSITIVE,
    ".norm.n": ODD, ".same_map_norm.size_px": ODD, ".taps": ODD,
    ".pad_px": WHOLE_OR_0, ".kernel_px": WHOLE_OR_0, ".first_px": WHOLE_OR_0, ".last_offset_px": WHOLE_OR_0,
    ".drops": WHOLE_OR_0,
}  # fmt: skip


def outside(part: Any, path: str) -> Iterator[tuple[str, float, Limit]]:
    """The path, the value and the range of each number of a dataclass that is out of its range."""
    for field, leaf in flatten(part, path):
        for name, value in _numbers(leaf, field):
            limit = limit_of(name, value)
            if not limit.holds(value):
                yield name, value, limit


def limit_of(path: str, value: float) -> Limit:
    """The range of the field at a path, which holds such a number."""
    return _exception(path) or (WHOLE if isinstance(value, int) else Limit())


@cache
def _exception(path: str) -> Limit | None:
    return next((limit for end, limit in EXCEPTIONS.items() if path.endswith(end)), None)


def _numbers(leaf: Any, path: str) -> Iterator[tuple[str, float]]:
    """Every number in a leaf, which may be a list, or a list of the lines of a schedule."""
    if isinstance(leaf, dict):
        for name, value in leaf.items():
            yield from _numbers(value, f"{path}.{name}")
    elif isinstance(leaf, list):
        for value in leaf:
            yield from _numbers(value, path)
    elif isinstance(leaf, int | float) and not isinstance(leaf, bool):
        yield path, leaf
