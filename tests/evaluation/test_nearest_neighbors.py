"""Figure 4's predictions and neighbors against a plain search over all training images."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from alexrepro.data.loading.crops import center_crop
from alexrepro.data.loading.loader import Loader
from alexrepro.data.loading.sampling import Batch, EpochPlan
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import UserError
from alexrepro.evaluation import nearest_neighbors
from alexrepro.evaluation.inference import last_hidden, load_network, load_pixels, read_images
from alexrepro.evaluation.nearest_neighbors import find_neighbors
from alexrepro.recipes.catalog import AS_PRINTED, catalog
from alexrepro.runs.predictions import Neighbors, load_neighbors
from alexrepro.runs.run import Run


def search(run: Run, stores: dict[str, Store], device: Device) -> Neighbors:
    return find_neighbors(run, train=stores["train"], test=stores["test"], device=device)


@torch.no_grad()
def features_of(run: Run, images: np.ndarray, device: Device) -> np.ndarray:
    """The activations of fc2, computed with plain matrix products."""
    model, _ = load_network(run, device)
    mean = load_pixels(run, device).mean_image
    crop = center_crop(torch.from_numpy(images).permute(0, 3, 1, 2).float() - mean, 224)
    kernels = model.stages["fc2"].kernels
    before = model.stages["conv1"](crop, None).flatten(1)
    return (before @ kernels.weight.T + kernels.bias).relu().double().numpy()


def test_the_neighbors_are_those_of_a_plain_search(
    run: Run, stores: dict[str, Store], device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.neighbors import NearestNeighbors  # takes a second of every process of the suite

    monkeypatch.setattr(nearest_neighbors, "BATCH", 7)  # several batches, the last one smaller
    train = stores["train"]

    found = search(run, stores, device)

    queries, others = (
        features_of(run, images, device) for images in (found.queries, read_images(train, range(len(train))))
    )
    distances, rows = NearestNeighbors(n_neighbors=6, algorithm="brute").fit(others).kneighbors(queries)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-3, atol=1e-3)  # float32 against float64
    assert found.neighbor_names == tuple(tuple(train.name(int(row)) for row in line) for line in rows)
    assert found.neighbors.shape == (5, 6, 256, 256, 3)
    kept = load_neighbors(run)
    assert kept is not None
    assert kept.neighbor_names == found.neighbor_names
    assert np.array_equal(kept.neighbors, found.neighbors)


def test_a_search_that_was_interrupted_continues(
    run: Run, stores: dict[str, Store], device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest_neighbors, "BATCH", 7)
    whole, batches = search(run, stores, device), Loader.batches
    monkeypatch.setattr(nearest_neighbors, "SAVE_EVERY_SECONDS", 0.0)
    begun: list[int] = []

    def interrupted(self: Loader, plan: EpochPlan, *, first: int = 0) -> Iterator[Batch]:
        begun.append(first)
        yield from islice(batches(self, plan, first=first), 3 if len(begun) == 1 else None)
        if len(begun) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Loader, "batches", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(run, stores, device)

    found = search(run, stores, device)

    assert begun == [0, 3]
    assert found.neighbor_names == whole.neighbor_names
    np.testing.assert_array_equal(found.distances, whole.distances)
    assert not run.search_file.exists()


def test_the_most_probable_classes_are_found_for_each_of_eight_images(
    run: Run, stores: dict[str, Store], device: Device
) -> None:
    found = search(run, stores, device)

    assert found.top5.shape == (8, 2)  # of two classes
    assert (np.diff(found.probabilities) <= 0).all()
    np.testing.assert_allclose(found.probabilities.sum(1), 1, rtol=1e-6)  # float32


def test_the_shown_images_are_no_queries_and_the_same_for_every_run(stores: dict[str, Store]) -> None:
    shown, queries = nearest_neighbors._rows_drawn(stores["test"])

    assert (len(shown), len(queries), len({*shown, *queries})) == (8, 5, 13)
    assert nearest_neighbors._rows_drawn(stores["test"]) == (shown, queries)


def test_the_last_hidden_stage_is_fc7_whatever_follows_it() -> None:
    assert last_hidden(AS_PRINTED.network) == "fc7"
    assert last_hidden(catalog()["net-146-2011"].recipe.network) == "fc7"  # a linear layer of 2048 stands behind it


def test_a_store_of_other_classes_is_refused(run: Run, stores: dict[str, Store], device: Device) -> None:
    other = Store(stores["test"].path, replace(stores["test"].manifest, classes=("a", "b")))

    with pytest.raises(UserError, match="other classes"):
        search(run, {**stores, "test": other}, device)
