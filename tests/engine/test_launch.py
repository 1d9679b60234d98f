"""The launcher: what a user sees, and what is left, when a rank or the launcher itself is stopped or dies."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from alexrepro.data.store import Store
from alexrepro.engine import checkpoint
from alexrepro.engine.run import find_runs
from alexrepro.recipes.recipe import Recipe

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the ranks below /proc"),
]
PATIENCE_SECONDS = 60.0  # for ranks to load torch on a busy machine


@dataclass
class Launched:
    """A launcher of two ranks that train, and the process ids of the ranks."""

    launcher: subprocess.Popen[str]
    ranks: list[int]

    def ends(self) -> tuple[int, str]:
        """Exit code and what was said; the ranks are gone."""
        said = self.launcher.communicate(timeout=PATIENCE_SECONDS)[1]
        wait_until(lambda: not any(map(is_running, self.ranks)))
        return self.launcher.returncode, said


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(true: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def launched(stores: dict[str, Store], recipe: Recipe, tmp_path: Path) -> Iterator[Launched]:
    """Two ranks in the middle of a training that would take hours."""
    (tmp_path / "toy.toml").write_text(recipe.but({"training.epochs": 100_000}).to_toml())
    command = [sys.executable, "-m", "alexrepro", "train", "toy.toml", "--store", str(stores["train"].path)]
    launcher = subprocess.Popen(
        [*command, "--no-compile", "--device", "cpu", "--processes", "2"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
    try:
        wait_until(lambda: list(tmp_path.glob("runs/*/*/checkpoints/step-*")))
        yield Launched(launcher, [int(child) for child in children.read_text().split()])
    finally:
        launcher.kill()
        launcher.communicate()


def test_the_refusal_of_one_rank_ends_all_with_its_code(
    stores: dict[str, Store], recipe: Recipe, tmp_path: Path
) -> None:
    damaged = tmp_path / stores["train"].path.name
    shutil.copytree(stores["train"].path, damaged)
    shard = damaged / "shard-00000.arrow"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 255
    shard.write_bytes(content)
    (tmp_path / "toy.toml").write_text(recipe.to_toml())
    command = [sys.executable, "-m", "alexrepro", "train", "toy.toml", "--store", str(damaged)]

    ended = subprocess.run(
        [*command, "--no-compile", "--device", "cpu", "--processes", "2", "--parallel", "data"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ended.returncode == 65
    assert ended.stderr.count("is damaged: shard-00000.arrow, row") == 1
    assert "Traceback" not in ended.stderr


def test_a_killed_rank_ends_all_in_seconds_and_is_named(launched: Launched) -> None:
    started = time.monotonic()
    os.kill(launched.ranks[1], signal.SIGKILL)

    code, said = launched.ends()

    assert code == 70
    assert f"Rank 1 (process {launched.ranks[1]}) was ended by SIGKILL" in said
    assert "run the same command again" in said
    assert "Traceback" not in said
    assert time.monotonic() - started < 15  # 1 or 2 where nothing else runs


@pytest.mark.parametrize(("sent", "expected"), [(signal.SIGUSR1, 75), (signal.SIGINT, 130)])
def test_a_signal_to_the_launcher_saves_and_ends_all(
    launched: Launched, tmp_path: Path, sent: signal.Signals, expected: int
) -> None:
    launched.launcher.send_signal(sent)

    code, said = launched.ends()

    (run,) = find_runs(tmp_path / "runs")
    saved = checkpoint.newest(run.checkpoints)
    assert saved is not None
    assert code == expected
    assert said.count(f"Stopped by {sent.name} after update {saved.step:,}; a checkpoint is saved.") == 1
    assert int(run.metrics[-1]["step"]) == saved.step


def test_ranks_save_and_end_when_their_launcher_is_killed(launched: Launched, tmp_path: Path) -> None:
    launched.launcher.kill()

    _, said = launched.ends()

    (run,) = find_runs(tmp_path / "runs")
    saved = checkpoint.newest(run.checkpoints)
    assert saved is not None
    assert f"Stopped by SIGTERM after update {saved.step:,}" in said


def test_a_frozen_rank_is_named_and_all_end(launched: Launched) -> None:
    os.kill(launched.ranks[0], signal.SIGSTOP)

    code, said = launched.ends()

    assert code == 70
    assert said.count(f"Rank 0 (process {launched.ranks[0]} on") == 1
    assert "is no longer heard" in said
