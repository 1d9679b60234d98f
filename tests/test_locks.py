"""Locks keep other processes out, end with their process, leave no file, and may be unsupported by a disk."""

import errno
import fcntl
import os
import time
from pathlib import Path

import pytest

from alexrepro import locks
from alexrepro.locks import locked, waiting_for

from .children import exit_of, in_child

PROCESSES, ROUNDS = 4, 50
NO_LOCKS = [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EIO]


def never(holder: str) -> None:
    raise AssertionError(f"held by {holder}")


def test_a_lock_names_its_process_and_leaves_no_file(tmp_path: Path) -> None:
    with locked(tmp_path / "new" / "lock", busy=never):
        said = (tmp_path / "new" / "lock").read_text()

    assert said.startswith(f"{os.getpid()}\n")
    assert list((tmp_path / "new").iterdir()) == []


def test_processes_that_wait_for_a_lock_hold_it_one_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")

    def add() -> None:
        for _ in range(ROUNDS):
            with locked(tmp_path / "lock", busy=lambda _: time.sleep(0.001)):
                count = int((tmp_path / "count").read_text())
                (tmp_path / "count").write_text(str(count + 1))

    children = [in_child(add) for _ in range(PROCESSES)]

    assert [exit_of(child) for child in children] == [0] * PROCESSES
    assert int((tmp_path / "count").read_text()) == PROCESSES * ROUNDS  # a removed file that is locked would lose some


@pytest.mark.parametrize("number", NO_LOCKS, ids=errno.errorcode.get)
def test_a_disk_without_locks_is_reported_once_and_used(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path / "train.lock", busy=never), locked(tmp_path / "val.lock", busy=never):
        pass

    (said,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path) in said
    assert os.strerror(number) in said


def test_a_wait_reports_the_holder_and_the_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(locks.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(locks.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + 10 * seconds))
    busy = waiting_for("prepare set-train")

    while now[0] < 61:
        busy("1234 on host")

    at_once, _, later = capsys.readouterr().err.splitlines()  # at once, and every 30 seconds
    assert "prepare set-train" in at_once
    assert "1234 on host" in at_once
    assert "60 s" in later
