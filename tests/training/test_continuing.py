"""A new run that continues another one: all of its state, at other rates, and says so."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from alexrepro.data.loading.sampling import EpochPlan
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.recipes.recipe import Recipe
from alexrepro.reports.page import provenance
from alexrepro.runs.rows import METRICS
from alexrepro.runs.run import Run, find_runs
from alexrepro.training import train as training
from alexrepro.training.job import TrainingJob
from alexrepro.training.state import TrainingState
from alexrepro.training.train import train

from ..data.hostile import Ended, command
from .test_divergence import make_gradient_infinite
from .test_train import state_of, without_pace

Train = Callable[..., Run]


@pytest.fixture(scope="module")
def whole(toy: Train, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Nine updates in three epochs, never stopped."""
    torch.set_num_threads(1)
    return toy(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def stopped(toy: Train, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same after its first epoch, in whose checkpoint it was left, and a row of the next one."""
    torch.set_num_threads(1)
    folder, plan = tmp_path_factory.mktemp("stopped"), TrainingState.plan

    def cut(state: TrainingState, epoch: int) -> EpochPlan:
        if epoch == 2:
            state.add_metrics([dict(zip(METRICS, (4, 2, 16, "0.5", "0.1", 1.0, "0.5"), strict=True))])
            raise OSError("power cut")
        return plan(state, epoch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingState, "plan", cut)
        with pytest.raises(OSError, match="power cut"):
            toy(folder)
    (environment,) = folder.rglob("environment.json")
    return Run(environment.parent)


@pytest.fixture
def go(stores: dict[str, Store], device: Device, tmp_path: Path) -> Train:
    """Trains a recipe that continues another run."""

    def run(recipe: Recipe, source: Run | None, *, seed: int = 0) -> Run:
        return train(
            TrainingJob(
                recipe,
                store=stores["train"],
                validation=stores["val"],
                runs=tmp_path,
                seed=seed,
                device=device,
                source=source,
            )
        )

    return run


def continuing(recipe: Recipe, **training: object) -> Recipe:
    return recipe.but({"training.continues": True} | {f"training.{name}": value for name, value in training.items()})


def test_at_the_same_rates_it_becomes_the_run_that_it_continues(
    go: Train, recipe: Recipe, whole: Run, stopped: Run
) -> None:
    run = go(continuing(recipe), stopped)

    ours, theirs = state_of(run), state_of(whole)
    assert [name for name in theirs if not ours[name].equal(theirs[name])] == []
    assert without_pace(run) == without_pace(whole)
    assert run.validations == whole.validations


def test_its_environment_result_and_provenance_say_where_it_began(go: Train, recipe: Recipe, stopped: Run) -> None:
    run = go(continuing(recipe, learning_rate_factor=0.5), stopped)

    assert run.result is not None
    for began in (run.environment["began_with"], run.result["began_with"]):
        assert (began["run"], began["step"]) == (stopped.folder.as_posix(), 3)
    assert provenance(run).facts["began with"] == f"{stopped.folder}, step 3: all of its state"
    assert (run.recipe.training.continues, run.recipe.training.learning_rate_factor) == (True, 0.5)


def test_once_begun_it_needs_the_run_that_it_continues_no_more(
    go: Train, recipe: Recipe, stopped: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(training, "start", lambda *_, **__: (_ for _ in ()).throw(OSError("power cut")))
        with pytest.raises(OSError, match="power cut"):
            go(continuing(recipe), stopped)

    assert go(continuing(recipe), None).result is not None


def test_a_run_that_cannot_be_continued_is_refused_before_anything_is_written(
    go: Train, recipe: Recipe, stopped: Run, whole: Run, tmp_path: Path
) -> None:
    cases = [
        (continuing(recipe), None, 0, "begins with all state of an earlier run, which is not named"),
        (continuing(recipe), stopped, 1, "has the seed 0, and the run that continues it has 1"),
        (continuing(recipe, batch=8), stopped, 0, "has the steps_per_epoch 3"),
        (continuing(recipe).but({"network.fc2.maps": 20}), stopped, 0, "another network"),
        (continuing(recipe), whole, 0, "has made 9 steps, so nothing is left"),
    ]

    for chosen, source, seed, said in cases:
        with pytest.raises(UserError, match=said):
            go(chosen, source, seed=seed)
    assert list(tmp_path.rglob("environment.json")) == []


def trained(tmp_path: Path, stores: dict[str, Store], recipe: Recipe, *, diverges_in: int) -> Ended:
    """A training by the command whose gradient becomes infinite in an update."""
    (tmp_path / "toy.toml").write_text(recipe.to_toml())
    return command(
        "train", tmp_path / "toy.toml", "--store", stores["train"].path, "--runs", tmp_path / "my runs", "--seed", 3,
        said=tmp_path / "said", first=lambda: make_gradient_infinite(pytest.MonkeyPatch(), in_update=diverges_in),
    )  # fmt: skip


@pytest.mark.parametrize(("diverges_in", "begins_at"), [(4, 3), (1, 0)], ids=["with a checkpoint", "without one"])
def test_the_command_advised_after_divergence_trains_on_at_half_of_all_rates(
    tmp_path: Path, stores: dict[str, Store], recipe: Recipe, diverges_in: int, begins_at: int
) -> None:
    diverged = trained(tmp_path, stores, recipe, diverges_in=diverges_in)
    advice = diverged.said.splitlines()[-1]
    (before,) = find_runs(tmp_path / "my runs")

    ended = command(*shlex.split(advice.partition(": ")[2])[1:], said=tmp_path / "said")

    assert (diverged.code, ended.code) == (Exit.BAD_DATA, Exit.OK), ended.said
    (run,) = (run for run in find_runs(tmp_path / "my runs") if run != before)
    rates = [1e-3] * begins_at + [5e-4] * (3 - begins_at) + [1e-4] * 6  # the schedule's are 0.001, then 0.0002
    assert [float(row["learning_rate"]) for row in run.metrics] == rates
    assert (run.environment["began_with"] or {"step": 0})["step"] == begins_at
    assert run.environment["seed"] == 3
