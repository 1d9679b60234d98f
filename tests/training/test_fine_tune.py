"""Runs that begin with an earlier run: with the weights of named stages, or with all of its state at other rates."""

import shutil
from contextlib import chdir, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alexrepro.device import Device
from alexrepro.errors import UserError
from alexrepro.evaluation.inference import load_network
from alexrepro.model.alexnet import build
from alexrepro.recipes.recipe import Recipe
from alexrepro.reports.page import provenance
from alexrepro.runs.rows import METRICS
from alexrepro.runs.run import Run, find_runs
from alexrepro.training import train as training
from alexrepro.training.fine_tune import check_same_source, copy_stages

from ..toy import Train, assert_same, power_cut, state_of

KEPT = ("conv1", "fc2")


@pytest.fixture(scope="module")
def stopped(toy: Train, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run after its first epoch, with its checkpoint, and a row of the next one."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("stopped")
    with power_cut():
        toy(folder)
    (run,) = find_runs(folder)
    run.add_metrics([dict(zip(METRICS, (4, 2, 16, "0.5", "0.1", 1.0, "0.5"), strict=True))])
    return run


def tuned(recipe: Recipe, **changes: object) -> Recipe:
    return recipe.but({"training.init_from_stages": KEPT} | changes, name="tuned")


def continuing(recipe: Recipe, **training: object) -> Recipe:
    return recipe.but({"training.continues": True} | {f"training.{name}": value for name, value in training.items()})


def test_the_named_stages_begin_where_the_earlier_run_ended(whole: Run, recipe: Recipe, device: Device) -> None:
    model, (ended, _) = build(recipe.network, seed=5), load_network(whole, device)
    fresh = build(recipe.network, seed=5).named_kernels()

    copy_stages(model, whole, KEPT)

    for name, parameter in model.named_kernels().items():
        source = ended.named_kernels() if name.partition(".")[0] in KEPT else fresh
        assert torch.equal(parameter, source[name]), name


def test_a_fine_tuned_run_records_its_origin_and_keeps_to_it(
    toy: Train, whole: Run, recipe: Recipe, tmp_path: Path
) -> None:
    one = {"training.epochs": 1}
    run = toy(tmp_path, chosen=tuned(recipe, **one), source=whole, seed=1)
    random = toy(tmp_path, chosen=recipe.but(one), seed=1)

    began = run.environment["began_with"]
    assert (began["run"], began["step"]) == (whole.folder.as_posix(), 9)
    assert not torch.equal(state_of(run)["w conv1.weight"], state_of(random)["w conv1.weight"])
    with pytest.raises(UserError, match="began with"):
        toy(tmp_path, chosen=tuned(recipe, **one), source=random, seed=1)


def test_at_the_same_rates_it_becomes_the_run_that_it_continues_and_says_where_it_began(
    toy: Train, recipe: Recipe, whole: Run, stopped: Run, tmp_path: Path
) -> None:
    run = toy(tmp_path, chosen=continuing(recipe), source=stopped)

    assert_same(run, whole)
    assert run.result is not None
    for began in (run.environment["began_with"], run.result["began_with"]):
        assert (began["run"], began["step"]) == (stopped.folder.as_posix(), 3)
    assert provenance(run).facts["began with"] == f"{stopped.folder}, step 3: all of its state"


def test_a_run_that_has_a_checkpoint_needs_its_source_no_more(
    toy: Train, whole: Run, recipe: Recipe, tmp_path: Path
) -> None:
    source = Run(tmp_path / "copy" / Path(*whole.folder.parts[-2:]))
    shutil.copytree(whole.folder, source.folder)
    chosen = tuned(recipe)
    with power_cut():
        toy(tmp_path / "runs", chosen=chosen, source=source)
    shutil.rmtree(source.folder)

    with chdir(tmp_path):  # the same path, typed elsewhere
        assert toy(tmp_path / "runs", chosen=chosen, source=Run(source.folder.relative_to(tmp_path))).result is not None


def test_a_run_that_continues_another_needs_it_no_more_before_its_own_first_step(
    toy: Train, recipe: Recipe, stopped: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as crashing:
        crashing.setattr(training, "start", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            toy(tmp_path, chosen=continuing(recipe), source=stopped)

    assert toy(tmp_path, chosen=continuing(recipe)).result is not None


@pytest.mark.parametrize(
    ("named", "is_same"), [("moved/toy-abc/photos-seed-0", True), ("runs/toy-abc/photos-seed-1", False)]
)
def test_a_source_is_known_by_its_name_wherever_it_lies(
    recipe: Recipe, tmp_path: Path, named: str, *, is_same: bool
) -> None:
    run = Run(tmp_path / "tuned" / "photos-seed-0")
    run.begin(recipe, {"began_with": {"run": "/gone/runs/toy-abc/photos-seed-0", "step": 9}})

    with nullcontext() if is_same else pytest.raises(UserError, match="began with /gone/runs"):
        check_same_source(run, Run(tmp_path / named))


def test_a_run_that_does_not_fit_is_refused(
    toy: Train, whole: Run, stopped: Run, recipe: Recipe, tmp_path: Path
) -> None:
    wider = {"network.fc2.maps": 20}
    more = continuing(recipe)
    cases = [
        (more, None, 0, "begins with an earlier run, which is not named"),
        (tuned(recipe), None, 0, "begins with an earlier run, which is not named"),
        (more, stopped, 1, "another seed than the run"),
        (continuing(recipe, batch=8).but(wider), stopped, 0, "another steps_per_epoch, network than the run"),
        (more, whole, 0, "has made 9 steps, so nothing is left"),
        (tuned(recipe), replace(whole, folder=tmp_path), 0, "is not a run"),
    ]

    for chosen, source, seed, what in cases:
        with pytest.raises(UserError, match=what):
            toy(tmp_path, chosen=chosen, source=source, seed=seed)
    assert list(tmp_path.rglob("environment.json")) == []
    with pytest.raises(UserError, match=r"fc2.weight has the shape \(20"):
        toy(tmp_path, chosen=tuned(recipe, **wider), source=whole)
    with pytest.raises(UserError, match=r"name stages of the network \(conv1, fc2, fc3\), not 'conv9'"):
        recipe.but({"training.init_from_stages": ("conv9",)})
