"""The first run, typed as the page says, and ending as it says; its commands on fewer photos: test_reproduce."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from alexrepro.runs.run import Run, find_runs

from ..program import FIRST_RUN, commands_of

CLASSES = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which every command of the page was typed."""
    folder = tmp_path_factory.mktemp("first-run")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for typed in commands_of(FIRST_RUN):
        subprocess.run(f"alexrepro {typed}", shell=True, cwd=folder, env={**os.environ, "PATH": path}, check=True)
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    (run,) = find_runs(folder / "runs")
    return run


@pytest.mark.long
def test_the_loss_leaves_chance_within_the_first_epochs(run: Run) -> None:
    losses = pd.read_csv(run.metrics_file).groupby("epoch")["loss"].mean()

    assert losses[3] < math.log(CLASSES) - 0.1


@pytest.mark.long
def test_the_table_holds_both_kinds_of_crops_as_other_data(folder: Path) -> None:
    rows = json.loads((folder / "reports" / "table-1.json").read_text(encoding="utf-8"))["rows"]

    measured = {row["crops"]: row for row in rows if row["dataset"] == "ilsvrc2010-miniature"}
    assert set(measured) == {"center", "ten"}
    assert all(row["top1_error"] < 0.3 and "other data" in row["note"] for row in measured.values())
