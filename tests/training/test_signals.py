"""Signals: whenever one arrives, the run is saved once, ends at once and continues to the same bits."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from alexrepro import stop_signals
from alexrepro.errors import STOPPING, Exit, UserError
from alexrepro.evaluation import inference
from alexrepro.progress import say
from alexrepro.runs import checkpoint
from alexrepro.runs.run import Run, find_runs

from ..children import wait_until
from ..launched import is_running, state_of
from ..toy import Train, assert_same, before_steps

VALIDATED = 4  # images in a batch of a validation
PROGRAM = """
from alexrepro.distributed.rank import ended_at_once
import time
with ended_at_once():
    print('ready', flush=True)
    while True:
        try:
            time.sleep(60)
        except Exception:  # as torch's import
            pass
"""
LAUNCHER = """
import subprocess, sys
child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdout=-1)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


def stopped_run(toy: Train, folder: Path, *, by: str = "SIGTERM") -> tuple[Run, int]:
    """The run below a folder, once a signal has stopped its training, and the step of its checkpoint."""
    with pytest.raises(UserError, match=f"Stopped by {by}") as refused:
        toy(folder)
    assert refused.value.exit_code is Exit.STOPPED
    (run,) = find_runs(folder)
    saved = checkpoint.newest(run.checkpoints)
    assert saved is not None
    return run, saved.step


@pytest.fixture(autouse=True)
def four_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each validation of the 14 images takes four batches."""
    monkeypatch.setattr(inference, "BATCH", VALIDATED)


@pytest.mark.parametrize(("epoch", "batch"), [(1, 1), (2, 3), (3, 4)])
def test_a_stop_in_a_validation_saves_at_once_and_the_validation_is_made_again(
    toy: Train, whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, epoch: int, batch: int
) -> None:
    averages, seen = inference.averages, []

    def signal_then_average(*arguments: Any, **named: Any) -> Any:
        seen.append(1)
        if len(seen) == 4 * (epoch - 1) + batch:
            signal.raise_signal(signal.SIGTERM)
        return averages(*arguments, **named)

    monkeypatch.setattr(inference, "averages", signal_then_average)
    run, step = stopped_run(toy, tmp_path)

    assert len(seen) == 4 * (epoch - 1) + batch  # no batch more
    assert step == 3 * epoch
    assert run.validations["epoch"].tolist() == list(range(1, epoch))
    assert_same(toy(tmp_path), whole)
    assert len(seen) == 4 * (epoch - 1) + batch + 4 * (4 - epoch)


def test_a_stop_in_a_save_leaves_it_to_be_completed_once(
    toy: Train, whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = checkpoint.write_bytes, []

    def write_then_signal(path: Path, content: bytes) -> None:
        written.append(path)
        write(path, content)
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "write_bytes", write_then_signal)
        _, step = stopped_run(toy, tmp_path)

    assert len(written) == len(set(written))
    assert {path.parent.name for path in written} == {".step-000000003.partial"}
    assert step == 3
    assert_same(toy(tmp_path), whole)


def test_a_run_whose_terminal_is_gone_still_saves(toy: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, _: str) -> None:
            raise OSError(5, "Input/output error")

        def isatty(self) -> bool:
            return False

    before_steps(monkeypatch, [1], lambda: signal.raise_signal(signal.SIGHUP))
    monkeypatch.setattr(sys, "stderr", Gone())
    say("Nobody hears this.")

    assert stopped_run(toy, tmp_path, by="SIGHUP after step 1")[1] == 1


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM], ids=lambda sent: sent.name)
def test_a_second_signal_is_left_to_the_handler_before_unless_it_is_an_echo(
    monkeypatch: pytest.MonkeyPatch, second: signal.Signals
) -> None:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with stop_signals.stop_requests() as stop:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(second)  # at once: an echo
            assert stop() == signal.SIGINT
            monkeypatch.setattr(stop_signals, "ECHO_SECONDS", 0.0)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(second)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_program_under_nohup_goes_on_when_its_terminal_is_closed() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals.stop_requests() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop() is None
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGHUP, 75), (signal.SIGINT, 130)]
)
def test_a_signal_before_the_training_ends_the_program_with_the_same_code(sent: signal.Signals, code: int) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=-1, stderr=-1, text=True) as program:
        assert program.stdout is not None
        program.stdout.readline()
        wait_until(lambda: state_of(program.pid) in ("S", ""))  # Python sees a signal just before a sleep after it
        program.send_signal(sent)
        message = program.communicate(timeout=60)[1]

    assert program.returncode == code
    assert message == (
        f"alexrepro: Stopped by {sent.name} at once; what was saved before is kept.\n{stop_signals.AGAIN}\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not signal the end of a parent process")
def test_a_rank_that_waits_for_others_ends_with_its_launcher() -> None:
    command = [sys.executable, "-c", LAUNCHER, PROGRAM]
    with subprocess.Popen(command, stdout=-1, text=True, env={**os.environ, "RANK": "1"}) as program:
        assert program.stdout is not None
        waiting = int(program.stdout.readline())
        started = time.monotonic()
        program.kill()
    wait_until(lambda: not is_running(waiting))

    assert time.monotonic() - started < 30  # 0.1 where nothing else runs


def test_compilers_do_not_receive_signals_that_the_terminal_sends_to_all() -> None:
    shows = "import signal; print(*sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))"
    with stop_signals.signals_blocked():
        found = subprocess.run([sys.executable, "-c", shows], capture_output=True, text=True, check=True)

    assert found.stdout.split() == [str(int(number)) for number in sorted(STOPPING)]
    assert set(STOPPING).isdisjoint(signal.pthread_sigmask(signal.SIG_BLOCK, []))
