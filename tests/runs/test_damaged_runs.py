"""A run folder after a power cut, a newer version or somebody's editor: no command ends with a traceback."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.evaluation.evaluate import evaluate
from alexrepro.evaluation.inference import load_pixels
from alexrepro.recipes.recipe import Recipe
from alexrepro.reports.experiments import gather
from alexrepro.runs.evaluation import evaluations_in, save_evaluation
from alexrepro.runs.predictions import load_neighbors
from alexrepro.runs.run import Run, find_evaluations, find_runs, run_of

from ..data.hostile import assert_refused, command
from ..toy import Train


@pytest.fixture(scope="module")
def evaluated(toy: Train, stores: dict[str, Store], device: Device, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A complete run with one evaluation."""
    run = toy(tmp_path_factory.mktemp("evaluated") / "runs")
    evaluate(run, stores["test"], crops="center", device=device)
    return run


@pytest.fixture
def run(evaluated: Run, tmp_path: Path) -> Run:
    """A copy to damage."""
    shutil.copytree(evaluated.folder.parent, tmp_path / "runs" / evaluated.folder.parent.name)
    return Run(tmp_path / "runs" / Path(*evaluated.folder.parts[-2:]))


ENVIRONMENTS = {
    "empty": (b"", "it is not a JSON object"),
    "zeros": (bytes(200), "it is not a JSON object"),
    "half": (b'{"seed": 0, "dataset": "ph', "it is not a JSON object"),
    "a list": (b"[1, 2]", "it is not a JSON object"),
    "no text": (b"\xff", "it is not a JSON object"),
    "text for a list": (b'{"classes": "ab"}', "its classes"),
    "no steps": (b'{"steps_per_epoch": 0}', "its steps_per_epoch"),
}


@pytest.mark.parametrize(("content", "why"), ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_a_damaged_environment_is_named_and_skipped_by_reports(
    run: Run, content: bytes, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run.environment_file.write_bytes(content)

    with pytest.raises(UserError, match=r"environment\.json is damaged: " + why) as refused:
        _ = run.environment

    assert refused.value.exit_code is Exit.BAD_DATA
    assert gather(run.folder.parents[1]).runs == ()
    assert "Skipped" in capsys.readouterr().err
    run.environment_file.write_text("{}")
    with pytest.raises(UserError, match=r"environment\.json is damaged: it has no seed"):
        _ = run.environment["seed"]


def test_a_recipe_that_was_cut_off_is_not_taken_for_another(run: Run) -> None:
    whole = run.recipe_file.read_text()
    endings = {"augmentation.images_per_crop": "its digest is", "network.fc3.maps": "maps must be 1 or more"}

    for cut, why in endings.items():
        run.recipe_file.write_text(whole.partition(cut)[0])
        with pytest.raises(UserError, match=rf"recipe\.toml is damaged: .*{why}"):
            _ = Run(run.folder).recipe


@pytest.mark.parametrize("file", ["result.json", "../recipe.toml"])
def test_a_command_ends_with_two_lines_for_a_damaged_file(run: Run, tmp_path: Path, file: str) -> None:
    (run.folder / file).write_text("")

    ended = command("watch", "--once", run.folder, said=tmp_path / "said")

    assert_refused(ended)
    assert Path(file).name in ended.said


def test_a_run_whose_result_is_damaged_continues_once_that_is_removed(toy: Train, run: Run) -> None:
    (run.folder / "result.json").write_text("")
    with pytest.raises(UserError, match=r"result\.json is damaged") as refused:
        toy(run.folder.parents[1])
    assert refused.value.fix.startswith("Remove it and run the same training again")

    (run.folder / "result.json").unlink()

    assert toy(run.folder.parents[1]).result is not None


EVALUATIONS = {
    "empty": (lambda _: "", "it is not a JSON object"),
    "of a newer version": (lambda e: json.dumps(e | {"calibration": 0.1}), "'calibration'"),
    "without a field": (lambda e: json.dumps({k: v for k, v in e.items() if k != "images"}), "'images'"),
    "with impossible counts": (lambda e: json.dumps(e | {"images": 0}), "its counts contradict each other"),
    "with unknown crops": (lambda e: json.dumps(e | {"crops": "twelve"}), "its crops are 'twelve'"),
    "with text for numbers": (lambda e: json.dumps(e | {"top1_correct": "9"}), "'str'"),
}


@pytest.mark.parametrize(("damage", "why"), EVALUATIONS.values(), ids=EVALUATIONS)
def test_an_evaluation_that_cannot_be_used_is_passed_over(
    run: Run, damage: Callable[[dict[str, object]], str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = (run.folder / "evaluations").iterdir()
    file.write_text(damage(json.loads(file.read_text())))

    assert find_evaluations(run.folder.parents[1]) == []
    message = capsys.readouterr().err
    assert message.startswith(f"Skipped: {file} is damaged, or another version wrote it")
    assert why in message


def test_other_damaged_files_of_a_run_are_named(run: Run, device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    run.pixels_file.write_bytes(b"")
    run.neighbors_file.write_bytes(b"\0" * 50)

    with pytest.raises(UserError, match=r"pixels\.safetensors is missing or damaged"):
        load_pixels(run, device)
    assert load_neighbors(run) is None
    assert "alexrepro features" in capsys.readouterr().err


def test_checkpoints_that_are_removed_while_runs_are_listed_do_no_harm(
    run: Run, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = Path.glob

    def glob_and_remove(folder: Path, pattern: str, **options: Any) -> list[Path]:
        found = list(listed(folder, pattern, **options))
        for path in found if folder == run.checkpoints else ():
            shutil.rmtree(path, ignore_errors=True)
        return found

    monkeypatch.setattr(Path, "glob", glob_and_remove)

    assert find_runs(run.folder.parents[1]) == [run]


@pytest.mark.parametrize("name", ["/elsewhere/x", "..", ".hidden", "a\\b", "a\nb", "", "ü" * 101])
def test_a_name_that_leaves_its_folder_is_refused(run: Run, tmp_path: Path, recipe: Recipe, name: str) -> None:
    (evaluation,) = evaluations_in(run.folder)

    with pytest.raises(UserError, match="The recipe's name must"):
        run_of(tmp_path, recipe.but({}, name=name) if name else Recipe(name=""), dataset="photos", seed=0)
    with pytest.raises(UserError, match="A data set cannot be named"):
        run_of(tmp_path, recipe, dataset=name, seed=0)
    if name != "ü" * 101:  # which a split may have, up to 220 bytes
        with pytest.raises(UserError, match="A split cannot be named"):
            save_evaluation(replace(evaluation, split=name))
