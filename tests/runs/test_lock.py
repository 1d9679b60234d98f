"""Locks keep other processes out, end with their process, leave no file, and may be unsupported by a disk."""

import errno
import fcntl
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alexrepro import locks
from alexrepro.errors import Exit, UserError
from alexrepro.locks import locked, replace_rows, waiting_for
from alexrepro.runs.run import Run

from ..children import exit_of, in_child, wait_until
from ..toy import Train

PROCESSES, ROUNDS = 4, 50
NO_LOCKS = [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EIO]


def never(holder: str) -> None:
    raise AssertionError(f"held by {holder}")


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


def test_the_second_process_is_refused_and_the_first_is_named(toy: Train, tmp_path: Path) -> None:
    run = toy(tmp_path)
    with held(run) as first, pytest.raises(UserError, match="Another process") as refused:
        toy(tmp_path)

    assert refused.value.exit_code is Exit.CANNOT_CREATE
    assert f"({first} on {socket.gethostname()})" in refused.value.what
    assert str(run.folder) in refused.value.what


def test_the_lock_of_a_killed_process_is_free_and_leaves_no_file(tmp_path: Path) -> None:
    run = Run(tmp_path / "new" / "run")
    with held(run) as first:
        pass

    with run.lock():
        assert run.lock_file.read_text().split()[0] == str(os.getpid()) != str(first)
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


TABLE = "run,top1_error\na,0.5\nb,0.25\n"


@pytest.mark.parametrize(
    "saved",
    [
        TABLE.encode(),
        TABLE.replace("\n", "\r\n").encode("utf-8-sig"),  # Excel's "CSV UTF-8"
        TABLE.encode("utf-16"),
        TABLE.replace("0.5", '"0.5"').encode() + b"\n",
    ],
)
def test_a_table_that_a_spreadsheet_saved_keeps_its_other_rows(saved: bytes, tmp_path: Path) -> None:
    (path := tmp_path / "table.csv").write_bytes(saved)

    replace_rows(path, [{"run": "b", "top1_error": 0.125}], key=["run"])

    assert path.read_bytes() == b"run,top1_error\na,0.5\nb,0.125\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "edited",
    [
        TABLE.replace(",", ";").encode(),
        b"run,comment,top1_error\na,mine,0.5\n",
        TABLE.encode()[:-6],  # cut off in a row
        b"\0\1\2",
        TABLE.encode("utf-16-le"),  # without its mark
    ],
)
def test_a_table_with_other_columns_or_incomplete_rows_is_kept_under_another_name(
    edited: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, row = tmp_path / "table.csv", {"run": "b", "top1_error": 0.125}
    for _ in range(2):
        path.write_bytes(edited)
        replace_rows(path, [row], key=["run"])

    kept = [tmp_path / f"table.old-{n}.csv" for n in (1, 2)]
    assert [one.read_bytes() for one in kept] == [edited, edited]
    assert path.read_text() == "run,top1_error\nb,0.125\n"
    assert str(kept[1]) in capsys.readouterr().err
