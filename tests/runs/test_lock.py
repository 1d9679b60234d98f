"""Two processes never train in one folder, and a process that was killed holds nothing."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.run import Run
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train

from ..children import exit_of, in_child, wait_until

AT_ONCE_SECONDS = 5.0  # 2 is the aim; other programs may hold the processor


def forever() -> None:
    time.sleep(600)


@contextmanager
def held(folder: Path, then: Callable[[], object] = forever) -> Iterator[int]:
    """Another process that holds a folder and does something; it is killed at the end."""

    def work() -> None:
        with Run(folder).lock():
            then()

    child = in_child(work)
    try:
        wait_until(lambda: str(child) in _said(folder))
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        assert exit_of(child) == -signal.SIGKILL


def _said(folder: Path) -> str:
    lock = folder.with_name(f".{folder.name}.lock")
    return lock.read_text() if lock.exists() else ""


def test_the_second_process_is_refused_at_once_and_told_of_the_first(
    stores: dict[str, Store], recipe: Recipe, device: Device, tmp_path: Path
) -> None:
    run = train(TrainingJob(recipe, store=stores["train"], validation=None, runs=tmp_path, seed=0, device=device))
    with held(run.folder) as first:
        started = time.monotonic()

        with pytest.raises(UserError, match="Another process") as refused:
            train(TrainingJob(recipe, store=stores["train"], validation=None, runs=tmp_path, seed=0, device=device))

        assert time.monotonic() - started < AT_ONCE_SECONDS
    assert refused.value.exit_code is Exit.CANNOT_CREATE
    assert f"({first} on {socket.gethostname()})" in refused.value.what
    assert str(run.folder) in refused.value.what


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    with held(tmp_path / "run") as first:
        pass

    with Run(tmp_path / "run").lock():
        assert _said(tmp_path / "run") != ""
        assert str(first) not in _said(tmp_path / "run").splitlines()
