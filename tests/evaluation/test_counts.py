"""Counting on any number of ranks, in batches of any size: every image once, and the same whole numbers."""

import os
import threading
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from alexrepro.data.loading.crops import Pixels
from alexrepro.data.store.manifest import Manifest, Shard, sha256_of
from alexrepro.data.store.store import Store
from alexrepro.device import find_device
from alexrepro.distributed.process_group import Parallel, ProcessGroup, connect
from alexrepro.distributed.rank import Rank
from alexrepro.evaluation import inference
from alexrepro.evaluation.evaluate import count
from alexrepro.evaluation.inference import EvaluationJob, Model, scored_batches
from alexrepro.evaluation.metrics import Counts
from alexrepro.files import sha256_of_file
from alexrepro.model.alexnet import AlexNet, build
from alexrepro.paper.network import Network, Stage
from alexrepro.recipes.recipe import Recipe

from ..data.store.folders import write_shard
from ..ranks import run_ranks

SIDE_PX, CLASSES = 6, 12  # so small that 50,000 images are counted in a second
GRIDS: list[tuple[int, Parallel]] = [(1, "data"), (2, "data"), (3, "data"), (4, "data"), (4, "tower")]
REPLICAS = [(ranks, parallel) for ranks, parallel in GRIDS if parallel == "data"]
STAGES = (Stage("fc1", kind="full", maps=CLASSES, reads="both", weight_std=0.01, order=()),)
RECIPE = Recipe(name="linear", network=Network(stages=STAGES)).but({"network.input_px": SIDE_PX})
Counted = tuple[tuple[int, int], list[int], Counts]


def noise_store(folder: Path, images: int) -> Store:
    """A labeled store of small images of noise."""
    generator = np.random.default_rng(images)
    pixels = generator.integers(0, 256, (images, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    labels = generator.integers(0, CLASSES, images)
    folder.mkdir()
    rows = [square.tobytes() for square in pixels], labels.tolist(), [f"{i}" for i in range(images)]
    write_shard(folder / "shard-00000.arrow", *rows)
    names = tuple(f"class {number}" for number in range(CLASSES))
    shard = Shard("shard-00000.arrow", images, sha256_of_file(folder / "shard-00000.arrow"))
    manifest = Manifest(
        "noise", "val", images, names, names, None, True, "raw", "none", "drawn", "drawn", {}, (shard,), (),
        sha256_of(labels.astype("<i8").tobytes()), {}, SIDE_PX,
    )  # fmt: skip
    (folder / "manifest.json").write_text(manifest.text())
    return Store.open(folder)


@cache
def network() -> tuple[AlexNet, Pixels]:
    return build(RECIPE.network, seed=0), Pixels(torch.full((3, SIDE_PX, SIDE_PX), 128.0), torch.ones(3), torch.eye(3))


def job(store: Store, group: ProcessGroup) -> EvaluationJob:
    model, pixels = network()
    models = [Model(model.held_by(group.towers), RECIPE, pixels)]
    return EvaluationJob(models, store, "center", find_device("cpu"), group)


def counted(group: ProcessGroup, store: Store, batch: int) -> Counted:
    """The replica of this rank, the rows that it saw in batches of this size, and the counts of all ranks."""
    inference.BATCH, before = batch, inference.BATCH
    try:
        rows = [int(row) for scored in scored_batches(job(store, group)) for row in scored.batch.draws.rows]
        found = count(job(store, group))
    finally:
        inference.BATCH = before
    found = found._replace(loss_sum=round(found.loss_sum, 3))  # the one sum that is not of whole numbers
    return group.shard, rows, found


def counted_by_one_rank(rank: Rank, parallel: Parallel, work: list[tuple[Path, int]]) -> list[Counted]:
    with connect(rank, find_device("cpu"), network=RECIPE.network, parallel=parallel) as group:
        return [counted(group, Store.open(store), batch) for store, batch in work]


def check(stores: list[Store], batches: list[int], ranks: int, parallel: Parallel) -> None:
    work = [(store.path, batch) for store in stores for batch in batches]
    asked = (parallel, work)

    found = run_ranks(counted_by_one_rank, ranks, *asked) if ranks > 1 else [counted_by_one_rank(Rank(), *asked)]

    expected = {store.path: counted(ProcessGroup(), store, len(store))[2] for store in stores}
    for number, (path, batch) in enumerate(work):
        rows = dict(rank[number][:2] for rank in found)  # by replica
        seen = sorted(row for each in rows.values() for row in each)
        assert seen == list(range(expected[path].images)), (path, batch)
        assert {rank[number][2] for rank in found} == {expected[path]}, (path, batch)
    for counts in expected.values():
        assert counts.images < 300 or 0 < counts.top1_correct < counts.top5_correct < counts.images


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ranks", "parallel"), [g if g != (4, "data") else pytest.param(*g, marks=pytest.mark.long) for g in GRIDS]
)
def test_counts_are_the_same_on_any_grid_of_ranks(tmp_path: Path, ranks: int, parallel: Parallel) -> None:
    sizes = {1, ranks + 1, 65, 301}

    check([noise_store(tmp_path / f"{size}", size) for size in sizes], [1, 7, 64], ranks, parallel)


def loader_threads_of_one_rank(rank: Rank, store: Path) -> int:
    """The most loader threads in the validation of a rank on a host of 16 processors."""
    os.sched_getaffinity = lambda _: set(range(16))
    inference.BATCH, device, seen = 1, find_device("cpu"), [0]
    with connect(rank, device, network=RECIPE.network, parallel="data") as group:
        count(
            job(Store.open(store), group),
            after_batch=lambda: seen.append(sum(thread.name.startswith("loader-") for thread in threading.enumerate())),
        )
    return max(seen)


@pytest.mark.slow
def test_the_ranks_of_a_host_share_its_processors_in_a_validation(tmp_path: Path) -> None:
    found = run_ranks(loader_threads_of_one_rank, 2, noise_store(tmp_path / "noise", 65).path)

    assert found == [7, 7]  # of the eight processors of each rank, one trains


@pytest.mark.long
@pytest.mark.parametrize("images", [50_000, 49_999])
@pytest.mark.parametrize(("ranks", "parallel"), REPLICAS)
def test_a_validation_set_is_counted_exactly(tmp_path: Path, ranks: int, parallel: Parallel, images: int) -> None:
    check([noise_store(tmp_path / "many", images)], [5, 50, 63, 64], ranks, parallel)
    check([noise_store(tmp_path / "few", 65 + ranks)], list(range(1, 65)), ranks, parallel)
