"""The toy recipe, its stores, and two runs that differ in the seed."""

import pytest

from alexrepro.runs.run import Run

from ..toy import Train, device, recipe, signals_that_are_heard, stores, toy  # noqa: F401


@pytest.fixture(scope="session")
def pair(toy: Train, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:  # noqa: F811
    runs = tmp_path_factory.mktemp("runs")
    return [toy(runs, validation=None, seed=seed) for seed in (0, 1)]


@pytest.fixture(scope="session")
def run(pair: list[Run]) -> Run:
    return pair[0]
