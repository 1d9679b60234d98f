"""Null devices, a process whose forks run the program on them, and trainings of the toy recipe."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from alexrepro.data.store.store import Store
from alexrepro.paper.training import Script
from alexrepro.recipes.recipe import Recipe

from ..toy import recipe, stores  # noqa: F401 -- fixtures
from .null_gpu import Ended, NullGpu, build, forks


@dataclass(frozen=True)
class Train:
    """Trains the toy recipe, or a change of it, in the folder of a null GPU."""

    gpu: NullGpu
    recipe: Recipe
    store: Path

    def __call__(
        self, *options: object, device: str = "cuda", change: dict[str, Any] | None = None, **named: Any
    ) -> Ended:
        chosen = self.recipe.but({"training.schedule": Script(()), "training.batch": 8, **(change or {})})
        (self.gpu.folder / "toy.toml").write_text(chosen.to_toml())
        where = () if "--gpus" in options else ("--device", device)
        return self.gpu.run("train", "toy.toml", "--store", self.store, *where, *options, **named)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The library, built once for all processes of pytest-xdist."""
    place = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        place = place.parent
    with FileLock(place / "null-gpu.lock"):
        return build(place / "null-gpu")


@pytest.fixture(scope="session")
def programs(library: Path) -> Iterator[subprocess.Popen[str]]:
    with forks(library) as process:
        yield process


@pytest.fixture
def gpu(library: Path, programs: subprocess.Popen[str], tmp_path: Path) -> NullGpu:
    return NullGpu(library, tmp_path, programs)


@pytest.fixture
def train(gpu: NullGpu, recipe: Recipe, stores: dict[str, Store]) -> Train:  # noqa: F811
    return Train(gpu, recipe, stores["train"].path)
