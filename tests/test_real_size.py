"""Limits of memory and time at a size where code that keeps what it has seen exceeds them (docs/results/scale.md)."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from alexrepro.runs.paths import RunPaths
from alexrepro.runs.predictions import About, Predictions, write_predictions

pytestmark = pytest.mark.long

IMAGES = 50_000
ROWS = ["list", "prepare", "plan", "train to", "the last", "evaluate, ", "evaluate two runs", "features"]
LIMITS = {  # MB of the program and of its largest worker, CPU-seconds
    "list and hash the source": (150, 0, 60),
    "prepare": (300, 150, 600),
    "prepare again": (150, 0, 5),
    "evaluate, center crop": (450, 0, 600),
    "evaluate, ten crops": (450, 0, 600),
    "evaluate two runs as one": (450, 0, 600),
    "evaluate two runs, all probabilities": (450, 0, 600),
    "features": (450, 0, 600),
    "the last updates": (600, 0, 10),
}
PLAN_MB = 100
ALL_TRAINING_IMAGES = 1_281_167


def benchmark(name: str) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
        return import_module(name)


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    found = benchmark("rehearsal").Rehearsal(tmp_path_factory.mktemp("rehearsal"), IMAGES, ROWS)
    found.run()
    return found.figures


@pytest.mark.parametrize("name", LIMITS)
def test_a_command_stays_within_its_limits(figures: dict[str, dict[str, Any]], name: str) -> None:
    used, (program_mb, worker_mb, seconds) = figures[name], LIMITS[name]

    assert used["mb"] < program_mb
    assert used["worker_mb"] <= worker_mb
    assert used["cpu_s"] < seconds


def test_the_plan_of_all_of_imagenet_is_small(figures: dict[str, dict[str, Any]]) -> None:
    alone = figures["plan of an epoch"]["mb"]  # of 50,000 images, which is torch's own

    assert figures["plan of an epoch of 14.2 million"]["mb"] - alone < PLAN_MB


def test_two_runs_are_compared_on_all_training_images_in_little_memory(tmp_path: Path) -> None:
    labels = np.arange(ALL_TRAINING_IMAGES) % 1000
    names = pa.chunked_array([[f"n{label:08d}/n{label:08d}_{row}.JPEG" for row, label in enumerate(labels.tolist())]])
    classes = tuple(f"n{label:08d}" for label in range(1000))
    about = About("run", 1, "set-train", "center", "5704e", "9e0ce55", classes, classes)
    top5 = np.zeros((len(labels), 5), np.int32)
    found = Predictions(about, names, labels, top5, top5.astype(np.float32), np.zeros(len(labels)), top5[:, 0])
    for run in ("a", "b"):
        write_predictions(found, RunPaths(tmp_path / run).predictions("set-train", "center"))

    used = benchmark("command_cost").measured([sys.executable, "-m", "alexrepro", "compare", "a", "b"], tmp_path)

    assert used["mb"] < 450
