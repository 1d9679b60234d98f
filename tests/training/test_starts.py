"""A run that is started again keeps its own stores, whatever else has appeared, and records every start."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from alexrepro.cli.stores import labeled_store, validation_store
from alexrepro.data.store.store import Store
from alexrepro.errors import Exit, UserError
from alexrepro.files import read_json, write_json
from alexrepro.recipes.recipe import Recipe
from alexrepro.reports.page import provenance
from alexrepro.runs.run import Run
from alexrepro.training import job
from alexrepro.training.job import commit

from ..toy import Train, power_cut


@pytest.fixture
def copies(stores: dict[str, Store], tmp_path: Path) -> dict[str, Store]:
    """The stores of training and validation, and another one of validation, in a folder of their own."""
    names = {"train": stores["train"].path.name, "val": stores["val"].path.name, "other": "photos-val-ffffff"}
    for split, name in names.items():
        shutil.copytree(stores[split if split in stores else "val"].path, tmp_path / "stores" / name)
    return {split: Store.open(tmp_path / "stores" / name) for split, name in names.items()}


@pytest.fixture
def go(toy: Train, copies: dict[str, Store], tmp_path: Path) -> Train:
    """Trains with the validation store of this name."""

    def run(validation: str | None, **options: object) -> Run:
        found = copies[validation] if validation else None
        return toy(tmp_path / "runs", store=copies["train"], validation=found, **options)

    return run


@pytest.fixture
def plateau(recipe: Recipe) -> Recipe:
    return recipe.but({"training.schedule.kind": "plateau"})


def used(run: Run) -> list[str | None]:
    """The validation store of each start."""
    return [start["stores"]["validation"] for start in run.environment["starts"]]


KEPT = {  # the newest validation store at each start until the run is complete, and the one that is used
    "the first one": ("script", ("val", "other"), ("val", "val")),
    "none": ("script", (None, "val"), (None, None)),
    "the first one that a plateau finds": ("plateau", (None, "val", "other"), (None, "val", "val")),
}


@pytest.mark.parametrize(("schedule", "newest", "expected"), KEPT.values(), ids=KEPT)
def test_a_run_keeps_its_validation_store_whatever_has_appeared(
    go: Train, plateau: Recipe, copies: dict[str, Store], capsys: pytest.CaptureFixture[str], *, schedule: str,
    newest: tuple[str | None, ...], expected: tuple[str | None, ...],
) -> None:  # fmt: skip
    options = {"chosen": plateau} if schedule == "plateau" else {}
    for validation in newest[:-1]:
        with power_cut():
            go(validation, **options)

    run = go(newest[-1], **options)
    go("other", **options)

    assert used(run) == [copies[name].path.name if name else None for name in expected]
    assert run.validations["epoch"].tolist() == ([1, 2, 3] if expected[-1] else [])
    assert "Nothing to train" in capsys.readouterr().err


def test_a_run_whose_validation_store_is_gone_goes_on_unless_its_rate_follows_the_errors_on_it(
    go: Train, plateau: Recipe, copies: dict[str, Store], capsys: pytest.CaptureFixture[str]
) -> None:
    for options in ({}, {"chosen": plateau}):
        with power_cut():
            go("val", **options)
    shutil.rmtree(copies["val"].path)

    run = go("other")
    with pytest.raises(UserError, match="its learning rate follows the errors on it") as refused:
        go("other", chosen=plateau)

    assert "goes on without validation" in capsys.readouterr().err
    assert run.validations["epoch"].tolist() == [1]
    assert run.result is not None
    assert run.result["final"]["split"] is None  # and not the errors of an early epoch
    assert refused.value.exit_code is Exit.MISSING_INPUT


def test_a_validation_store_is_found_in_the_folder_where_it_was(
    go: Train, copies: dict[str, Store], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere" / copies["val"].path.name
    elsewhere.parent.mkdir()
    copies["val"].path.rename(elsewhere)
    copies["val"] = Store.open(elsewhere)
    with power_cut():
        go("val")

    assert len(go("other").validations) == 3


def test_another_training_store_is_refused_with_the_option_that_names_the_right_one(
    go: Train, toy: Train, copies: dict[str, Store], tmp_path: Path
) -> None:
    go("val")

    with pytest.raises(UserError, match="was trained on") as refused:
        toy(tmp_path / "runs", store=copies["other"])

    assert f"--store {copies['train'].path}" in refused.value.fix


def test_every_start_is_recorded_with_its_command_commit_and_machine(
    go: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "commit", lambda: "0a1b2c")
    monkeypatch.setattr(sys, "argv", ["/bin/alexrepro", "train", "toy.toml"])
    with power_cut():
        go("val")

    run = go("val")

    one, other = run.environment["starts"]
    assert (one["after_step"], other["after_step"]) == (0, 3)
    assert (one["command"], one["commit"]) == (["alexrepro", "train", "toy.toml"], "0a1b2c")
    assert one["machine"]["device"] == "cpu"

    environment = read_json(run.environment_file)
    environment["starts"][1]["machine"] |= {"device": "NVIDIA H200", "torch": "9.9"}
    write_json(run.environment_file, environment)
    facts = provenance(run).facts
    assert facts["device"] == "cpu; NVIDIA H200 after step 3"
    assert facts["torch"].endswith("; 9.9 after step 3")
    assert "after" not in facts["alexrepro"]


def test_the_commit_is_that_of_the_program_and_not_of_a_checkout_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=b", *words], check=True)

    git("init", "-q")
    (tmp_path / "file").write_text("")
    git("add", "file")
    git("commit", "-q", "-m", "a")
    found = []
    for folder in ("src/alexrepro/training", "venv/lib/site-packages/alexrepro/training"):
        monkeypatch.setattr(job, "__file__", str(tmp_path / folder / "job.py"))
        found.append(commit.__wrapped__())
    (tmp_path / "file").write_text("changed")
    monkeypatch.setattr(job, "__file__", str(tmp_path / "src/alexrepro/training/job.py"))

    assert len(str(found[0])) == 40
    assert found[1] is None  # installed below the checkout
    assert commit.__wrapped__() == f"{found[0]}-dirty"


def stretch(*stores: Store) -> None:
    for store in stores:
        (store.path / "manifest.json").write_text(replace(store.manifest, resize="stretch").text(), encoding="utf-8")


def test_validation_images_of_another_resize_than_the_training_images_are_not_used(
    copies: dict[str, Store], recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    train, val, other = copies["train"], copies["val"], copies["other"]
    stretch(other)

    validation = validation_store(train)
    test = labeled_store(train.manifest.dataset, recipe, classes=train.manifest.classes, folder=train.path.parent)

    assert validation is not None
    assert (validation.path, test.path) == (val.path, val.path)  # though the other store is newer
    stretch(val)
    assert validation_store(train) is None
    assert "Validation: none" in capsys.readouterr().err
