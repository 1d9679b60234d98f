"""Limits of memory and time at a size where code that keeps what it has seen exceeds them (docs/results/scale.md)."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

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


def rehearsal() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
        return import_module("rehearsal")


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    found = rehearsal().Rehearsal(tmp_path_factory.mktemp("rehearsal"), IMAGES, ROWS)
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
