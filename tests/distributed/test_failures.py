"""Every failure of a process, several times over: what is said, the exit code, and the seconds until nothing is left.

`python -m pytest -m long -s tests/distributed/test_failures.py | grep "^|"` prints docs/results/reliability.md.
"""

import os
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

from ..children import wait_until
from ..launched import Launched, launched

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the ranks below /proc"),
]

TIMES = 5

# Bodies of a function of `training` and `rank`; what is done waits for a file, so that the ranks are in the middle.
RAISE = """
update = training._update
def broken(*arguments):
    if rank == 1 and os.path.exists("go"):
        raise {error}
    return update(*arguments)
training._update = broken
"""
BUG, MEMORY = 'RuntimeError("a bug")', 'training.torch.OutOfMemoryError("Tried to allocate 20.00 GiB. More words.")'
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
UPDATE_FOR_SECONDS = """
import time
update = training._update
def slowly(*arguments):
    time.sleep(4 * os.path.exists("go"))
    return update(*arguments)
training._update = slowly
"""


def to_launcher(sent: signal.Signals) -> Callable[[Launched], None]:
    return lambda begun: begun.send(sent)


def to_rank(sent: signal.Signals, rank: int) -> Callable[[Launched], None]:
    return lambda begun: begun.send(sent, begun.ranks[rank])


def to_group(sent: signal.Signals) -> Callable[[Launched], None]:
    return lambda begun: begun.send(sent, -begun.program.pid)


def go(begun: Launched) -> None:
    begun.disturbed = time.monotonic()
    (begun.folder / "go").touch()


def in_validation(begun: Launched) -> None:
    wait_until((begun.folder / "validating").exists)
    begun.send(signal.SIGTERM)


def twice(sent: signal.Signals) -> Callable[[Launched], None]:
    def send(begun: Launched) -> None:
        go(begun)
        time.sleep(0.5)  # into an update of four seconds
        begun.send(sent, *begun.ranks[-1:])
        time.sleep(1.5)
        begun.send(sent, *begun.ranks[-1:])

    return send


@dataclass(frozen=True)
class Failure:
    """What is done to two ranks that train, and what must be seen; seconds on an idle machine of two processors."""

    name: str
    act: Callable[[Launched], None]
    code: int
    says: tuple[str, ...]  # words of one line
    seconds: float = 5.0
    options: Mapping[str, Any] = field(default_factory=dict)


def stopped(sent: signal.Signals, after: str = "") -> tuple[str, str]:
    return f"Stopped by {sent.name} after update {after}", "a checkpoint is saved"


TERM, INT, USR1, HUP, KILL, STOP = (
    signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP, signal.SIGKILL, signal.SIGSTOP
)  # fmt: skip
ALONE, VALIDATING, SLOW = (
    {"processes": 1},
    {"patch": VALIDATE_FOR_HOURS, "begins": False},
    {"patch": UPDATE_FOR_SECONDS},
)
FAILURES = (
    Failure("SIGKILL to the first rank", to_rank(KILL, 0), 70, ("Rank 0", "was ended by SIGKILL")),
    Failure("SIGKILL to the last rank", to_rank(KILL, 1), 70, ("Rank 1", "was ended by SIGKILL")),
    Failure("a bug on one rank", go, 70, ("RuntimeError: a bug",), options={"patch": RAISE.format(error=BUG)}),
    Failure(
        "no memory on one rank", go, 71, ("A batch of 16 does not fit",), 30, {"patch": RAISE.format(error=MEMORY)}
    ),
    Failure("SIGSTOP to the first rank", to_rank(STOP, 0), 70, ("Rank 0", "is no longer heard"), 20),
    Failure("SIGSTOP to the last rank", to_rank(STOP, 1), 70, ("Rank 1", "is no longer heard"), 20),
    Failure("SIGKILL to the launcher", to_launcher(KILL), -9, stopped(TERM)),
    Failure("SIGTERM to the launcher", to_launcher(TERM), 75, stopped(TERM)),
    Failure("SIGUSR1 to the launcher", to_launcher(USR1), 75, stopped(USR1)),
    Failure("SIGINT to the launcher", to_launcher(INT), 130, stopped(INT)),
    Failure("SIGTERM to one rank", to_rank(TERM, 1), 75, stopped(TERM)),
    Failure("SIGINT to one rank", to_rank(INT, 1), 130, stopped(INT)),
    Failure("SIGTERM to the whole group", to_group(TERM), 75, stopped(TERM)),
    Failure("SIGINT to the whole group (Ctrl-C)", to_group(INT), 130, stopped(INT)),
    Failure("SIGHUP to the whole group (terminal closed)", to_group(HUP), 75, stopped(HUP)),
    Failure("SIGTERM in a validation", in_validation, 75, stopped(TERM, "3;"), options=VALIDATING),
    Failure("SIGTERM twice to one rank", twice(TERM), 75, ("Rank 1", "was ended by SIGTERM"), options=SLOW),
    Failure("one process, SIGTERM", to_launcher(TERM), 75, stopped(TERM), options=ALONE),
    Failure("one process, SIGINT", to_launcher(INT), 130, stopped(INT), options=ALONE),
    Failure("one process, SIGTERM in a validation", in_validation, 75, stopped(TERM, "3;"), options=VALIDATING | ALONE),
    Failure("one process, SIGINT twice", twice(INT), 130, ("Stopped by SIGINT at once",), options=SLOW | ALONE),
)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_every_failure_is_told_and_leaves_nothing_behind(
    stores: dict[str, Store], recipe: Recipe, tmp_path: Path, failure: Failure
) -> None:
    found = []
    for number in range(TIMES):
        folder = tmp_path / str(number)
        folder.mkdir()
        with launched(folder, stores["train"], recipe.but({"training.epochs": 100_000}), **failure.options) as begun:
            failure.act(begun)
            code, said, seconds = begun.ends()
        assert code == failure.code
        assert len([line for line in said.splitlines() if all(word in line for word in failure.says)]) == 1, said
        found.append(seconds)
    row = (failure.name, " … ".join(failure.says), failure.code, f"{median(found):.1f}", f"{max(found):.1f}", TIMES)
    print(f"\n| {' | '.join(map(str, row))} |")
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    assert max(found) < failure.seconds * max(1.0, load)
