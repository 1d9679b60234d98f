"""Processes that this program starts: they never hear the signals that stop it, and they end with it."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

from alexrepro.errors import STOPPING
from alexrepro.stop_signals import signal_when_parent_ends


@contextmanager
def stop_signals_deferred() -> Iterator[None]:
    """Deliver signals that stop the program after the block. A process started within it has them blocked for good.

    A terminal sends Ctrl-C to a whole group of processes, and a scheduler its signals, too: the parent decides, and a
    process that hears one while it still starts would print a traceback.
    """
    resource_tracker.ensure_running()  # here, because it unblocks the signals when it starts
    arrived: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():  # no other thread runs handlers, or may set them
        heard = [stopping for stopping in STOPPING if callable(signal.getsignal(stopping))]
        handlers = {stopping: signal.signal(stopping, lambda number, _: arrived.append(number)) for stopping in heard}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for stopping, handler in handlers.items():
            signal.signal(stopping, handler)
        for number in arrived:
            signal.raise_signal(number)


def end_with_parent() -> None:
    """End this process at once when the one that started it ends, however it ends.

    On Linux the system sees to it, also in the middle of a write; the thread is for other systems, and for a parent
    that has ended already.
    """
    signal_when_parent_ends(signal.SIGKILL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
