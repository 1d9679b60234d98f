"""Two processes never train in one folder, and a process that was killed holds nothing."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alexrepro.errors import Exit, UserError
from alexrepro.runs.run import Run

from ..children import exit_of, in_child, wait_until
from ..toy import Train

AT_ONCE_SECONDS = 5.0  # 2 is the aim; other programs may hold the processor


@contextmanager
def held(run: Run) -> Iterator[int]:
    """Another process that holds the folder of a run; it is killed at the end."""

    def hold() -> None:
        with run.lock():
            time.sleep(600)

    child = in_child(hold)
    try:
        wait_until(lambda: run.lock_file.exists() and str(child) in run.lock_file.read_text())
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        assert exit_of(child) == -signal.SIGKILL


def test_the_second_process_is_refused_at_once_and_the_first_is_named(toy: Train, tmp_path: Path) -> None:
    run = toy(tmp_path)
    with held(run) as first:
        started = time.monotonic()

        with pytest.raises(UserError, match="Another process") as refused:
            toy(tmp_path)

        assert time.monotonic() - started < AT_ONCE_SECONDS
    assert refused.value.exit_code is Exit.CANNOT_CREATE
    assert f"({first} on {socket.gethostname()})" in refused.value.what
    assert str(run.folder) in refused.value.what


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with held(run) as first:
        pass

    with run.lock():
        assert run.lock_file.read_text().splitlines()[0] == str(os.getpid()) != str(first)
