"""A run continues on another number of processes: the same images in the same order, and the same weights."""

from dataclasses import replace
from functools import partial
from math import hypot
from pathlib import Path

import numpy as np
import pytest

from alexrepro.data.loading.sampling import training_plan
from alexrepro.data.store.store import Store
from alexrepro.distributed.rank import Rank
from alexrepro.model.alexnet import build
from alexrepro.runs import checkpoint
from alexrepro.runs.checkpoint import Checkpoint
from alexrepro.runs.run import Run, find_runs

from ..ranks import run_ranks
from ..together import NARROW, Leg, train_of_one_rank

EPOCHS, STEPS, IMAGES, BATCH = 5, 20, 40, 13  # batches of 13, 13, 13 and 1 image: most replicas have none of the last
RECIPE = NARROW.shortened(EPOCHS)
JOURNEYS: dict[str, list[Leg]] = {
    "1, 2, 4 and 1 replicas": [Leg(1, "data", 5), Leg(2, "data", 5), Leg(4, "data", 5), Leg(1, "data")],
    "2 × 2, then 1, then 2 towers": [Leg(4, "tower", 7), Leg(1, "data", 6), Leg(2, "tower")],
    "2 × 2, then 2 towers, then 2 replicas": [Leg(4, "tower", 6), Leg(2, "tower", 7), Leg(2, "data")],
}
FIRST, *OTHERS = JOURNEYS
WEIGHTS, UPDATE = 1e-5, 1e-3  # relative to all weights, and to what twenty steps changed of one; sums differ
LAST_DIGITS = 2e-6  # metrics.csv has six of them


def travel(legs: list[Leg], stores: dict[str, Store], runs: Path) -> tuple[Run, dict[int, list[int]]]:
    """The run after all its legs, and the rows of each step, over all replicas in their order."""
    paths = {split: stores[split].path for split in ("train", "val")}
    shown: dict[int, list[int]] = {}
    for leg in legs:
        work = (leg, paths, RECIPE, runs)
        alone = leg.size == 1
        ranks = [train_of_one_rank(Rank(), *work)] if alone else run_ranks(train_of_one_rank, leg.size, *work)
        assert [rank.code for rank in ranks] == [75 if leg.stop_after else 0] * leg.size
        replicas = {rank.shard: rank.shown for rank in ranks}
        for step in ranks[0].shown:
            shown[step] = [row for shard in sorted(replicas) for row in replicas[shard][step]]
    (run,) = find_runs(runs)
    return run, shown


def end_of(run: Run) -> Checkpoint:
    saved = checkpoint.newest(run.checkpoints)
    assert saved is not None
    assert saved.step == STEPS
    return saved


@pytest.fixture(scope="module")
def whole(stores: dict[str, Store], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return travel([Leg(1, "data")], stores, tmp_path_factory.mktemp("whole"))[0]


@pytest.mark.slow
@pytest.mark.parametrize("journey", [FIRST, *(pytest.param(name, marks=pytest.mark.long) for name in OTHERS)])
def test_a_run_goes_on_in_any_number_of_processes(
    stores: dict[str, Store], whole: Run, tmp_path: Path, journey: str
) -> None:
    run, shown = travel(JOURNEYS[journey], stores, tmp_path)

    shuffled = RECIPE.training.shuffle_every_epoch
    plan_of = partial(training_plan, IMAGES, seed=0, augmentation=RECIPE.augmentation, side_px=RECIPE.network.input_px)
    plans = [plan_of(epoch=epoch, shuffle_every_epoch=shuffled).whole().rows for epoch in range(1, EPOCHS + 1)]
    batches = [rows[first : first + BATCH].tolist() for rows in plans for first in range(0, IMAGES, BATCH)]
    assert shown == dict(enumerate(batches))
    expected, found, first = end_of(whole), end_of(run), build(RECIPE.network, seed=0).named_kernels()
    apart = {name: float((found.weights[name] - tensor).norm()) for name, tensor in expected.weights.items()}
    ways = {name: float((tensor - first[name].detach()).norm()) for name, tensor in expected.weights.items()}
    print(f"{journey}: update {max(apart[name] / ways[name] for name in ways):.1e}")
    assert [name for name in ways if apart[name] > UPDATE * ways[name]] == []
    assert hypot(*apart.values()) < WEIGHTS * hypot(*(float(tensor.norm()) for tensor in expected.weights.values()))
    for column in ("step", "epoch", "images", "learning_rate", "top1_error"):
        assert run.metrics[column].equals(whole.metrics[column])
    losses = [each.metrics["loss"] for each in (run, whole)]
    np.testing.assert_allclose(*losses, rtol=0, atol=LAST_DIGITS)
    assert len(run.validations) == EPOCHS


@pytest.mark.slow
@pytest.mark.parametrize("leg", [Leg(2, "data"), pytest.param(Leg(4, "tower"), marks=pytest.mark.long)], ids=str)
def test_a_stop_changes_no_bit_where_the_number_of_processes_stays(
    stores: dict[str, Store], tmp_path: Path, leg: Leg
) -> None:
    straight, _ = travel([leg], stores, tmp_path / "straight")
    stopped, _ = travel([replace(leg, stop_after=6), leg], stores, tmp_path / "stopped")

    one, other = end_of(straight), end_of(stopped)
    for kind in ("weights", "optimizer"):
        for name, tensor in getattr(one, kind).items():
            assert tensor.equal(getattr(other, kind)[name]), f"{kind}: {name}"
    rows = [run.metrics.drop(columns="images_per_second") for run in (straight, stopped)]
    assert rows[0].equals(rows[1])
