"""A launcher of several ranks in the middle of a training, and what it leaves after a disturbance."""

import os
import runpy
import signal
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from alexrepro.__main__ import main
from alexrepro.data.store.store import Store
from alexrepro.recipes.recipe import Recipe

from .children import PATIENCE_SECONDS, wait_until
from .loaded import start

SAID = "said"  # the file of all output
PATCHING = """
import importlib.machinery, os

load = importlib.machinery.SourceFileLoader.exec_module


def load_and_patch(loader, module):
    load(loader, module)
    if module.__name__ == "alexrepro.training.train":
        patch(module, int(os.environ.get("RANK", "0")))


importlib.machinery.SourceFileLoader.exec_module = load_and_patch


def patch(training, rank):
"""


@dataclass
class Launched:
    """A program that trains in a folder and, where it is a launcher, the process ids of its ranks."""

    program: BaseProcess
    folder: Path
    ranks: list[int]
    disturbed: float = 0.0  # seconds on the monotonic clock

    def send(self, sent: signal.Signals, *processes: int) -> None:
        """Send a signal to each of these processes, or to the program."""
        self.disturbed = time.monotonic()
        for process in processes or (self.pid,):
            os.kill(process, sent)

    @property
    def pid(self) -> int:
        assert self.program.pid is not None
        return self.program.pid

    def ends(self) -> tuple[int, str, float]:
        """Exit code, output, and the seconds from the last signal until no process is left."""
        self.program.join(PATIENCE_SECONDS)
        wait_until(lambda: not processes_in(self.folder))
        assert self.program.exitcode is not None
        return self.program.exitcode, (self.folder / SAID).read_text(), time.monotonic() - self.disturbed


def processes_in(folder: Path) -> list[int]:
    """The processes that work in a folder, zombies left out; those that a program starts work where it does."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == folder and is_running(process.name):
                found.append(int(process.name))
    return found


def is_running(process: int | str) -> bool:
    """Whether a process exists and is no zombie; it may be stopped."""
    return state_of(process) not in ("Z", "X", "")


def state_of(process: int | str) -> str:
    """The letter of a process's state, S if it sleeps; empty if there is none, or no /proc."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


@contextmanager
def launched(
    folder: Path, store: Store, recipe: Recipe, *, processes: int = 2, patch: str = "", begins: bool = True
) -> Iterator[Launched]:
    """Ranks that train a recipe in a folder, given back after their first checkpoint if it begins at all.

    patch: the body of a function of the module `training` and the rank, which changes that module in every process.
    """
    (folder / "toy.toml").write_text(recipe.to_toml())
    (folder / "sitecustomize.py").write_text(PATCHING + textwrap.indent(textwrap.dedent(patch) or "pass", "    "))
    arguments = ["train", "toy.toml", "--store", str(store.path), "--no-compile", "--device", "cpu"]
    program = start(_train, folder, [*arguments, "--cpu-ranks", str(processes)], said=folder / SAID)
    begun = Launched(program, folder, [])
    try:
        wait_until(lambda: not begins or list(folder.glob("runs/*/*/checkpoints/step-*")))
        children = Path(f"/proc/{begun.pid}/task/{begun.pid}/children").read_text().split()
        begun.ranks = [int(child) for child in children] if processes > 1 else []
        yield begun
    finally:
        for process in processes_in(folder):
            os.kill(process, signal.SIGKILL)
        program.join()


def _train(folder: Path, arguments: list[str]) -> None:
    """The program, typed in a folder; it and its ranks are patched."""
    os.chdir(folder)
    os.environ["PYTHONPATH"] = str(folder)
    runpy.run_path("sitecustomize.py")["patch"](sys.modules["alexrepro.training.train"], 0)
    sys.argv = ["alexrepro", *arguments]
    main()
