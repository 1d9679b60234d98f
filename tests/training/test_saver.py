"""Checkpoints that a thread writes behind the training, as for a GPU: the same bits, order and errors."""

import errno
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from alexrepro.errors import Exit, UserError
from alexrepro.runs import checkpoint
from alexrepro.runs.checkpoint import Checkpoint
from alexrepro.runs.run import Run, find_runs
from alexrepro.training import state
from alexrepro.training.saver import Saver

from ..toy import Train, assert_same, before_steps

FULL = OSError(errno.ENOSPC, "No space left on device", "model.safetensors")


@pytest.fixture(autouse=True)
def behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings write their checkpoints behind, although they run on a CPU."""

    def saver(run: Run, *, is_behind: bool) -> Saver:
        return Saver(run, is_behind=not is_behind)

    monkeypatch.setattr(state, "Saver", saver)


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens to rows and checkpoints of a training, in its order; writing takes longer than the steps."""
    happened: list[str] = []
    sync_rows, write = Run.sync_rows, checkpoint._write

    def sync(run: Run) -> None:
        sync_rows(run)
        happened.append(f"rows up to {run.metrics['step'].max()}")

    def slowly(final: Path, saved: Checkpoint) -> None:
        assert threading.current_thread() is not threading.main_thread()
        happened.append(f"{final.name} begins")
        time.sleep(0.2)
        write(final, saved)
        happened.append(f"{final.name} is there")

    monkeypatch.setattr(Run, "sync_rows", sync)
    monkeypatch.setattr(checkpoint, "_write", slowly)
    return happened


def test_rows_are_synced_before_their_checkpoint_and_one_is_written_after_the_other(
    toy: Train, whole: Run, tmp_path: Path, order: list[str]
) -> None:
    run = toy(tmp_path)

    names = [name for name in order if name.startswith("step-")]
    assert names == [f"step-00000000{step} {what}" for step in (3, 6, 9) for what in ("begins", "is there")]
    rows = [int(entry.split()[-1]) for entry in order if entry.startswith("rows")]
    assert all(synced >= step for synced, step in zip(rows, (3, 6, 9), strict=True))
    assert [entry.partition(" ")[0] for entry in order] == ["rows", *["step-000000003"] * 2, "rows"] + [
        "step-000000006"
    ] * 2 + ["rows"] + ["step-000000009"] * 2
    assert_same(run, whole)


def test_a_stop_waits_for_the_checkpoint_that_is_being_written_and_for_its_own(
    toy: Train, whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: list[str]
) -> None:
    with monkeypatch.context() as patch:
        before_steps(patch, [4], lambda: signal.raise_signal(signal.SIGTERM))
        with pytest.raises(UserError, match="Stopped by SIGTERM after step 4; a checkpoint is saved") as stopped:
            toy(tmp_path)

    assert stopped.value.exit_code is Exit.STOPPED
    assert order[-1] == "step-000000004 is there"
    assert_same(toy(tmp_path), whole)


@pytest.mark.parametrize("failing", [1, 2, 3], ids=["the first", "the second", "the last"])
def test_a_checkpoint_that_cannot_be_written_ends_the_run_and_the_one_before_is_kept(
    toy: Train, whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, failing: int
) -> None:
    write, written = checkpoint._write, list[Path]()

    def fill(final: Path, saved: Checkpoint) -> None:
        written.append(final)
        if len(written) == failing:
            raise FULL
        write(final, saved)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_write", fill)
        with pytest.raises(OSError, match="No space left") as full:
            toy(tmp_path)

    assert full.value is FULL  # which the program reports as ever
    (run,) = find_runs(tmp_path)
    saved = checkpoint.newest(run.checkpoints)
    assert (saved.step if saved else 0) == 3 * (failing - 1)
    assert run.result is None
    assert_same(toy(tmp_path), whole)


def test_another_error_waits_for_the_checkpoint_before_the_folder_is_unlocked(
    toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: list[str]
) -> None:
    def fail() -> Any:
        raise MemoryError

    before_steps(monkeypatch, [4], fail)
    with pytest.raises(MemoryError):
        toy(tmp_path)

    assert order[-1] == "step-000000003 is there"
    assert not list(tmp_path.rglob("*.partial"))
