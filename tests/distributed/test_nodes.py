"""Several hosts, here on one: two agents of torchrun, or the tasks of a SLURM step, train what one process trains."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from alexrepro import __version__
from alexrepro.__main__ import main
from alexrepro.data.store.store import Store
from alexrepro.device import find_device
from alexrepro.distributed.rank import Rank
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.run import Run, find_runs
from alexrepro.training import job
from alexrepro.training import train as training
from alexrepro.training.job import TrainingJob

from ..children import PATIENCE_SECONDS, wait_until
from ..ranks import free_port, run_ranks

LAST_DIGITS = 2e-6  # metrics.csv has six of them, and towers add in another order
Ended = list[tuple[int, str]]  # exit code and stderr, by host


def run_together(
    commands: list[list[str]], environments: list[dict[str, str]], folder: Path,
    meanwhile: Callable[[list[subprocess.Popen[str]]], None] = lambda processes: None,
) -> Ended:  # fmt: skip
    """The ends of commands that run at the same time in one folder."""
    started = [
        subprocess.Popen(command, cwd=folder, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True)
        for command, environment in zip(commands, environments, strict=True)
    ]
    try:
        meanwhile(started)
        said = [process.communicate(timeout=PATIENCE_SECONDS)[1] for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()
    return [(process.returncode, text) for process, text in zip(started, said, strict=True)]


@pytest.fixture
def arguments(stores: dict[str, Store], recipe: Recipe, tmp_path: Path) -> list[str]:
    (tmp_path / "toy.toml").write_text(recipe.to_toml())
    store = str(stores["train"].path)
    return ["train", "toy.toml", "--store", store, "--device", "cpu", "--no-compile"]


@pytest.fixture(scope="module")
def alone(stores: dict[str, Store], recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Run:
    training_alone = TrainingJob(
        recipe, store=stores["train"], validation=stores["val"], runs=tmp_path_factory.mktemp("alone"), seed=0,
        device=find_device("cpu"),
    )  # fmt: skip
    return training.train(training_alone)


def check_losses(ended: Ended, folder: Path, alone: Run, *, processes: int) -> None:
    (run,) = find_runs(folder / "runs")
    assert [code for code, _ in ended] == [0, 0], ended
    found, expected = ([float(row["loss"]) for row in each.metrics] for each in (run, alone))
    print(found, expected, sep="\n")
    assert found == pytest.approx(expected, abs=LAST_DIGITS)
    assert run.environment["machine"]["processes"] == processes
    assert run.environment["machine"]["sharing_towers"] == 2
    assert "".join(text for _, text in ended).count("Training toy on") == 1


@pytest.mark.slow
@pytest.mark.parametrize("ranks_a_host", [1, pytest.param(2, marks=pytest.mark.long)])
def test_two_agents_of_torchrun_train_what_one_process_trains(
    arguments: list[str], alone: Run, tmp_path: Path, ranks_a_host: int
) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--rdzv-backend", "c10d"]
    meeting = ["--rdzv-endpoint", f"localhost:{free_port()}", "--rdzv-id", "7", "--local-addr", "localhost"]
    agent = [*torchrun, *meeting, "--nproc-per-node", str(ranks_a_host), "-m", "alexrepro", *arguments]

    ended = run_together([[*agent, "--parallel", "tower"]] * 2, [{}, {}], tmp_path)

    check_losses(ended, tmp_path, alone, processes=2 * ranks_a_host)


def slurm(rank: int, *, size: int, port: int) -> dict[str, str]:
    """SLURM's variables for a task of a step on this host."""
    return {
        "SLURM_JOB_ID": "4711", "SLURM_STEP_NUM_TASKS": str(size), "SLURM_STEP_NUM_NODES": "1",
        "SLURM_STEP_NODELIST": "localhost", "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank),
        "MASTER_PORT": str(port),
    }  # fmt: skip


def task(rank: Rank, port: int, folder: Path, commands: list[list[str]], version: str) -> tuple[int, str]:
    """Exit code and output of the command line in a task of a SLURM step; the version is that of the last rank."""
    os.environ.update(slurm(rank.rank, size=rank.world_size, port=port))
    os.chdir(folder)
    sys.argv = ["alexrepro", *commands[rank.rank]]
    if rank.rank == rank.world_size - 1:
        job.__version__ = version
    said = StringIO()
    with redirect_stderr(said), redirect_stdout(StringIO()):
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0), said.getvalue()
    return 0, said.getvalue()


@pytest.mark.slow
def test_the_tasks_of_a_slurm_step_train_what_one_process_trains(
    arguments: list[str], alone: Run, tmp_path: Path
) -> None:
    ended = run_ranks(task, 2, free_port(), tmp_path, [arguments] * 2, __version__)

    check_losses(ended, tmp_path, alone, processes=2)


DIFFERENCES = {  # options and version of the second rank, and the message
    "recipe": (["--set", "training.learning_rate=0.002"], __version__, "the recipe is toy "),
    "store": (["--store", "val"], __version__, "the store is "),
    "version": ([], "0.0.0", f"alexrepro is {__version__} on rank 0 and 0.0.0 on rank 1"),
    "grid": (["--parallel", "data"], __version__, "the grid of replicas by towers is 1 × 2 on rank 0 and 2 × 1 on"),
}


@pytest.mark.slow
@pytest.mark.parametrize("difference", DIFFERENCES)
def test_ranks_that_differ_all_end_before_the_first_step(
    stores: dict[str, Store], arguments: list[str], tmp_path: Path, difference: str
) -> None:
    other, version, message = DIFFERENCES[difference]
    options = [str(stores[option].path) if option in stores else option for option in other]

    ended = run_ranks(task, 2, free_port(), tmp_path, [arguments, arguments + options], version)

    assert [code for code, _ in ended] == [78, 78]
    assert f"The ranks differ: {message}" in ended[0][1]
    assert "Start every rank with the same program" in ended[0][1]
    assert ended[1][1] == ""
    assert [path for name in ("metrics.csv", "step-*", "environment.json") for path in tmp_path.rglob(name)] == []


@pytest.mark.long
@pytest.mark.parametrize("attempt", range(5))
def test_a_signal_to_one_task_ends_all_with_the_code_to_be_requeued(
    recipe: Recipe, arguments: list[str], tmp_path: Path, attempt: int
) -> None:
    (tmp_path / "toy.toml").write_text(recipe.but({"training.epochs": 100_000}).to_toml())
    port = free_port()

    def stop(processes: list[subprocess.Popen[str]]) -> None:
        wait_until(lambda: list(tmp_path.glob("runs/*/*/checkpoints/step-*")))
        processes[1].send_signal(signal.SIGTERM)

    program = [sys.executable, "-m", "alexrepro", *arguments]
    ended = run_together([program] * 2, [slurm(rank, size=2, port=port) for rank in (0, 1)], tmp_path, meanwhile=stop)

    assert [code for code, _ in ended] == [75, 75], ended
    assert "Stopped by SIGTERM" in ended[0][1]
    assert ended[1][1] == ""  # silent even about the end of the first rank, which holds the store
