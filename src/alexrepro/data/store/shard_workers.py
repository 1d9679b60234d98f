"""Processes that make shards, one at a time each. All are killed at the first error; no finished shard is lost.

Not a pool of the standard library: its named semaphores are reported as leaked when a signal ends the program at once.
This module loads nothing large, so a process that starts ends at once if its parent has ended.
"""

import multiprocessing
import signal
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import TYPE_CHECKING

from alexrepro.errors import Exit, UserError
from alexrepro.stop_signals import end_with_parent, stop_signals_deferred

if TYPE_CHECKING:
    from alexrepro.data.store.shard_writer import Job

CLOSING_SECONDS = 5.0  # for all together; a process in a read from a dead disk cannot be ended


@dataclass
class _Worker:
    """A process, this end of the pipe to it, and the shard that it makes."""

    process: BaseProcess
    pipe: Connection
    job: "Job | None" = None


def make_in_processes(jobs: Sequence["Job"], *, workers: int) -> Generator["Job"]:
    """Make shards in several processes and yield each when it is done.

    Raises what a worker raised at once, and UserError if one was killed. All workers are ended then, and also if the
    caller stops.
    """
    started: list[_Worker] = []
    waiting = iter(jobs)
    try:
        for _ in range(workers):
            started.append(_start())
        busy = {worker.pipe: worker for worker in started}
        while busy:
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                worker = busy[pipe]
                _receive(worker)
                if worker.job is not None:
                    yield worker.job
                worker.job = next(waiting, None)
                if worker.job is None:
                    del busy[pipe]
                    continue
                with _named_if_lost(worker):
                    pipe.send(worker.job)
    finally:
        _end(started)


def _start() -> _Worker:
    context = multiprocessing.get_context("spawn")
    try:
        with stop_signals_deferred():
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), name="prepare", daemon=True)
            process.start()
            theirs.close()
    except OSError as error:
        raise UserError(
            f"A worker process cannot be started: {error.strerror}.",
            fix="Use fewer --workers.",
            exit_code=Exit.WORKER_FAILED,
        ) from None
    return _Worker(process, ours)


def _receive(worker: _Worker) -> None:
    """Wait until a worker is ready for a shard; raises what it raised."""
    with _named_if_lost(worker):
        error = worker.pipe.recv()
    if isinstance(error, Exception):
        raise error
    if error:
        raise _failed(worker, f"failed ({error})")


@contextmanager
def _named_if_lost(worker: _Worker) -> Iterator[None]:
    """Raise UserError, saying how the worker ended, if its end of the pipe is closed."""
    try:
        yield
    except (EOFError, BrokenPipeError, ConnectionResetError):
        worker.process.join(timeout=CLOSING_SECONDS)
        code = worker.process.exitcode or 0
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        raise _failed(worker, how) from None


def _failed(worker: _Worker, how: str) -> UserError:
    where = f"while it made {worker.job.file}" if worker.job else "before its first shard"
    return UserError(
        f"Worker process {worker.process.pid} {how} {where}.",
        fix="Check whether memory ran out; if so, use fewer --workers. The same command continues: finished shards "
        "are kept.",
        exit_code=Exit.WORKER_FAILED,
    )


def _end(workers: Sequence[_Worker]) -> None:
    with stop_signals_deferred():
        for worker in workers:
            worker.process.kill()
            worker.pipe.close()
    until = monotonic() + CLOSING_SECONDS
    for worker in workers:
        worker.process.join(timeout=max(0.0, until - monotonic()))


def _work(pipe: Connection) -> None:
    """Make one shard after another; answer None when ready, an error, or the text of an error that is a bug."""
    end_with_parent()
    import torch

    from alexrepro.data.store.shard_writer import make_shard

    torch.set_num_threads(1)
    answer: Exception | str | None = None
    with suppress(EOFError, ConnectionResetError, BrokenPipeError):
        while True:
            pipe.send(answer)
            job = pipe.recv()
            answer = None
            try:
                make_shard(job)
            except (UserError, MemoryError) as error:
                answer = error
            except OSError as error:  # a new one: pickling loses what was added to its text
                answer = OSError(error.errno, error.strerror, error.filename)
            except Exception as error:
                answer = f"{type(error).__name__}: {error}"
