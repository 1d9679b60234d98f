"""Worker processes of `prepare` and of the data loader, forked from a clean process that has loaded their code once.

No thread and no device of this process is copied. Not a pool of the standard library: its named semaphores are reported
as leaked when a signal ends the program at once.
"""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Thread
from time import monotonic
from types import ModuleType

from alexrepro.errors import STOPPING, Exit, UserError
from alexrepro.stop_signals import end_with_parent, stop_signals_deferred

FORK_SERVER = "alexrepro.data.store.fork_server"  # loaded where workers are forked from, and nowhere else
CLOSING_SECONDS = 5.0  # for all together; one in a read from a dead disk cannot be ended


def start(work: Callable[..., None], *arguments: object, preload: str = "") -> tuple[BaseProcess, Connection]:
    """A process that does `work(pipe, *arguments)` and ends with this one, however that ends; and our end of the pipe.

    preload: a module to load where workers are forked from, by default that of `work`.
    Stop signals are sent to a whole group of processes; the worker ignores them, because the parent decides.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([FORK_SERVER, preload or work.__module__])
    try:
        with (
            stop_signals_deferred(),
            _main_hidden(),
        ):  # a server whose client ends in the middle would print a traceback
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(work, theirs, *arguments), daemon=True)
            process.start()
    except (OSError, EOFError) as error:
        raise UserError(
            f"A worker process cannot be started: {getattr(error, 'strerror', None) or 'its fork server has ended'}.",
            fix="Use fewer --workers.",
            exit_code=Exit.WORKER_FAILED,
        ) from None
    theirs.close()
    return process, ours


@contextmanager
def _main_hidden() -> Iterator[None]:
    """Have a new process leave the program's main module alone, whose code no worker needs.

    It would import it, and so run a user's script a second time unless all of it is below `if __name__ == "__main__"`.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _serve(work: Callable[..., None], pipe: Connection, *arguments: object) -> None:
    end_with_parent()
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    with pipe, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        work(pipe, *arguments)


def ending(worker: BaseProcess | Thread) -> str:
    """How a worker ended whose end of the pipe is closed, such as "was ended by SIGKILL"."""
    worker.join(timeout=CLOSING_SECONDS)
    code = getattr(worker, "exitcode", None) or 0
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def end(workers: Sequence[BaseProcess | Thread], pipes: Iterable[Connection]) -> None:
    """Close our ends of the pipes, which ends threads; kill processes, which have nothing to lose; wait for all."""
    for pipe in pipes:
        pipe.close()
    for worker in workers:
        if isinstance(worker, BaseProcess):
            worker.kill()
    until = monotonic() + CLOSING_SECONDS
    for worker in workers:
        worker.join(timeout=max(0.0, until - monotonic()))
