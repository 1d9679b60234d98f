"""Signals that ask a run to stop: they set a flag, and the loop saves and ends at its next step."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from alexrepro.errors import Exit, Refusal

ASKED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
ECHO_SECONDS = 1.0


@contextmanager
def stop_requests() -> Iterator[Callable[[], signal.Signals | None]]:
    """A function that tells which signal has arrived, if any; a second signal ends the program as usual.

    What arrives within a second is the same wish: SLURM signals a launcher and its ranks, and the launcher them again.
    """
    arrived: list[tuple[signal.Signals, float]] = []
    before = {number: signal.getsignal(number) for number in ASKED}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not arrived:
            arrived.append((signal.Signals(number), now))
        elif now - arrived[0][1] > ECHO_SECONDS:
            restore()
            signal.raise_signal(number)

    for number in ASKED:
        signal.signal(number, note)
    try:
        yield lambda: arrived[0][0] if arrived else None
    finally:
        restore()


def stopped(by: signal.Signals, *, step: int) -> Refusal:
    """The refusal with which a stopped run ends, once its checkpoint is written."""
    return Refusal(
        f"Stopped by {by.name} after update {step:,}; a checkpoint is saved.",
        fix="Run the same command again to continue.",
        exit_code=Exit.INTERRUPTED if by == signal.SIGINT else Exit.STOPPED,
    )
