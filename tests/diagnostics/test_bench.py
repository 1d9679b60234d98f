"""The rates of loader and step, and the training time that follows."""

import pytest

from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.diagnostics import bench as benchmark
from alexrepro.diagnostics.bench import bench, estimate, hours_by_precision
from alexrepro.errors import Exit, UserError
from alexrepro.recipes.recipe import Recipe


def test_loader_and_step_are_timed_in_rounds(stores: dict[str, Store], recipe: Recipe, device: Device) -> None:
    found = bench(recipe, stores["train"], device, rounds=2)

    assert list(found) == ["loader", "step"]
    assert all(len(paces) == 2 and min(paces) > 0 for paces in found.values())


def test_images_of_another_size_are_refused(stores: dict[str, Store], recipe: Recipe, device: Device) -> None:
    smaller = recipe.but({"augmentation.stored_px": 224, "network.input_px": 192})

    with pytest.raises(UserError, match="holds images of 256 px") as refused:
        bench(smaller, stores["train"], device, rounds=1)

    assert refused.value.exit_code is Exit.BAD_CONFIG


def test_the_slower_of_loader_and_step_decides_the_time(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "default_workers", lambda: 4)  # 3 epochs of 36,000 images

    loading, stepping = (
        estimate(recipe, {"loader": [9.0, 10.0, 12.0], "step": [step]}, images=36_000) for step in (25.0, 5.0)
    )

    assert (loading.hours, loading.slower, loading.workers, loading.workers_needed) == (3.0, "loader", 4, 10)
    assert (stepping.hours, stepping.slower, stepping.workers_needed) == (6.0, "step", 2)


def test_every_precision_is_timed_and_the_recipes_own_comes_first(
    stores: dict[str, Store], recipe: Recipe, device: Device
) -> None:
    found = hours_by_precision(recipe.but({"training.precision": "tf32"}), stores["train"], device)

    assert list(found) == ["tf32", "float32", "bf16"]
    assert min(found.values()) > 0
