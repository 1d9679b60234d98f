"""The toy recipe, its stores, and two runs that differ in the seed."""

import pytest

from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs.run import Run
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train

from ..toy import device, recipe, signals_that_are_heard, stores, toy  # noqa: F401


@pytest.fixture(scope="session")
def pair(
    stores: dict[str, Store],  # noqa: F811
    recipe: Recipe,  # noqa: F811
    device: Device,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Run]:
    runs = tmp_path_factory.mktemp("runs")
    return [
        train(TrainingJob(recipe, store=stores["train"], validation=None, runs=runs, seed=seed, device=device))
        for seed in (0, 1)
    ]


@pytest.fixture(scope="session")
def run(pair: list[Run]) -> Run:
    return pair[0]
