"""A run that is started again keeps its own stores, whatever else has appeared, and records every start."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from alexrepro.cli.labeled_stores import labeled_store
from alexrepro.cli.stores import validation_store
from alexrepro.data.loading.sampling import EpochPlan
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.files import read_json, write_json
from alexrepro.recipes.recipe import Recipe
from alexrepro.reports.page import provenance
from alexrepro.runs.run import Run
from alexrepro.training import job
from alexrepro.training.job import TrainingJob, commit
from alexrepro.training.state import TrainingState
from alexrepro.training.train import train

Train = Callable[..., Run]


@pytest.fixture
def copies(stores: dict[str, Store], tmp_path: Path) -> dict[str, Store]:
    """The stores of training and validation, and another one of validation, in a folder of their own."""
    names = {"train": stores["train"].path.name, "val": stores["val"].path.name, "other": "photos-val-ffffff"}
    for split, name in names.items():
        shutil.copytree(stores[split if split in stores else "val"].path, tmp_path / "stores" / name)
    return {split: Store.open(tmp_path / "stores" / name) for split, name in names.items()}


@pytest.fixture
def go(copies: dict[str, Store], recipe: Recipe, device: Device, tmp_path: Path) -> Train:
    """Trains the toy, or another recipe, with the validation store of this name."""

    def run(validation: str | None, *, chosen: Recipe = recipe) -> Run:
        found = copies[validation] if validation else None
        return train(
            TrainingJob(chosen, store=copies["train"], validation=found, runs=tmp_path / "runs", seed=0, device=device),
        )

    return run


@pytest.fixture
def first_epoch(go: Train, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Trains one epoch, until a power cut."""
    plan = TrainingState.plan

    def cut(state: TrainingState, epoch: int) -> EpochPlan:
        if epoch == 2:
            raise OSError("power cut")
        return plan(state, epoch)

    def run(validation: str | None, **options: object) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(TrainingState, "plan", cut)
            with pytest.raises(OSError, match="power cut"):
                go(validation, **options)

    return run


def plateau(recipe: Recipe) -> Recipe:
    return recipe.but({"training.schedule.kind": "plateau"})


def used(run: Run) -> list[str | None]:
    """The validation store of each start."""
    return [start["stores"]["validation"] for start in run.environment["starts"]]


def test_a_run_keeps_its_validation_store_when_a_newer_one_has_appeared(
    go: Train, first_epoch: Callable[..., None], copies: dict[str, Store]
) -> None:
    first_epoch("val")

    run = go("other")

    assert used(run) == [copies["val"].path.name] * 2
    assert len(run.validations) == 3


def test_a_complete_run_stays_complete_when_a_newer_validation_store_has_appeared(
    go: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    go("val")

    run = go("other")

    assert "Nothing to train" in capsys.readouterr().err
    assert len(used(run)) == 1


def test_a_run_that_began_without_validation_goes_on_without(go: Train, first_epoch: Callable[..., None]) -> None:
    first_epoch(None)

    run = go("val")

    assert used(run) == [None, None]
    assert run.validations == []


def test_a_rate_that_follows_the_errors_takes_the_store_that_was_missing_and_keeps_it(
    go: Train, first_epoch: Callable[..., None], copies: dict[str, Store], recipe: Recipe
) -> None:
    first_epoch(None, chosen=plateau(recipe))
    first_epoch("val", chosen=plateau(recipe))

    run = go("other", chosen=plateau(recipe))

    assert used(run) == [None, copies["val"].path.name, copies["val"].path.name]
    assert [row["epoch"] for row in run.validations] == ["1", "2", "3"]  # the first epoch, too: its end was the stop


def test_a_run_whose_validation_store_is_gone_goes_on_and_does_not_report_an_early_epoch_as_its_last(
    go: Train, first_epoch: Callable[..., None], copies: dict[str, Store], capsys: pytest.CaptureFixture[str]
) -> None:
    first_epoch("val")
    shutil.rmtree(copies["val"].path)

    run = go("other")

    assert "goes on without validation" in capsys.readouterr().err
    assert [row["epoch"] for row in run.validations] == ["1"]
    assert run.result is not None
    assert run.result["final"]["split"] is None


def test_a_rate_that_follows_the_errors_on_a_store_that_is_gone_is_refused(
    go: Train, first_epoch: Callable[..., None], copies: dict[str, Store], recipe: Recipe
) -> None:
    first_epoch("val", chosen=plateau(recipe))
    shutil.rmtree(copies["val"].path)

    with pytest.raises(UserError, match="its learning rate follows the errors on it") as refused:
        go("other", chosen=plateau(recipe))

    assert refused.value.exit_code is Exit.MISSING_INPUT


def test_a_validation_store_is_found_in_the_folder_where_it_was(
    go: Train, first_epoch: Callable[..., None], copies: dict[str, Store], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere" / copies["val"].path.name
    shutil.copytree(copies["val"].path, elsewhere)
    shutil.rmtree(copies["val"].path)
    copies["val"] = Store.open(elsewhere)
    first_epoch("val")

    assert len(go("other").validations) == 3


def test_another_training_store_is_refused_with_the_option_that_names_the_right_one(
    go: Train, copies: dict[str, Store], recipe: Recipe, device: Device, tmp_path: Path
) -> None:
    go("val")

    with pytest.raises(UserError, match="was trained on") as refused:
        train(
            TrainingJob(recipe, store=copies["other"], validation=None, runs=tmp_path / "runs", seed=0, device=device)
        )

    assert f"--store {copies['train'].path}" in refused.value.fix


def test_every_start_is_recorded_with_its_command_commit_and_machine(
    go: Train, first_epoch: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "commit", lambda: "0a1b2c")
    monkeypatch.setattr(sys, "argv", ["/bin/alexrepro", "train", "toy.toml"])
    first_epoch("val")

    one, other = go("val").environment["starts"]

    assert (one["after_step"], other["after_step"]) == (0, 3)
    assert one["command"] == ["alexrepro", "train", "toy.toml"]
    assert one["commit"] == "0a1b2c"
    assert one["machine"]["device"] == "cpu"


def test_provenance_tells_that_a_run_went_on_elsewhere(go: Train) -> None:
    run = go("val")
    environment = read_json(run.folder / "environment.json")
    device = {**environment["machine"], "device": "NVIDIA H200", "torch": "9.9"}
    environment["starts"].append({**environment["starts"][0], "after_step": 6, "machine": device})
    write_json(run.folder / "environment.json", environment)

    facts = provenance(run).facts

    assert facts["device"] == "cpu; NVIDIA H200 after step 6"
    assert facts["torch"].endswith("; 9.9 after step 6")
    assert "after" not in facts["alexrepro"]


def test_the_commit_is_that_of_the_program_and_not_of_what_surrounds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=b", *words], check=True)

    git("init", "-q")
    file = tmp_path / "job.py"
    file.write_text("")
    monkeypatch.setattr(job, "__file__", str(file))

    found = [commit.__wrapped__()]
    git("add", "job.py")
    git("commit", "-q", "-m", "a")
    found.append(commit.__wrapped__())
    file.write_text("changed")
    found.append(commit.__wrapped__())

    assert found[0] is None  # as in an environment that is installed below a checkout
    assert [len(str(name)) for name in found[1:]] == [40, 46]
    assert str(found[2]).endswith("-dirty")


def test_a_newer_store_with_other_squares_is_not_chosen_before_one_that_fits(
    copies: dict[str, Store], recipe: Recipe
) -> None:
    train, val, other = copies["train"], copies["val"], copies["other"]
    (other.path / "manifest.json").write_text(replace(other.manifest, resize="stretch").text(), encoding="utf-8")
    folder, manifest = train.path.parent, train.manifest

    validation = validation_store(train)
    test = labeled_store(manifest.dataset, recipe, classes=manifest.classes, folder=folder)

    assert validation is not None
    assert (validation.path, test.path) == (val.path, val.path)


def test_validation_images_with_other_squares_than_the_training_images_are_not_used(
    copies: dict[str, Store], capsys: pytest.CaptureFixture[str]
) -> None:
    for store in (copies["val"], copies["other"]):
        (store.path / "manifest.json").write_text(replace(store.manifest, resize="stretch").text(), encoding="utf-8")

    assert validation_store(copies["train"]) is None
    assert "Validation: none" in capsys.readouterr().err
