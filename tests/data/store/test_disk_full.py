"""A disk that is full, a real one of few megabytes: a message, exit code 74, and the same store once there is room."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from alexrepro.errors import Exit
from alexrepro.runs.run import Run

from ...children import small_disk
from ..hostile import Ended, assert_refused, command, picture

DISK_BYTES, PHOTOS = 4 << 20, 6
# A shard of these photos takes about 160 kB, its sums and the mean image 790 kB each: the disk is full at one of them.
ROOMS_KB = {"start": 100, "sums": 500, "mean": 1300}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes; skips where none may be mounted."""
    with small_disk(tmp_path / "disk", DISK_BYTES) as folder:
        yield folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number in range(PHOTOS):
        file = tmp_path / "source" / "train" / "ab"[number % 2] / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(number))
    return tmp_path / "source"


@pytest.mark.parametrize("room_kb", ROOMS_KB.values(), ids=ROOMS_KB)
def test_a_full_disk_is_named_and_the_work_goes_on_when_there_is_room(
    room_kb: int, source: Path, disk: Path, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole", disk / "stores"
    assert prepare(source, whole).code == Exit.OK
    (disk / "ballast").write_bytes(bytes(DISK_BYTES - (room_kb << 10)))

    ended = prepare(source, out)
    (disk / "ballast").unlink()
    resumed = prepare(source, out)

    assert_refused(ended, code=Exit.IO_ERROR)
    assert "No space left" in ended.said or "free" in ended.said
    assert resumed.code == Exit.OK
    assert contents(out) == contents(whole)


def test_finished_stores_are_recognized_on_a_disk_that_is_read_only(source: Path, disk: Path) -> None:
    assert prepare(source, disk / "stores").code == Exit.OK
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)

    again = prepare(source, disk / "stores")

    assert again.code == Exit.OK
    assert "already prepared" in again.said


def test_nobody_is_in_the_way_on_a_disk_that_is_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    done = []

    with Run(disk / "run").lock():  # of a training that is complete, for example
        done.append("looked")

    assert done == ["looked"]


def prepare(source: Path, out: Path) -> Ended:
    return command("prepare", source, "--out", out, "--workers", 1, said=source.parent / "said")


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
