"""Signals that ask a run to stop: they set a flag, and the loop saves and ends at its next step."""

import ctypes
import os
import platform
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from alexrepro.errors import STOPPING, Exit, UserError

ECHO_SECONDS = 1.0
PR_SET_PDEATHSIG = 1  # prctl.h
SHOW_CURSOR = "\x1b[?25h"  # which a bar hides
AGAIN = "Run the same command again to continue."

Handler = Callable[[int, FrameType | None], None]


def asked() -> list[signal.Signals]:
    """The signals that ask a run to stop; not SIGHUP where it is ignored, as nohup has it."""
    return [number for number in STOPPING if number.name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN]


@contextmanager
def stop_requests() -> Iterator[Callable[[], signal.Signals | None]]:
    """A function that tells which signal has arrived, if any; a second signal ends the program at once.

    What arrives within a second is the same wish: SLURM signals a launcher and its ranks, and the launcher them again.
    """
    arrived: list[tuple[signal.Signals, float]] = []

    def note(number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not arrived:
            arrived.append((signal.Signals(number), now))
        elif now - arrived[0][1] > ECHO_SECONDS:
            restore()
            signal.raise_signal(number)

    with _handled_by(note) as restore:
        yield lambda: arrived[0][0] if arrived else None


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """While all that is finished is saved, a signal ends the program with the exit code of a stopped run."""

    def end(number: int, _frame: FrameType | None) -> None:
        by = signal.Signals(number)
        said = f"alexrepro: Stopped by {by.name} at once; what was saved before is kept.\n{AGAIN}\n"
        said = SHOW_CURSOR + said if os.isatty(2) else said
        with suppress(OSError):
            os.write(2, said.encode())
        os._exit(int(code_of(by)))  # an exception may be caught, by torch while it is loaded for one

    with _handled_by(end):
        yield


def stopped(by: signal.Signals, *, step: int) -> UserError:
    """The refusal with which a stopped run ends, once its checkpoint is written."""
    return UserError(
        f"Stopped by {by.name} after update {step:,}; a checkpoint is saved.",
        fix=AGAIN,
        exit_code=code_of(by),
    )


def code_of(asked: signal.Signals) -> Exit:
    """The exit code of a run that a signal has stopped."""
    return Exit.INTERRUPTED if asked == signal.SIGINT else Exit.STOPPED


def signal_when_parent_ends(sent: signal.Signals) -> None:
    """On Linux, have the system send this process a signal when the one that started it ends, however it ends."""
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(sent))


@contextmanager
def _handled_by(handler: Handler) -> Iterator[Callable[[], None]]:
    """Have a handler called for every signal that asks a run to stop; gives what puts the handlers before it back."""
    before = {number: signal.getsignal(number) for number in asked()}

    def restore() -> None:
        for number, earlier in before.items():
            signal.signal(number, earlier)

    for number in before:
        signal.signal(number, handler)
    try:
        yield restore
    finally:
        restore()
