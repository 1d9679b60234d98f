"""A preparation that is killed, stopped or out of disk space anywhere ends in the same bytes when it is run again."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from alexrepro.data.store import preparation
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.errors import Exit
from alexrepro.runs.run import Run

from ...children import PATIENCE_SECONDS, exit_of, in_child, small_disk, wait_until
from ..hostile import Ended, assert_refused, command
from .folders import contents, write_images

COMMIT_STEPS = ((Path, "replace"), (Path, "rename"), (Path, "unlink"))
SHARD = 3
DISK_BYTES = 4 << 20
# A shard of these images takes about 100 kB, its sums and the mean image 790 kB each: the disk is full at one of them.
FREE_KB = {"start": 100, "sums": 500, "mean": 1300}


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "SHARD_IMAGES", SHARD)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Eight images and a file that is not an image."""
    folder = write_images(tmp_path / "source", each=4)
    (folder / "a/broken.png").write_bytes(b"no image")
    return folder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes; skips where none may be mounted."""
    with small_disk(tmp_path / "disk", DISK_BYTES) as folder:
        yield folder


def prepared(source: Path, out: Path, *, workers: int = 1) -> dict[str, bytes]:
    """Prepare in this process; the files."""
    prepare(source, out=out, workers=workers, options=Options(max_bad=1))
    return contents(out)


def by_command(source: Path, out: Path, *, workers: int = 1, first: Callable[[], object] = lambda: None) -> Ended:
    options = ("--out", out, "--workers", workers, "--max-bad", 1)
    return command("prepare", source, *options, said=source.parent / "said", first=first)


def test_a_kill_at_every_step_of_a_commit_changes_nothing(source: Path, tmp_path: Path) -> None:
    expected = prepared(source, tmp_path / "whole")
    step, killed = 0, True

    while killed:
        step += 1
        out = tmp_path / f"killed-{step}"
        killed = exit_of(in_child(lambda out=out, step=step: _prepare_until(source, out, step))) == -signal.SIGKILL
        assert prepared(source, out) == expected, f"after a kill at step {step}"

    assert step > 20  # three shards, their summaries and moments, statistics, table of defects, manifest, names


class Death:
    """Counts steps, and kills this process at the given one."""

    def __init__(self, last: int) -> None:
        self.last, self.steps = last, 0

    def step(self, *_: object) -> None:
        self.steps += 1
        if self.steps == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def _prepare_until(source: Path, out: Path, last: int) -> None:
    """Prepare, and die at the given step of all steps that reach the disk."""
    death = Death(last)

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        return lambda *arguments, **named: (death.step(), call(*arguments, **named))[1]

    for owner, name in COMMIT_STEPS:
        setattr(owner, name, counted(getattr(owner, name)))
    prepared(source, out)


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [12, pytest.param(100, marks=pytest.mark.long)])
def test_kills_at_random_calls_change_nothing(wanted: int, source: Path, tmp_path: Path) -> None:
    expected = prepared(source, tmp_path / "whole")  # once without counting, since it loads modules
    calls = _prepare_until_call(source, tmp_path / "counted", -1)
    draws, kills, attempt = random.Random(3), 0, 0

    while kills < wanted:
        attempt += 1
        out, code = tmp_path / f"killed-{attempt}", -signal.SIGKILL
        while code == -signal.SIGKILL:
            last = draws.randrange(int(1.2 * calls))
            code = exit_of(in_child(lambda out=out, last=last: _prepare_until_call(source, out, last)))
            kills += code != 0
        assert (code, contents(out)) == (0, expected)


def _prepare_until_call(source: Path, out: Path, last: int) -> int:
    """Prepare, and die at the given call of a function of Python or C, if it comes; the number of calls."""
    death = Death(last)
    sys.setprofile(death.step)
    try:
        prepared(source, out)
    finally:
        sys.setprofile(None)
    return death.steps


@pytest.mark.slow
def test_kills_while_other_processes_make_shards_change_nothing(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"

    killed = [exit_of(in_child(lambda: _prepare_until_a_shard_is_made(source, out))) for _ in range(2)]

    assert killed == [-signal.SIGKILL] * 2
    assert prepared(source, out) == prepared(source, tmp_path / "whole")


def _prepare_until_a_shard_is_made(source: Path, out: Path) -> None:
    """Prepare in two processes, and die when one of them has made a shard and the other is at any step."""
    make = preparation.make_shards

    def dying(*jobs: object, **named: object) -> Iterator[None]:
        for _ in make(*jobs, **named):  # type: ignore[arg-type]
            yield os.kill(os.getpid(), signal.SIGKILL)

    preparation.make_shards = dying  # type: ignore[assignment]
    prepared(source, out, workers=2)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("limit_bytes", [3_000, 200_000], ids=["shard", "sums"])
def test_a_file_that_cannot_grow_ends_with_a_message_and_loses_nothing(
    source: Path, tmp_path: Path, limit_bytes: int, workers: int
) -> None:
    out, limits = tmp_path / "full", (limit_bytes, limit_bytes)

    ended = by_command(source, out, workers=workers, first=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits))

    assert_refused(ended, code=Exit.IO_ERROR)
    assert "File too large" in ended.said
    assert prepared(source, out) == prepared(source, tmp_path / "whole")


@pytest.mark.parametrize("free_kb", FREE_KB.values(), ids=FREE_KB)
def test_a_full_disk_is_named_and_work_continues_with_more_space(
    free_kb: int, source: Path, disk: Path, tmp_path: Path
) -> None:
    (disk / "ballast").write_bytes(bytes(DISK_BYTES - (free_kb << 10)))

    ended = by_command(source, disk / "stores")
    (disk / "ballast").unlink()

    assert_refused(ended, code=Exit.IO_ERROR)
    assert "No space left" in ended.said or "free" in ended.said
    assert prepared(source, disk / "stores") == prepared(source, tmp_path / "whole")


def test_finished_stores_are_recognized_and_runs_are_read_on_a_read_only_disk(source: Path, disk: Path) -> None:
    prepared(source, disk / "stores")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)

    again = by_command(source, disk / "stores")

    assert (again.code, "already prepared" in again.said) == (Exit.OK, True)
    with Run(disk / "run").lock():  # of a training that is complete, for example
        pass


PROGRAM = f"""
import alexrepro.data.store.preparation as preparing
from alexrepro.__main__ import main
preparing.SHARD_IMAGES = {SHARD}
main()
"""


class Stop(NamedTuple):
    """A signal to a command with several processes: when, to which of them, and how the command ends."""

    sent: signal.Signals
    to: str = "all"
    code: int = Exit.INTERRUPTED
    said: str = "Stopped by SIGINT at once"
    workers: int = 2
    start_seconds: float | None = None  # after the fork server appears; otherwise after the first shard
    times: int = 1


STOPS = {
    "one process": Stop(signal.SIGINT, workers=1),
    "two processes": Stop(signal.SIGINT),
    "two signals": Stop(signal.SIGINT, times=2),
    "a scheduler": Stop(signal.SIGTERM, code=Exit.STOPPED, said="Stopped by SIGTERM"),
    "a worker": Stop(signal.SIGKILL, to="worker", code=Exit.WORKER_FAILED, said="Worker process {} was ended by"),
    "the program": Stop(signal.SIGKILL, to="program", code=-signal.SIGKILL, said=""),
    **{f"start, {seconds} s": Stop(signal.SIGINT, start_seconds=seconds) for seconds in (0.0, 0.3)},
}


@pytest.mark.slow  # each command loads torch, once more in each worker
@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_a_signal_ends_all_processes_and_the_next_command_continues(
    stop: Stop, large: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "stores"
    with preparing_in(out, large, workers=stop.workers) as program:
        wait_until(lambda: shards(out) if stop.start_seconds is None else forked(program.pid))
        time.sleep(stop.start_seconds or 0)
        wait_until(lambda: stop.to != "worker" or len(forked(program.pid)) > stop.workers)
        worker = max(forked(program.pid), default=0)
        for _ in range(stop.times):
            if stop.to == "all":
                os.killpg(program.pid, stop.sent)
            else:
                os.kill({"worker": worker, "program": program.pid}[stop.to], stop.sent)

    said = (out / "said").read_text()
    (out / "said").unlink()
    assert program.returncode == stop.code
    assert stop.said.format(worker) in said
    assert "Traceback" not in said
    if stop.to != "program":
        assert len(said[said.index("alexrepro: ") :].splitlines()) == 2
    assert shards(out) < LARGE_IMAGES // SHARD
    assert prepared(large, out) == whole


LARGE_IMAGES, SIDE_PX = 16, 4_000  # decoding takes so long that no preparation ends before it is stopped


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large images, all of them names of one file."""
    folder = write_images(tmp_path_factory.mktemp("stops") / "small", each=1)
    image = folder.parent / "large.jpg"
    Image.open(folder / "a/0.png").resize((SIDE_PX, SIDE_PX)).save(image)
    for number in range(LARGE_IMAGES):
        name = folder.parent / "source/train" / "ab"[number % 2] / f"{number:02}.jpg"
        name.parent.mkdir(parents=True, exist_ok=True)
        os.link(image, name)
    return folder.parent / "source"


@pytest.fixture(scope="module")
def whole(large: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The store of a preparation that was not disturbed."""
    with pytest.MonkeyPatch.context() as small:
        small.setattr(preparation, "SHARD_IMAGES", SHARD)
        return prepared(large, tmp_path_factory.mktemp("whole"))


def shards(out: Path) -> int:
    return len(list(out.rglob("shard-*.summary.json")))


@contextmanager
def preparing_in(out: Path, source: Path, *, workers: int) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a session of its own, with its output in out/said; afterwards no process of it may remain."""
    out.mkdir()
    options = ["--out", str(out), "--workers", str(workers)]
    with (out / "said").open("wb") as said:
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "prepare", str(source), *options],
            stdout=said, stderr=said, start_new_session=True,
            env={**os.environ, "SLURM_PROCID": "0"},  # as in a job of SLURM
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


def forked(session: int) -> list[int]:
    """The fork server of a session, then the workers that it has started."""
    commands = {process: Path(f"/proc/{process}/cmdline").read_bytes() for process in members(session)}
    return sorted(process for process, command in commands.items() if b"forkserver" in command)
