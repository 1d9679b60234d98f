"""`alexrepro evaluate` on drawn images: averages, comparisons and the contest's file."""

import json
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from alexrepro import device
from alexrepro.cli.evaluate import evaluate
from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.store.prepare import prepare
from alexrepro.device import Device, find_device
from alexrepro.errors import UserError
from alexrepro.evaluation import inference
from alexrepro.recipes.as_printed_and_run import TINY
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train

app = typer.Typer()
app.command()(evaluate)
Call = Callable[..., Result]
VAL_TRUTH = "ILSVRC2010_validation_ground_truth.txt"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stores of a small miniature and two runs of one update."""
    folder = tmp_path_factory.mktemp("work")
    write_miniature(folder / "photos", train_per_class=1, val_per_class=1, test_per_class=1)
    stores = prepare(folder / "photos", out=folder / "stores", processes=1)
    recipe = TINY.but({"network.fc6.maps": 8, "network.fc7.maps": 8}).shortened(1)
    for seed in (0, 1):
        train(
            TrainingJob(
                recipe,
                store=stores["train"],
                validation=None,
                runs=folder / "runs",
                seed=seed,
                device=find_device("cpu"),
            )
        )
    return folder


@pytest.fixture
def call(folder: Path) -> Call:
    """The command in that folder; `A` and `B` stand for the two runs."""
    runs = dict(zip("AB", sorted(path.parent for path in folder.glob("runs/*/*/environment.json")), strict=True))

    def typed(*arguments: str) -> Result:
        words = [str(runs[word].relative_to(folder)) if word in runs else word for word in arguments]
        with chdir(folder):
            return CliRunner(env={"COLUMNS": "250"}).invoke(app, words)

    return typed


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.exception
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_ten_crops_tell_of_the_center_crop_with_intervals(call: Call) -> None:
    found = told(call("A", "--ten-crop", "--json"))

    assert (found["crops"], found["center"]["crops"]) == ("ten", "center")
    assert 0 <= found["top1_low"] < found["top1_error"] <= found["top1_high"] <= 1
    assert found["center"]["preprocessing"] != found["preprocessing"]
    assert found["members"] == []


def test_the_table_shows_both_crops_with_intervals(call: Call) -> None:
    lines = call("A", "--ten-crop").stdout.splitlines()

    center, ten = (line for line in lines if "│ center" in line or "│ ten" in line)
    assert all("–" in line and "%" in line for line in (center, ten))


def test_two_runs_are_one_average(call: Call, folder: Path) -> None:
    found = told(call("A", "B", "--ten-crop", "--weights", "1,3", "--json"))

    assert found["run"].startswith("runs/ensembles/")
    assert sorted(member["weight"] for member in found["members"]) == [0.25, 0.75]
    assert {path.name for path in (folder / found["run"] / "evaluations").iterdir()} == {
        "ilsvrc2010-miniature-test.center.json", "ilsvrc2010-miniature-test.ten.json"
    }  # fmt: skip


def test_an_average_can_be_compared_with_a_member(call: Call) -> None:
    average = told(call("A", "B", "--json"))["run"]
    call("A", "--json")

    found = told(call("--compare", "A", average, "--json"))["comparisons"]

    center = [row for row in found if row["crops"] == "center"]
    assert [row["top"] for row in center] == [1, 5]
    assert all(row["difference_low"] <= row["difference"] <= row["difference_high"] for row in center)
    assert "mid-p" in call("--compare", "A", average).stdout


def test_the_contests_file_has_a_line_for_each_photo(call: Call, folder: Path) -> None:
    found = told(call("A", "--submission", "answers.txt", "--json"))

    lines = (folder / "answers.txt").read_text().splitlines()
    assert found == {"submission": "answers.txt", "lines": 20}
    assert all(len(set(line.split())) == 5 and set(map(int, line.split())) <= set(range(1, 21)) for line in lines)


def test_all_probabilities_are_kept_where_asked_and_their_size_is_said(call: Call, folder: Path) -> None:
    result = call("A", "--ten-crop", "--save-probabilities")

    assert ".safetensors, 0 MB" in result.stderr
    assert [path.name for path in folder.glob("runs/tiny-*/*/probabilities/*")] == [
        "ilsvrc2010-miniature-test.ten.safetensors"
    ]


def test_a_file_of_answers_is_scored_by_the_devkit(call: Call, folder: Path) -> None:
    devkit = folder / "devkit"
    devkit.mkdir()
    for name in ("meta.mat", VAL_TRUTH):
        (devkit / name).write_bytes((folder / "photos/devkit-1.0/data" / name).read_bytes())
    right = (devkit / VAL_TRUTH).read_text().split()[:15]
    (folder / "answers.txt").write_text("".join(f"{line}\n" for line in right) + "\n" * 5)  # five have no guess

    result = call("--predictions", "answers.txt", "--devkit", "devkit", "--json")

    assert told(result) == {"flat": [0.25] * 5}
    assert "20 images of val in devkit" in result.stderr
    shown = call("--predictions", "answers.txt", "--devkit", "devkit").stdout
    assert "25.00 %" in shown


@pytest.mark.parametrize(("least", "is_long"), [(20, True), (21, False)])
def test_loops_are_compiled_where_it_pays_or_is_asked_for(
    call: Call, monkeypatch: pytest.MonkeyPatch, least: int, is_long: bool
) -> None:
    asked: list[bool] = []

    def noted(device: str, *, compiles: bool) -> Device:
        asked.append(compiles)
        return find_device(device)

    monkeypatch.setattr(device, "find_device", noted)
    monkeypatch.setattr(inference, "COMPILED_FROM_CROPS", least)  # the split has 20 images

    for option in ((), ("--compile",), ("--no-compile",)):
        told(call("A", "--json", *option))

    assert asked == [is_long, True, False]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("A", "B", "--weights", "1,many"), "not numbers"),
        (("A", "--weights", "1,2"), "do not fit 1 run"),
        (("A", "--compare"), "not 1"),
        (("A", "A"), "named twice"),
        (("A", "--submission", "a.txt", "--save-probabilities"), "do not go together"),
        (("--predictions", "a.txt", "--ten-crop"), "--predictions and --ten-crop do not go together"),
        (("A", "--predictions", "a.txt", "--devkit", "photos"), "--predictions and RUN do not go together"),
        (("--predictions", "a.txt"), "belong together"),
        (("--devkit", "photos"), "belong together"),
    ],
)
def test_words_that_do_not_fit_are_refused(call: Call, words: tuple[str, ...], what: str) -> None:
    refusal = call(*words).exception

    assert isinstance(refusal, UserError)
    assert what in refusal.what


@pytest.mark.parametrize("option", ["--ten-crop", "--weights=1,2", "--store=stores", "--devkit=kit"])
def test_a_comparison_refuses_options_it_would_ignore(option: str, call: Call) -> None:
    refused = call("A", "B", "--compare", option).exception

    assert isinstance(refused, UserError)
    assert refused.what == f"--compare and {option.partition('=')[0]} do not go together."
