"""Signals that ask a run to stop: they set a flag, and the training loop saves and ends at its next step."""

import ctypes
import multiprocessing
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from types import FrameType

from alexrepro.errors import STOPPING, Exit

ECHO_SECONDS = 1.0
PR_SET_PDEATHSIG = 1  # prctl.h
SHOW_CURSOR = "\x1b[?25h"  # which a bar hides
AGAIN = "Run the same command again to continue."


def stopping_signals() -> list[signal.Signals]:
    """The signals that ask a run to stop; not SIGHUP if nohup ignores it."""
    return [number for number in STOPPING if number.name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN]


def code_of(by: signal.Signals) -> Exit:
    """The exit code of a run that a signal has stopped."""
    return Exit.INTERRUPTED if by == signal.SIGINT else Exit.STOPPED


@contextmanager
def stop_requests() -> Iterator[Callable[[], signal.Signals | None]]:
    """A function that returns the signal that has arrived, if any; a second signal ends the program at once.

    Signals within a second are one request: SLURM signals a launcher and its ranks, and the launcher them again.
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
    """While there is nothing to save, a signal ends the program with the exit code of a stopped run."""

    def end(number: int, _frame: FrameType | None) -> None:
        by = signal.Signals(number)
        said = f"alexrepro: Stopped by {by.name} at once; what was saved before is kept.\n{AGAIN}\n"
        with suppress(OSError):
            os.write(2, f"{SHOW_CURSOR if os.isatty(2) else ''}{said}".encode())
        os._exit(int(code_of(by)))  # an exception may be caught, by torch while it is loaded for one

    with _handled_by(end):
        yield


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block stop signals in this thread; a process that is started within the block has them blocked for good."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def stop_signals_deferred() -> Iterator[None]:
    """Block stop signals and deliver them after the block, also those that other threads receive.

    A terminal sends Ctrl-C to a whole process group, and a scheduler its signals, too: the parent decides, and a child
    that hears one while it starts would print a traceback.
    """
    resource_tracker.ensure_running()  # here, because it unblocks the signals when it starts
    arrived: list[int] = []
    try:
        with _handled_by(lambda by, _: arrived.append(by)), signals_blocked():
            yield
    finally:
        for by in arrived:
            signal.raise_signal(by)


def signal_when_parent_ends(sent: signal.Signals) -> None:
    """On Linux, get a signal from the system when the parent process ends in any way."""
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(sent))


def end_with_parent() -> None:
    """End this process at once when its parent ends, on Linux also in the middle of a write."""
    signal_when_parent_ends(signal.SIGKILL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:  # on other systems, or if the parent has already ended
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[Callable[[], None]]:
    """Let a handler hear every signal that asks a run to stop; yields a function that restores the earlier ones."""
    is_main = threading.current_thread() is threading.main_thread()  # no other thread may set handlers
    before = {number: signal.signal(number, handler) for number in stopping_signals() if is_main}

    def restore() -> None:
        for number, earlier in before.items():
            signal.signal(number, earlier)

    try:
        yield restore
    finally:
        restore()
