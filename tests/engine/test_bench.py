"""The bench: rates beside their limits, and the time that follows from them."""

import pytest

from alexrepro.data.store import Store
from alexrepro.engine.bench import Rate, bench, projection
from alexrepro.engine.machine import Machine
from alexrepro.errors import Exit, Refusal
from alexrepro.recipes.recipe import Recipe


def rate(part: str, images_per_second: float) -> Rate:
    return Rate(part, images_per_second, images_per_second, images_per_second, "a limit", 2 * images_per_second)


def test_every_part_is_measured_beside_a_limit(stores: dict[str, Store], recipe: Recipe, machine: Machine) -> None:
    parts = ("feed", "step", "evaluate", "prepare")

    found = bench(parts, recipe=recipe, store=stores["train"], machine=machine, rounds=2, updates=1)

    assert [rate.part for rate in found] == list(parts)
    assert all(0 < rate.least <= rate.images_per_second <= rate.most for rate in found)
    assert all(0 < rate.share < 1.5 for rate in found)  # a limit is measured too, and a shared machine wavers


def test_a_part_that_there_is_not_is_refused(stores: dict[str, Store], recipe: Recipe, machine: Machine) -> None:
    with pytest.raises(Refusal, match="no part stride") as refused:
        bench(["stride"], recipe=recipe, store=stores["train"], machine=machine, rounds=1, updates=1)
    assert refused.value.exit_code == Exit.USAGE


def test_the_slower_of_feed_and_step_decides_the_time(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)  # 3 epochs of 36,000 images
    fed = projection(recipe, [rate("feed", 10.0), rate("step", 25.0)], images=36_000)
    trained = projection(recipe, [rate("step", 5.0), rate("feed", 10.0)], images=36_000)

    assert fed is not None
    assert trained is not None
    assert (fed.hours, fed.bound, fed.workers, fed.workers_that_would_do) == (3.0, "feed", 4, 10)
    assert (trained.hours, trained.bound, trained.workers_that_would_do) == (6.0, "step", 2)
    assert projection(recipe, [rate("feed", 10.0)], images=36_000) is None
