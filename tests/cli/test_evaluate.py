"""`evaluate`, `compare`, `submit` and `score` on drawn images: averages, comparisons, submissions."""

import json
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from alexrepro.cli.app import app
from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.store.prepare import prepare
from alexrepro.device import find_device
from alexrepro.errors import UserError
from alexrepro.evaluation import inference
from alexrepro.recipes.catalog import TINY
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train

Call = Callable[..., Result]
VAL_TRUTH = "ILSVRC2010_validation_ground_truth.txt"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stores of a small miniature and two runs of one step."""
    folder = tmp_path_factory.mktemp("work")
    write_miniature(folder / "images", train_per_class=1, val_per_class=1, test_per_class=1)
    stores = prepare(folder / "images", out=folder / "stores", workers=1)
    recipe = TINY.but({"network.fc6.maps": 8, "network.fc7.maps": 8}).shortened(1)
    shared = {"store": stores["train"], "validation": None, "runs": folder / "runs", "device": find_device("cpu")}
    for seed in (0, 1):
        train(TrainingJob(recipe, seed=seed, **shared))
    return folder


@pytest.fixture
def call(folder: Path) -> Call:
    """The program in that folder; `A` and `B` stand for the two runs."""
    runs = dict(zip("AB", sorted(path.parent for path in folder.glob("runs/*/*/environment.json")), strict=True))

    def typed(*arguments: str) -> Result:
        words = [str(runs[word].relative_to(folder)) if word in runs else word for word in arguments]
        with chdir(folder):
            return CliRunner(env={"COLUMNS": "250"}).invoke(app, words)

    return typed


def printed(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.exception
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_ten_crops_print_the_center_crop_too_with_intervals(call: Call) -> None:
    found = printed(call("evaluate", "A", "--ten-crop", "--json"))

    assert (found["crops"], found["center"]["crops"]) == ("ten", "center")
    assert 0 <= found["top1_low"] < found["top1_error"] <= found["top1_high"] <= 1
    assert found["center"]["preprocessing"] != found["preprocessing"]
    assert found["members"] == []
    lines = call("evaluate", "A", "--ten-crop").stdout.splitlines()
    center, ten = (line for line in lines if "│ center" in line or "│ ten" in line)
    assert all("–" in line and "%" in line for line in (center, ten))


def test_two_runs_are_one_average_that_can_be_compared_with_a_member(call: Call, folder: Path) -> None:
    average = printed(call("evaluate", "A", "B", "--ten-crop", "--ensemble-weights", "1,3", "--json"))
    saved = call("evaluate", "A", "--save-probabilities", "--json")

    found = printed(call("compare", "A", average["run"], "--json"))["comparisons"]

    assert ".safetensors, 0 MB" in saved.stderr
    assert average["run"].startswith("runs/ensembles/")
    assert sorted(member["weight"] for member in average["members"]) == [0.25, 0.75]
    assert {path.name for path in (folder / average["run"] / "evaluations").iterdir()} == {
        "ilsvrc2010-miniature-test.center.json", "ilsvrc2010-miniature-test.ten.json"
    }  # fmt: skip
    assert [row["top"] for row in found if row["crops"] == "center"] == [1, 5]
    assert all(row["difference_low"] <= row["difference"] <= row["difference_high"] for row in found)
    assert "mid-p" in call("compare", "A", average["run"]).stdout


def test_a_submission_has_a_line_for_each_image(call: Call, folder: Path) -> None:
    found = printed(call("submit", "A", "--to", "submission.txt", "--json"))

    lines = (folder / "submission.txt").read_text().splitlines()
    assert found == {"submission": "submission.txt", "lines": len(lines)}
    assert {len(set(line.split())) for line in lines} == {5}


def test_a_submission_is_scored_by_the_devkit(call: Call, folder: Path) -> None:
    devkit = folder / "devkit"
    devkit.mkdir()
    for name in ("meta.mat", VAL_TRUTH):
        (devkit / name).write_bytes((folder / "images/devkit-1.0/data" / name).read_bytes())
    right = (devkit / VAL_TRUTH).read_text().split()[:15]
    (folder / "answers.txt").write_text("".join(f"{line}\n" for line in right) + "\n" * 5)  # five lines are empty

    found = printed(call("score", "answers.txt", "--devkit", "devkit", "--json"))

    assert found == {"split": "val", "images": 20, "flat": [0.25] * 5}
    assert "25.00 %" in call("score", "answers.txt", "--devkit", "devkit").stdout


def test_norms_are_compiled_if_it_pays_or_is_asked_for(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(inference, "find_device", lambda name, *, compiles: asked.append(compiles) or find_device(name))

    for option in ((), ("--compile",), ("--no-compile",)):
        printed(call("evaluate", "A", "--json", *option))

    assert asked == [False, True, False]  # 20 images


def test_weights_that_are_not_numbers_are_refused(call: Call) -> None:
    with pytest.raises(UserError, match="not numbers"):
        raise call("evaluate", "A", "B", "--ensemble-weights", "1,many").exception or AssertionError
