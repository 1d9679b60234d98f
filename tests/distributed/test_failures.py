"""Every failure of a process: the message, the exit code, and the seconds until no process is left.

`python -m pytest -m long -s tests/distributed/test_failures.py | grep "^|"` prints docs/results/reliability.md.
"""

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from alexrepro.data.store.store import Store
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs import checkpoint
from alexrepro.runs.run import find_runs

from ..children import wait_until
from ..launched import Launched, launched

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the ranks below /proc")

TIMES = 5  # of each failure among the long tests

# Bodies of a function of `training` and `rank`; what is done waits for a file, so that the ranks are in the middle.
RAISE = """
cut = training.training_crops
def broken(*arguments, **named):
    if rank == 1 and os.path.exists("go"):
        raise {error}
    return cut(*arguments, **named)
training.training_crops = broken
"""
BUG = 'RuntimeError("a bug")'
RAISE_BUG = RAISE.format(error=BUG)
RAISE_MEMORY = RAISE.format(error='training.torch.OutOfMemoryError("Tried to allocate 20.00 GiB. More words.")')
VALIDATE_FOR_HOURS = """
import time
from alexrepro.evaluation import evaluate
batches = evaluate.scored_batches
def slowly(*arguments, **named):
    for scored in batches(*arguments, **named):
        open("validating", "w").close()
        for _ in range(100_000):
            time.sleep(0.1)
            yield scored
evaluate.scored_batches = slowly
"""
SHORT_TIMEOUT = """
from datetime import timedelta
from alexrepro.distributed import process_group
process_group.TIMEOUT = timedelta(seconds=5)
"""
STEP_FOR_SECONDS = """
import time
cut = training.training_crops
def slowly(*arguments, **named):
    time.sleep(4 * os.path.exists("go"))
    return cut(*arguments, **named)
training.training_crops = slowly
"""


def send(sent: signal.Signals, rank: int | None = None, *, group: bool = False) -> Callable[[Launched], None]:
    """Send a signal to a rank, or to the launcher, or to its whole process group."""

    def act(begun: Launched) -> None:
        launcher = -begun.pid if group else begun.pid
        begun.send(sent, launcher if rank is None else begun.ranks[rank])

    return act


def go(begun: Launched) -> None:
    begun.disturbed = time.monotonic()
    (begun.folder / "go").touch()


def in_validation(begun: Launched) -> None:
    wait_until((begun.folder / "validating").exists)
    begun.send(signal.SIGTERM)


def twice(sent: signal.Signals) -> Callable[[Launched], None]:
    def act(begun: Launched) -> None:
        go(begun)
        for seconds in (0.5, 1.5):  # into a step of four seconds
            time.sleep(seconds)
            begun.send(sent, *begun.ranks[-1:])

    return act


@dataclass(frozen=True)
class Failure:
    """A disturbance of two ranks that train, and its outcome."""

    name: str
    act: Callable[[Launched], None]
    code: int
    message: tuple[str, ...]  # words of one line
    options: Mapping[str, Any] = field(default_factory=dict)


def stopped(sent: signal.Signals, after: str = "") -> tuple[str, str]:
    return f"Stopped by {sent.name} after step {after}", "a checkpoint is saved"


TERM, INT, USR1, HUP, KILL, STOP = (
    signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP, signal.SIGKILL, signal.SIGSTOP
)  # fmt: skip
ALONE = {"processes": 1}
VALIDATING = {"patch": VALIDATE_FOR_HOURS, "begins": False}
SLOW, FROZEN = {"patch": STEP_FOR_SECONDS}, {"patch": SHORT_TIMEOUT}
FAILURES = (
    Failure("SIGKILL to the first rank", send(KILL, 0), 70, ("Rank 0", "was ended by SIGKILL")),
    Failure("SIGKILL to the last rank", send(KILL, 1), 70, ("Rank 1", "was ended by SIGKILL")),
    Failure("a bug on one rank", go, 70, ("RuntimeError: a bug",), {"patch": RAISE_BUG}),
    Failure("no memory on one rank", go, 71, ("A batch of 16 does not fit",), {"patch": RAISE_MEMORY}),
    Failure("SIGSTOP to the first rank", send(STOP, 0), 70, ("Rank 1 has lost another rank",), FROZEN),
    Failure("SIGSTOP to the last rank", send(STOP, 1), 70, ("Rank 0 has lost another rank",), FROZEN),
    Failure("SIGKILL to the launcher", send(KILL), -9, stopped(TERM)),
    Failure("SIGTERM to the launcher", send(TERM), 75, stopped(TERM)),
    Failure("SIGUSR1 to the launcher", send(USR1), 75, stopped(USR1)),
    Failure("SIGINT to the launcher", send(INT), 130, stopped(INT)),
    Failure("SIGTERM to one rank", send(TERM, 1), 75, stopped(TERM)),
    Failure("SIGINT to one rank", send(INT, 1), 130, stopped(INT)),
    Failure("SIGTERM to the whole group", send(TERM, group=True), 75, stopped(TERM)),
    Failure("SIGINT to the whole group (Ctrl-C)", send(INT, group=True), 130, stopped(INT)),
    Failure("SIGHUP to the whole group (terminal closed)", send(HUP, group=True), 75, stopped(HUP)),
    Failure("SIGTERM in a validation", in_validation, 75, stopped(TERM, "3;"), VALIDATING),
    Failure("SIGTERM twice to one rank", twice(TERM), 75, ("Rank 1", "was ended by SIGTERM"), SLOW),
    Failure("one process, SIGTERM", send(TERM), 75, stopped(TERM), ALONE),
    Failure("one process, SIGINT", send(INT), 130, stopped(INT), ALONE),
    Failure("one process, SIGTERM in a validation", in_validation, 75, stopped(TERM, "3;"), VALIDATING | ALONE),
    Failure("one process, SIGINT twice", twice(INT), 130, ("Stopped by SIGINT at once",), SLOW | ALONE),
)

QUICK = ("SIGKILL to the last rank", "SIGKILL to the launcher", "SIGUSR1 to the launcher", "no memory on one rank")


def fail_once(store: Store, recipe: Recipe, folder: Path, failure: Failure) -> float:
    """Seconds from a failure until no process is left; message, exit code and checkpoint are checked."""
    folder.mkdir()
    with launched(folder, store, recipe.but({"training.epochs": 100_000}), **failure.options) as begun:
        failure.act(begun)
        code, said, seconds = begun.ends()
    assert code == failure.code
    assert len([line for line in said.splitlines() if all(word in line for word in failure.message)]) == 1, said
    assert "Traceback" not in said or BUG in str(failure.options)
    if "a checkpoint is saved" in failure.message:
        (run,) = find_runs(folder / "runs")
        saved = checkpoint.newest(run.checkpoints)
        assert saved is not None
        assert run.metrics["step"].iloc[-1] == saved.step
        assert f"after step {saved.step:,}; a checkpoint is saved" in said
    return seconds


@pytest.mark.parametrize(
    ("failure", "times"),
    [
        *(pytest.param(each, 1, id=each.name, marks=pytest.mark.slow) for each in FAILURES if each.name in QUICK),
        *(pytest.param(each, TIMES, id=f"often: {each.name}", marks=pytest.mark.long) for each in FAILURES),
    ],
)
def test_a_failure_is_reported_and_leaves_no_process(
    stores: dict[str, Store], recipe: Recipe, tmp_path: Path, failure: Failure, times: int
) -> None:
    found = [fail_once(stores["train"], recipe, tmp_path / str(number), failure) for number in range(times)]

    row = (failure.name, " … ".join(failure.message), failure.code, f"{median(found):.1f}", f"{max(found):.1f}", times)
    print(f"\n| {' | '.join(map(str, row))} |")
