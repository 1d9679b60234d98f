"""A preparation that is killed anywhere and started again ends in the same bytes as one that was not."""

import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexrepro import files
from alexrepro.__main__ import main
from alexrepro.data.store import preparation
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.errors import Exit

from ...children import exit_of, in_child

KILLS = {1: 60, 2: 3}  # by the number of processes, each of which takes seconds to start
COMMIT_STEPS = ((files, "sync"), (Path, "replace"), (Path, "rename"), (Path, "unlink"))


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(preparation, "SHARD_IMAGES", 3)
    draws = np.random.default_rng(1)
    for kind in ("a", "b"):
        for number in range(4):
            path = tmp_path / "source" / kind / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draws.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
    (tmp_path / "source/a/broken.png").write_bytes(b"no picture")
    return tmp_path / "source"


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_a_kill_at_every_step_of_a_commit_changes_nothing(source: Path, tmp_path: Path) -> None:
    prepare(source, out=tmp_path / "whole", workers=1, options=Options(max_bad=1))
    expected = contents(tmp_path / "whole")
    step, killed = 0, True

    while killed:
        step += 1
        out = tmp_path / f"killed-{step}"
        killed = exit_of(in_child(lambda out=out, step=step: _prepare_until(source, out, step))) == -signal.SIGKILL
        prepare(source, out=out, workers=1, options=Options(max_bad=1))
        assert contents(out) == expected, f"after a kill at step {step}"

    assert step > 40  # four shards, their notes and moments, statistics, table of defects, manifest, names


def _prepare_until(source: Path, out: Path, last: int) -> None:
    """Prepare, and die at the given step of all steps that reach the disk."""
    done = 0

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def counting(*arguments: object, **named: object) -> object:
            nonlocal done
            done += 1
            if done == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return counting

    for owner, name in COMMIT_STEPS:
        setattr(owner, name, counted(getattr(owner, name)))
    prepare(source, out=out, workers=1, options=Options(max_bad=1))


@pytest.mark.slow
@pytest.mark.parametrize("processes", KILLS)
def test_kills_at_random_instants_change_nothing(processes: int, source: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    prepare(source, out=tmp_path / "whole", workers=processes, options=Options(max_bad=1))
    duration = time.monotonic() - started
    expected = contents(tmp_path / "whole")
    draws, kills = random.Random(3), 0

    for attempt in range(20 * KILLS[processes]):
        out = tmp_path / f"killed-{attempt}"
        while not (code := _killed_after(source, out, draws.uniform(0, 1.2 * duration), processes)):
            kills += 1
        assert code == "done"
        assert contents(out) == expected
        if kills >= KILLS[processes]:
            break

    assert kills >= KILLS[processes]


def _killed_after(source: Path, out: Path, seconds: float, processes: int) -> str:
    """Prepare in a child that is killed after so long; "done" if it was faster, else nothing."""
    child = in_child(lambda: prepare(source, out=out, workers=processes, options=Options(max_bad=1)))
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return "done" if exit_of(child) == 0 else ""


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("limit_bytes", [3_000, 200_000], ids=["shard", "sums"])
def test_a_disk_that_fills_up_ends_with_a_message_and_loses_nothing(
    source: Path, tmp_path: Path, limit_bytes: int, processes: int
) -> None:
    prepare(source, out=tmp_path / "whole", workers=1, options=Options(max_bad=1))
    out, said = tmp_path / "full", tmp_path / "said.txt"

    code = exit_of(in_child(lambda: _command_with_limit(source, out, said, limit_bytes, processes)))
    prepare(source, out=out, workers=1, options=Options(max_bad=1))

    assert code == Exit.IO_ERROR
    assert "File too large" in said.read_text()
    assert "Traceback" not in said.read_text()
    assert contents(out) == contents(tmp_path / "whole")


def _command_with_limit(source: Path, out: Path, said: Path, limit_bytes: int, processes: int) -> None:
    """The command itself, in a process whose files may not grow beyond the limit, as on a full disk."""
    with said.open("w") as stderr:
        os.dup2(stderr.fileno(), 2)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    options = ["--out", str(out), "--workers", str(processes), "--max-bad", "1"]
    sys.argv = ["alexrepro", "prepare", str(source), *options]
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    try:
        main()
    except SystemExit as end:
        os._exit(int(end.code or 0))
