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

from alexrepro.errors import STOPPING, Exit, UserError

ECHO_SECONDS = 1.0
PR_SET_PDEATHSIG = 1  # prctl.h
SHOW_CURSOR = "\x1b[?25h"  # which a bar hides
AGAIN = "Run the same command again to continue."

Handler = Callable[[int, FrameType | None], None]


def stopping_signals() -> list[signal.Signals]:
    """The signals that ask a run to stop; not SIGHUP if nohup ignores it."""
    return [number for number in STOPPING if number.name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN]


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
        said = SHOW_CURSOR + said if os.isatty(2) else said
        with suppress(OSError):
            os.write(2, said.encode())
        os._exit(int(code_of(by)))  # an exception may be caught, by torch while it is loaded for one

    with _handled_by(end):
        yield


def stopped(by: signal.Signals, *, step: int) -> UserError:
    """The error that ends a stopped run after its checkpoint is written."""
    what = f"Stopped by {by.name} after step {step:,}; a checkpoint is saved."
    return UserError(what, fix=AGAIN, exit_code=code_of(by))


def code_of(by: signal.Signals) -> Exit:
    """The exit code of a run that a signal has stopped."""
    return Exit.INTERRUPTED if by == signal.SIGINT else Exit.STOPPED


def signal_when_parent_ends(sent: signal.Signals) -> None:
    """On Linux, get a signal from the system when the parent process ends in any way."""
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(sent))


@contextmanager
def stop_signals_deferred() -> Iterator[None]:
    """Deliver stop signals after the block. A process that is started within it has them blocked for good.

    A terminal sends Ctrl-C to a whole process group, and a scheduler its signals, too: the parent decides, and a child
    that hears one while it starts would print a traceback.
    """
    resource_tracker.ensure_running()  # here, because it unblocks the signals when it starts
    arrived: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():  # no other thread runs handlers, or may set them
        heard = [number for number in STOPPING if callable(signal.getsignal(number))]
        handlers = {number: signal.signal(number, lambda by, _: arrived.append(by)) for number in heard}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for by in arrived:
            signal.raise_signal(by)


def end_with_parent() -> None:
    """End this process at once when its parent ends, however that ends.

    On Linux the system does it, also in the middle of a write; the thread is for other systems, and for a parent that
    has already ended.
    """
    signal_when_parent_ends(signal.SIGKILL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextmanager
def _handled_by(handler: Handler) -> Iterator[Callable[[], None]]:
    """Install a handler for every signal that asks a run to stop; yields a function that restores the earlier ones."""
    before = {number: signal.getsignal(number) for number in stopping_signals()}

    def restore() -> None:
        for number, earlier in before.items():
            signal.signal(number, earlier)

    for number in before:
        signal.signal(number, handler)
    try:
        yield restore
    finally:
        restore()
