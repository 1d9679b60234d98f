"""What every part of the check is given: the device, the time that is left, and how thorough to be."""

import time
from dataclasses import dataclass
from typing import Any

import torch

NOT_RUN = "not run"
Facts = dict[str, Any]  # of one part, as they go into the JSON; a part fills it while it runs


class TimeUp(BaseException):
    """The time for the whole check is over. Not an Exception, so that neither torch nor a part handles it."""


class Budget:
    """The time for the whole check; parts ask for it by the fraction at which they have to be finished."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._started = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def has(self, seconds: float, *, until: float = 1.0) -> bool:
        """Whether that many seconds are left before a fraction of the total is spent."""
        return until * self.seconds - self.spent >= seconds


@dataclass(frozen=True)
class Study:
    """The device under test. is_short: the small network and a few steps only, to try the check itself."""

    device: torch.device
    budget: Budget
    is_short: bool

    @property
    def recipes(self) -> tuple[str, ...]:
        """The recipes whose gradients are compared, the important one first."""
        return ("tiny",) if self.is_short else ("as-run-2012", "tiny")

    @property
    def recipe(self) -> str:
        """The recipe that is timed."""
        return self.recipes[0]

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions that are timed, the important one first."""
        return ("bf16",) if self.is_short else ("bf16", "tf32", "float32")

    @property
    def rounds(self) -> int:
        """Rounds of every measurement; medians are taken over them."""
        return 2 if self.is_short else 5

    @property
    def steps(self) -> int:
        """Steps of a contender in a round."""
        return 3 if self.is_short else 20


def reason(error: BaseException) -> str:
    """The first line of an error with its type."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
