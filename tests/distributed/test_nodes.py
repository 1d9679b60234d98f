"""Several hosts, here on one: two agents of torchrun, or the tasks of a SLURM step, train what one process trains."""

import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from alexrepro import __version__
from alexrepro.__main__ import main
from alexrepro.data.store.store import Store
from alexrepro.distributed.rank import Rank
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.run import Run, find_runs
from alexrepro.training import job

from ..children import PATIENCE_SECONDS
from ..loaded import start
from ..ranks import free_port, run_ranks
from ..toy import Train

LAST_DIGITS = 2e-6  # metrics.csv has six of them, and towers add in another order
Ended = list[tuple[int | None, str]]  # exit code and output, by host


@pytest.fixture
def arguments(stores: dict[str, Store], recipe: Recipe, tmp_path: Path) -> list[str]:
    (tmp_path / "toy.toml").write_text(recipe.to_toml())
    store = str(stores["train"].path)
    return ["train", "toy.toml", "--store", store, "--device", "cpu", "--no-compile"]


@pytest.fixture(scope="module")
def alone(toy: Train, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return toy(tmp_path_factory.mktemp("alone"))


def check_losses(ended: Ended, folder: Path, alone: Run, *, processes: int) -> None:
    (run,) = find_runs(folder / "runs")
    assert [code for code, _ in ended] == [0, 0], ended
    found, expected = (each.metrics["loss"].tolist() for each in (run, alone))
    print(found, expected, sep="\n")
    assert found == pytest.approx(expected, abs=LAST_DIGITS)
    assert run.environment["machine"]["processes"] == processes
    assert run.environment["machine"]["sharing_towers"] == 2
    assert "".join(text for _, text in ended).count("Training toy on") == 1


def agent(folder: Path, arguments: list[str]) -> None:
    """torchrun with these arguments in a folder."""
    from torch.distributed.run import main as torchrun

    os.chdir(folder)
    torchrun(arguments)


@pytest.mark.slow
@pytest.mark.parametrize("ranks_a_host", [1, pytest.param(2, marks=pytest.mark.long)])
def test_two_agents_of_torchrun_train_what_one_process_trains(
    arguments: list[str], alone: Run, tmp_path: Path, ranks_a_host: int
) -> None:
    meeting = ["--nnodes", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", f"localhost:{free_port()}"]
    meeting += ["--rdzv-id", "7", "--local-addr", "localhost", "--nproc-per-node", str(ranks_a_host)]
    typed = [*meeting, "-m", "alexrepro", *arguments, "--parallel", "tower"]
    said = [tmp_path / f"said-{number}" for number in range(2)]

    hosts = [start(agent, tmp_path, typed, said=file) for file in said]
    for host in hosts:
        host.join(PATIENCE_SECONDS)

    ended = [(host.exitcode, file.read_text()) for host, file in zip(hosts, said, strict=True)]
    for host in hosts:
        host.kill()
    check_losses(ended, tmp_path, alone, processes=2 * ranks_a_host)


def task(rank: Rank, port: int, folder: Path, commands: list[list[str]], version: str) -> tuple[int, str]:
    """Exit code and output of the command line in a task of a SLURM step; the version is that of the last rank."""
    numbers = {"PROCID": rank.rank, "LOCALID": rank.rank, "STEP_NUM_TASKS": rank.world_size, "STEP_NUM_NODES": 1}
    os.environ.update({f"SLURM_{name}": str(number) for name, number in (numbers | {"JOB_ID": 4711}).items()})
    os.environ.update({"SLURM_STEP_NODELIST": "localhost", "MASTER_PORT": str(port)})
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
    "version": ([], "0.0.0", f"alexrepro is {__version__} on rank 0 and 0.0.0 on rank 1"),
    "grid": (["--parallel", "data"], __version__, "the grid of replicas by towers is 1 × 2 on rank 0 and 2 × 1 on"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("options", "version", "message"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_ranks_that_differ_all_end_before_the_first_step(
    arguments: list[str], tmp_path: Path, options: list[str], version: str, message: str
) -> None:

    ended = run_ranks(task, 2, free_port(), tmp_path, [arguments, arguments + options], version)

    assert [code for code, _ in ended] == [78, 78]
    assert f"The ranks differ: {message}" in ended[0][1]
    assert "Start every rank with the same program" in ended[0][1]
    assert ended[1][1] == ""
    assert [path for name in ("metrics.csv", "step-*", "environment.json") for path in tmp_path.rglob(name)] == []
