"""The command `prepare` ends soon after a signal or an error, in one process and in several, and keeps its shards."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from alexrepro.data.store import preparation as preparing
from alexrepro.data.store.prepare import prepare
from alexrepro.errors import Exit

from ...children import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.slow  # each command loads torch, once more in each worker

PHOTOS, SHARD = 24, 2
SIDE_PX = 4_000  # decoding takes so long that no preparation ends before it is stopped
PROGRAM = f"""
import alexrepro.data.store.preparation as preparing
from alexrepro.__main__ import main
preparing.SHARD_IMAGES = {SHARD}
main()
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large photographs, all of them names of one file."""
    folder = tmp_path_factory.mktemp("stops")
    noise = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((SIDE_PX, SIDE_PX)).save(folder / "photo.jpg")
    for number in range(PHOTOS):
        photo = folder / "source" / "train" / "ab"[number % 2] / f"{number:02}.jpg"
        photo.parent.mkdir(parents=True, exist_ok=True)
        os.link(folder / "photo.jpg", photo)
    return folder / "source"


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The store of a preparation that was not disturbed."""
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as small_shards:
        small_shards.setattr(preparing, "SHARD_IMAGES", SHARD)
        prepare(source, out=out, workers=1)
    return contents(out)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def notes(out: Path) -> int:
    return len(list(out.rglob("shard-*.summary.json")))


@contextmanager
def preparing_in(out: Path, source: Path, *, processes: int, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a session of its own, with what it says in out/said."""
    out.mkdir()
    options = ["--out", str(out), "--workers", str(processes)]
    with (out / "said").open("wb") as said:
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "prepare", str(source), *options],
            stdout=said, stderr=said, start_new_session=True, env={**os.environ, **environment},
        )  # fmt: skip
    try:
        yield program
        program.wait(timeout=PATIENCE_SECONDS)
        wait_until(lambda: not members(program.pid))
    finally:
        for process in members(program.pid):
            os.kill(process, signal.SIGKILL)
        program.wait()


def members(session: int) -> list[int]:
    """The processes of a session that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, *numbers = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(numbers[2]) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


def workers(session: int) -> list[int]:
    commands = {process: Path(f"/proc/{process}/cmdline").read_bytes() for process in members(session)}
    return [process for process, command in commands.items() if b"spawn_main" in command]


def refusal(out: Path) -> list[str]:
    """The last lines that the command said, from `alexrepro: ` on."""
    said = (out / "said").read_text()
    assert "Traceback" not in said
    return said[said.index("alexrepro: ") :].splitlines()


def assert_continues(source: Path, out: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ended early, and the next one ends in the same bytes."""
    (out / "said").unlink()
    made = notes(out)
    monkeypatch.setattr(preparing, "SHARD_IMAGES", SHARD)
    prepare(source, out=out, workers=1)

    assert 0 < made < PHOTOS // SHARD
    assert contents(out) == whole


class Stop(NamedTuple):
    """A signal that is sent to all processes of a command."""

    processes: int
    sent: signal.Signals
    code: Exit
    times: int = 1


STOPS = {
    "one process": Stop(1, signal.SIGINT, Exit.INTERRUPTED),
    "two processes": Stop(2, signal.SIGINT, Exit.INTERRUPTED),
    "two signals": Stop(2, signal.SIGINT, Exit.INTERRUPTED, times=2),
    "a scheduler": Stop(2, signal.SIGTERM, Exit.STOPPED),
}


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_a_signal_to_all_ends_them_soon(
    stop: Stop, source: Path, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "stores"
    with preparing_in(out, source, processes=stop.processes, SLURM_PROCID="0") as program:  # as in a job of SLURM
        wait_until(lambda: notes(out))
        for _ in range(stop.times):
            os.killpg(program.pid, stop.sent)

    assert program.returncode == stop.code
    assert len(refusal(out)) == 2
    assert_continues(source, out, whole, monkeypatch)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3, 1.0])
def test_an_interrupt_while_workers_start_prints_no_traceback(seconds: float, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "stores"
    with preparing_in(out, source, processes=2) as program:
        wait_until(lambda: workers(program.pid))
        time.sleep(seconds)
        os.killpg(program.pid, signal.SIGINT)

    assert program.returncode == Exit.INTERRUPTED
    assert "Traceback" not in (out / "said").read_text()


def test_a_killed_worker_ends_all_and_is_named(
    source: Path, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "stores"
    with preparing_in(out, source, processes=2) as program:
        wait_until(lambda: notes(out))
        killed = workers(program.pid)[0]
        os.kill(killed, signal.SIGKILL)

    assert program.returncode == Exit.WORKER_FAILED
    assert f"Worker process {killed} was ended by SIGKILL" in refusal(out)[0]
    assert_continues(source, out, whole, monkeypatch)


def test_workers_end_with_a_program_that_is_killed(
    source: Path, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "stores"
    with preparing_in(out, source, processes=2) as program:
        wait_until(lambda: notes(out))
        program.kill()

    assert_continues(source, out, whole, monkeypatch)
