"""The pages on adding things, followed step by step on a copy of the program."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alexrepro.recipes.catalog import TINY
from alexrepro.runs.rows import METRICS
from alexrepro.runs.run import run_of

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to"


def blocks(page: str, language: str) -> list[str]:
    """The blocks of code of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (HOW_TO / page).read_text(encoding="utf-8"), re.DOTALL | re.M)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The program in a folder where it can be changed."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def python(folder: Path, *arguments: str) -> str:
    """What the changed program says in that folder; fails if it fails."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env={**os.environ, "PYTHONPATH": str(folder / "src")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_variation_is_added_by_one_row(copied: Path) -> None:
    file = copied / "src" / "alexrepro" / "recipes" / "variations.toml"
    file.write_text(file.read_text(encoding="utf-8") + blocks("add-a-variation.md", "toml")[1], encoding="utf-8")

    listed = json.loads(python(copied, "-m", "alexrepro", "ablate", "--json"))["variations"]
    tests = str(ROOT / "tests" / "recipes" / "test_variations.py")
    tried = python(copied, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), tests, "-k", "less-dropout")

    assert listed[-1]["variation"] == "less-dropout"
    assert re.search(r"\d+ passed", tried)


@pytest.mark.slow
def test_a_report_is_added_by_one_file(copied: Path) -> None:
    file = copied / "src" / "alexrepro" / "reports" / "experiments" / "speed.py"
    file.write_text(blocks("add-an-experiment.md", "python")[0], encoding="utf-8")
    run = run_of(copied / "runs", TINY, dataset="ilsvrc2010-miniature", seed=0)
    run.begin(TINY, {"dataset": "ilsvrc2010-miniature"})
    run.add_metrics(
        dict(zip(METRICS, (step, 1, 32, 3.0, 0.01, pace, ""), strict=True))
        for step, pace in ((1, 10.0), (2, 30.0), (3, 50.0))
    )

    told = json.loads(python(copied, "-m", "alexrepro", "report", "speed", "--json"))

    assert [(row["steps"], row["images_per_second"]) for row in told["rows"]] == [(3, 30.0)]
    ends = {Path(name).suffix for name in told["files"] if (copied / name).is_file()}
    assert ends == {".csv", ".md", ".json", ".svg", ".png"}
