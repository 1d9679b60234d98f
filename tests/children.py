"""Child processes that can be killed before a chosen change of the disk, and small disks that can really be full."""

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHANGES = ("os.mkdir", "os.rename", "os.rmdir", "os.remove", "os.truncate")  # os.replace is a rename, too
PATIENCE_SECONDS = 120.0  # for processes to load torch on a busy machine
WRITING = os.O_WRONLY | os.O_RDWR


def in_child(work: Callable[[], object]) -> int:
    """Fork, work in the child and leave at once; the child's process number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside torch's sleeping threads is harmless here
        child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return child


def wait_until(true: Callable[[], object]) -> None:
    """Wait until it is true; fails when that takes too long."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


def exit_of(child: int) -> int:
    """The exit code of a child, once it has ended; of a killed one, minus the number of the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die_before(number: int, folder: Path) -> None:
    """Have this process killed before its n-th step, counted from 1, that changes the disk below a folder.

    Steps are: make a folder, open a file to write, rename, remove, cut. A sync is none: a kill before it leaves the
    same files as one after it.
    """
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if done == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and arguments[2] & WRITING):
            path = str(arguments[0])
            is_in_open_folder = event != "open" and not path.startswith("/")  # named from there by what removes trees
            if is_in_open_folder or path.startswith(str(folder)):
                step()

    sys.addaudithook(hear)


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Mount a disk of this size, in memory, at a new folder; skips the test where none may be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", folder]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a file system of a few megabytes cannot be mounted here; it takes root and the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
