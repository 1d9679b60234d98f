"""The command line on null devices: every path that a GPU takes, its launches, copies, synchronizations and memory."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alexrepro.data.store.store import Store
from alexrepro.recipes.recipe import Recipe

from ..toy import recipe, stores  # noqa: F401 -- fixtures
from .null_gpu import Ended, Event, NullGpu, build, steps

Train = Callable[..., Ended]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("null-gpu"))


@pytest.fixture
def gpu(library: Path, tmp_path: Path) -> NullGpu:
    return NullGpu(library, tmp_path)


@pytest.fixture
def train(gpu: NullGpu, recipe: Recipe, stores: dict[str, Store]) -> Train:  # noqa: F811
    def run(*options: object, device: str = "cuda", change: dict[str, Any] | None = None, **named: Any) -> Ended:
        chosen = recipe.but({"training.schedule": "none", "training.batch": 8, **(change or {})})
        (gpu.folder / "toy.toml").write_text(chosen.to_toml())
        where = () if "--gpus" in options else ("--device", device)
        return gpu.run("train", "toy.toml", "--store", stores["train"].path, *where, *options, **named)

    return run


def kinds(events: list[Event]) -> Counter[str]:
    return Counter(event.kind for event in events)


def test_a_plain_training_waits_for_the_device_only_to_read_losses(train: Train) -> None:
    ended = train("--no-compile")
    assert ended.code == 0, ended.err
    assert "Warning" not in ended.err
    for step in steps(ended.events):
        assert kinds(step)["sync"] == 0
        assert all(event.name == "pinned" for event in step if event.kind == "h2d")
