"""`evaluate`, `compare`, `submit` and `score` on drawn images: averages, comparisons, submissions."""

import subprocess
import sys

import pytest

from alexrepro.device import find_device
from alexrepro.evaluation import inference

from ..program import SMALL, Program

DEVKIT = "photos/devkit-1.0"


@pytest.fixture(scope="module")
def runs(alexrepro: Program) -> list[str]:
    """Two runs of one epoch, of three steps."""
    commands = (("train", "tiny", *SMALL, "--epochs", "1", "--seed", seed) for seed in (0, 1))
    return [alexrepro.json(*words)["run"] for words in commands]


def test_ten_crops_print_the_center_crop_too_with_intervals(alexrepro: Program, runs: list[str]) -> None:
    found = alexrepro.json("evaluate", runs[0], "--ten-crop")

    assert (found["crops"], found["center"]["crops"]) == ("ten", "center")
    assert 0 <= found["top1_low"] < found["top1_error"] <= found["top1_high"] <= 1
    assert found["center"]["preprocessing"] != found["preprocessing"]
    assert found["members"] == []
    lines = alexrepro.shown("evaluate", runs[0], "--ten-crop").splitlines()
    center, ten = (line for line in lines if line.startswith(("center ", "ten ")))
    assert all("–" in line and "%" in line for line in (center, ten))


def test_two_runs_are_one_average_that_can_be_compared_with_a_member(alexrepro: Program, runs: list[str]) -> None:
    average = alexrepro.json("evaluate", *runs, "--ten-crop", "--ensemble-weights", "1,3")
    saved = alexrepro("evaluate", runs[0], "--save-probabilities", "--json")

    found = alexrepro.json("compare", runs[0], average["run"])["comparisons"]

    assert ".safetensors, 0 MB" in saved.stderr
    assert average["run"].startswith("runs/ensembles/")
    assert sorted(member["weight"] for member in average["members"]) == [0.25, 0.75]
    assert {path.name for path in (alexrepro.folder / average["run"] / "evaluations").iterdir()} == {
        "ilsvrc2010-miniature-test.center.json", "ilsvrc2010-miniature-test.ten.json"
    }  # fmt: skip
    assert [row["top"] for row in found if row["crops"] == "center"] == [1, 5]
    assert all(row["difference_low"] <= row["difference"] <= row["difference_high"] for row in found)
    assert "mid-p" in alexrepro("compare", runs[0], average["run"]).stdout


def test_an_evaluation_loads_neither_pandas_nor_the_whole_of_scipy(alexrepro: Program, runs: list[str]) -> None:
    loaded = "print({'pandas', 'scipy.stats'} & {*sys.modules})"  # 66 MB
    code = f"import sys; from alexrepro.cli.app import app; app(standalone_mode=False); {loaded}"

    command = [sys.executable, "-c", code, "evaluate", runs[0]]
    found = subprocess.run(command, cwd=alexrepro.folder, capture_output=True, text=True, check=True)

    assert found.stdout.splitlines()[-1] == "set()"


def test_a_submission_has_a_line_for_each_image(alexrepro: Program, runs: list[str]) -> None:
    found = alexrepro.json("submit", runs[0], "--to", "submission.txt")

    lines = (alexrepro.folder / "submission.txt").read_text().splitlines()
    assert found == {"submission": "submission.txt", "lines": len(lines)}
    assert {len(set(line.split())) for line in lines} == {5}


def test_a_submission_is_scored_by_the_devkit(alexrepro: Program) -> None:
    truth = (alexrepro.folder / DEVKIT / "data/ILSVRC2010_validation_ground_truth.txt").read_text().split()
    (alexrepro.folder / "mine.txt").write_text("".join(f"{line}\n" for line in truth[:15]) + "\n" * 5)  # five are empty

    found = alexrepro.json("score", "mine.txt", "--devkit", DEVKIT)

    assert found == {"split": "val", "images": 20, "flat": [0.25] * 5}
    assert "25.00 %" in alexrepro.shown("score", "mine.txt", "--devkit", DEVKIT)


def test_norms_are_compiled_if_it_pays_or_is_asked_for(
    alexrepro: Program, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(inference, "find_device", lambda name, *, compiles: asked.append(compiles) or find_device(name))

    for option in ((), ("--compile",), ("--no-compile",)):
        alexrepro.shown("evaluate", runs[0], *option)

    assert asked == [False, True, False]  # 40 images


def test_weights_that_are_not_numbers_are_refused(alexrepro: Program, runs: list[str]) -> None:
    assert "1,many are not numbers" in alexrepro("evaluate", *runs, "--ensemble-weights", "1,many").stderr
