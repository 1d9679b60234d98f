"""The launcher: what a user sees, and what is left, when a rank or the launcher itself is stopped or dies."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alexrepro.data.store.store import Store
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs import checkpoint
from alexrepro.runs.run import find_runs

from ..launched import Launched, launched

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the ranks below /proc"),
]


@pytest.fixture
def two(stores: dict[str, Store], recipe: Recipe, tmp_path: Path) -> Iterator[Launched]:
    """Two ranks in the middle of a training that would take hours."""
    with launched(tmp_path, stores["train"], recipe.but({"training.epochs": 100_000})) as begun:
        yield begun


def saved_step(folder: Path) -> int:
    (run,) = find_runs(folder / "runs")
    saved = checkpoint.newest(run.checkpoints)
    assert saved is not None
    assert int(run.metrics[-1]["step"]) == saved.step
    return saved.step


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
        [*command, "--no-compile", "--device", "cpu", "--cpu-ranks", "2", "--parallel", "data"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ended.returncode == 65
    assert ended.stderr.count("is damaged: shard-00000.arrow, row") == 1
    assert "Traceback" not in ended.stderr


def test_a_killed_rank_ends_all_in_seconds_and_is_named(two: Launched) -> None:
    two.send(signal.SIGKILL, two.ranks[1])

    code, said, seconds = two.ends()

    assert code == 70
    assert f"Rank 1 (process {two.ranks[1]}) was ended by SIGKILL" in said
    assert "run the same command again" in said
    assert "Traceback" not in said
    assert seconds < 15  # 1 or 2 where nothing else runs


def test_a_signal_to_the_launcher_saves_and_ends_all(two: Launched) -> None:
    two.send(signal.SIGUSR1)

    code, said, _ = two.ends()

    assert code == 75
    assert said.count(f"Stopped by SIGUSR1 after update {saved_step(two.folder):,}; a checkpoint is saved.") == 1


def test_ranks_save_and_end_when_their_launcher_is_killed(two: Launched) -> None:
    two.send(signal.SIGKILL)

    _, said, seconds = two.ends()

    assert f"Stopped by SIGTERM after update {saved_step(two.folder):,}" in said
    assert seconds < 15  # 1 or 2 where nothing else runs


def test_a_frozen_rank_is_named_and_all_end(two: Launched) -> None:
    two.send(signal.SIGSTOP, two.ranks[0])

    code, said, _ = two.ends()

    assert code == 70
    assert said.count(f"Rank 0 (process {two.ranks[0]} on") == 1
    assert "is no longer heard" in said
