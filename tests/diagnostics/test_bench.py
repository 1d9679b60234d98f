"""The bench: rates beside their limits, and the time that follows from them."""

import pytest

from alexrepro.data.store.store import Store
from alexrepro.device import Machine, find_machine
from alexrepro.diagnostics import bench as engine_bench
from alexrepro.diagnostics.bench import Rate, WireCost, bench, bench_towers, projection, sharing_processes
from alexrepro.distributed.process_group import connect
from alexrepro.distributed.rank import Place
from alexrepro.errors import Exit, UserError
from alexrepro.recipes.as_printed_and_run import AS_RUN_2012
from alexrepro.recipes.recipe import Recipe

from ..ranks import run_ranks
from ..together import NARROW


def rate(part: str, images_per_second: float) -> Rate:
    return Rate(part, images_per_second, images_per_second, images_per_second, "a limit", 2 * images_per_second)


def test_every_part_is_measured_beside_a_limit(stores: dict[str, Store], recipe: Recipe, machine: Machine) -> None:
    parts = ("feed", "step", "evaluate", "prepare")

    found = bench(parts, recipe=recipe, store=stores["train"], machine=machine, rounds=2, updates=1)

    assert [rate.part for rate in found] == list(parts)
    assert all(0 < rate.least <= rate.images_per_second <= rate.most for rate in found)
    assert all(0 < rate.share < 5 for rate in found)  # a limit is measured too, and a shared machine wavers


def test_a_part_that_there_is_not_is_refused(stores: dict[str, Store], recipe: Recipe, machine: Machine) -> None:
    with pytest.raises(UserError, match="no part stride") as refused:
        bench(["stride"], recipe=recipe, store=stores["train"], machine=machine, rounds=1, updates=1)
    assert refused.value.exit_code == Exit.USAGE


def test_the_feed_is_not_measured_on_images_of_another_size(
    stores: dict[str, Store], recipe: Recipe, machine: Machine
) -> None:
    smaller = recipe.but({"augmentation.stored_px": 224, "network.input_px": 192})

    with pytest.raises(UserError, match="holds images of 256 px, cropped; toy wants 224 px") as refused:
        bench(["feed"], recipe=smaller, store=stores["train"], machine=machine, rounds=1, updates=1)
    assert refused.value.exit_code is Exit.BAD_CONFIG


def test_the_slower_of_feed_and_step_decides_the_time(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_bench, "default_workers", lambda: 4)  # 3 epochs of 36,000 images
    fed = projection(recipe, [rate("feed", 10.0), rate("step", 25.0)], images=36_000)
    trained = projection(recipe, [rate("step", 5.0), rate("feed", 10.0)], images=36_000)

    assert fed is not None
    assert trained is not None
    assert (fed.hours, fed.bound, fed.workers, fed.workers_that_would_do) == (3.0, "feed", 4, 10)
    assert (trained.hours, trained.bound, trained.workers_that_would_do) == (6.0, "step", 2)
    assert projection(recipe, [rate("feed", 10.0)], images=36_000) is None


def bench_of_one_rank(place: Place) -> tuple[Rate, WireCost]:
    machine = find_machine("cpu")
    with connect(place, machine, network=NARROW.network, parallel="tower") as cluster:
        return bench_towers(NARROW, cluster=cluster, machine=machine, rounds=2, updates=1)


@pytest.mark.slow
def test_towers_are_measured_beside_the_same_work_without_a_word_between_them() -> None:
    found = run_ranks(bench_of_one_rank, 2)

    values = {
        name: size[0] * size[1] * size[2] for name, size in ((s.name, size) for s, size in NARROW.network.inputs())
    }
    gathered = sum(values[name] for name in ("conv3", "fc6", "fc7", "fc8"))
    for rate, cost in found:
        assert (cost.processes, cost.values) == (2, gathered + NARROW.network.classes)
        assert (cost.bytes_forward, cost.bytes_back) == (4 * cost.values // 2, 4 * gathered // 2)  # float32, half each
        assert 0 < rate.least <= rate.images_per_second <= rate.most
        assert cost.least <= cost.overhead <= cost.most
        assert rate.limit == "the same without communication"


@pytest.mark.parametrize(
    ("recipe", "started", "says"),
    [
        (AS_RUN_2012.but({"network.towers": 1}), 1, "a single tower, which cannot be divided among 2 processes"),
        (AS_RUN_2012, 3, "2 processes share the towers of one network, and 3 were started"),
    ],
)
def test_towers_that_cannot_be_measured_are_refused(recipe: Recipe, started: int, says: str) -> None:
    with pytest.raises(UserError, match=says) as refused:
        sharing_processes(Place(0, started), recipe.network, device="cpu")
    assert refused.value.exit_code == Exit.USAGE


def test_a_single_gpu_cannot_hold_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)

    with pytest.raises(UserError, match="2 processes need a GPU each, and torch can use 1 here") as refused:
        sharing_processes(Place(), AS_RUN_2012.network, device="auto")

    assert refused.value.exit_code == Exit.NO_DEVICE
    assert sharing_processes(Place(), AS_RUN_2012.network, device="cpu") == 2
