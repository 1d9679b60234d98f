"""Shards of a store: each made in this process or in one of several, and its summary, which is written last.

A shard depends on its images alone; one with a summary is complete.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from alexrepro.data.sources.source import ImageFile
from alexrepro.data.store import processes
from alexrepro.data.store.manifest import Form, Shard
from alexrepro.data.store.store import Store
from alexrepro.errors import Exit, UserError

MAKER = "alexrepro.data.store.shard_maker"  # the module that only workers load


@dataclass(frozen=True)
class Job:
    """One shard to make: its number, how many images it gets, its folder and the form in which they are stored.

    unlabeled: a store that holds the same images without their labels, in shards of the same number.
    """

    number: int
    images: int
    folder: Path
    form: Form
    needs_moments: bool
    unlabeled: Store | None = None

    def file(self, suffix: str) -> Path:
        """The rows (arrow), the sums over the pixels (moments.npz), or the finished shard (summary.json)."""
        return self.folder / f"shard-{self.number:05d}.{suffix}"


@dataclass(frozen=True)
class Summary:
    """A finished shard, its labels, its odd or unreadable files, and how many of them the system could not read."""

    shard: Shard
    labels: list[int]
    defects: list[dict[str, str]]
    unreached: int


def make_shards(
    jobs: Sequence[Job], images_of: Callable[[Job], Sequence[ImageFile]], classes: Sequence[str], *, workers: int
) -> Iterator[Job]:
    """Make shards, in this process or each in one of several, and yield each when it is done.

    images_of: the images of a shard, which are listed when it is begun.
    Raises what is raised for a shard at once, and UserError if its process was killed; the other processes are ended.
    """
    if workers == 1:
        from alexrepro.data.store.shard_maker import make_shard

        for job in jobs:
            make_shard(job, images_of(job), classes)
            yield job
        return
    waiting = deque(jobs)
    working: dict[Connection, tuple[BaseProcess, Job]] = {}
    try:
        while waiting or working:
            while waiting and len(working) < workers:
                job = waiting[0]
                process, pipe = processes.start(_make_in_process, job, images_of(job), classes, preload=MAKER)
                working[pipe] = process, waiting.popleft()
            for ready in wait(list(working)):
                assert isinstance(ready, Connection)
                with ready:
                    _raise_failure(ready, *working[ready])
                yield working.pop(ready)[1]
    finally:
        processes.end([process for process, _ in working.values()], working)


def _raise_failure(pipe: Connection, process: BaseProcess, job: Job) -> None:
    """Raise what a process raised, if it did, or UserError if it was killed."""
    try:
        error: Exception | None = pipe.recv()
    except (EOFError, ConnectionResetError):
        raise UserError(
            f"Worker process {process.pid} {processes.ending(process)} while it made {job.file('arrow')}.",
            fix="Check whether memory ran out; if so, use fewer --workers. The same command continues: finished "
            "shards are kept.",
            exit_code=Exit.WORKER_FAILED,
        ) from None
    if error:
        raise error


def _make_in_process(pipe: Connection, job: Job, images: Sequence[ImageFile], classes: Sequence[str]) -> None:
    from alexrepro.data.store.shard_maker import make_shard

    answer: Exception | None = None
    try:
        make_shard(job, images, classes)
    except (UserError, MemoryError) as error:
        answer = error
    except OSError as error:  # a new one: pickling loses what was added to its text
        answer = OSError(error.errno, error.strerror, error.filename)
    pipe.send(answer)


def read_summary(job: Job) -> Summary | None:
    """The summary of a finished shard; None if it is not finished, or one of its files is missing or damaged."""
    files = ["arrow", "moments.npz"] if job.needs_moments else ["arrow"]
    if not all(job.file(suffix).exists() for suffix in files):
        return None
    try:
        read = json.loads(job.file("summary.json").read_text(encoding="utf-8"))
        return Summary(**{**read, "shard": Shard(**read["shard"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
