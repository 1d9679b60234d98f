"""A store of planes: the same crops, whether the loader's workers or the device turn planes into RGB."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from alexrepro.data.loading.crops import Pixels, rgb_crops, training_crops
from alexrepro.data.loading.kept import KeptImages
from alexrepro.data.loading.loader import Loader, Workers
from alexrepro.data.loading.sampling import Batch, Parts, evaluation_plan, training_plan
from alexrepro.data.store.planes import window_shape
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.data.store.store import Store
from alexrepro.paper.training import Augmentation

from ..store.folders import write_images

SIDE = 224
PLAN = training_plan(6, seed=1, epoch=1, augmentation=Augmentation(), side_px=SIDE, shuffle_every_epoch=True)


class InPlace:
    """Stands for copies to a device: gives the loader's own memory."""

    device = torch.device("cpu")

    def room(self, image_bytes: int) -> int:
        return 0

    def begin(self, slots: NDArray[np.uint8], most: int, kept: KeptImages | None) -> None:
        assert kept is None

    def copied(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        return batches

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("planes")
    return prepare(
        write_images(folder / "images"), out=folder / "stores", workers=1, options=Options(encoding="planes")
    )["train"]


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_windows_of_planes_hold_the_crops_that_workers_cut(store: Store, kind: str) -> None:
    with (
        Loader(store, batch=4, side_px=SIDE, workers=Workers(1, "threads")) as plain,
        Loader(store, batch=4, side_px=SIDE, copies=InPlace(), workers=Workers(2, kind)) as loader,
    ):
        pairs = list(zip(plain.batches(PLAN), loader.batches(PLAN), strict=True))
    assert len(pairs) == 2
    for expected, found in pairs:
        assert found.crops.shape == (len(expected), *window_shape(SIDE))
        assert torch.equal(rgb_crops(found), expected.crops)


def test_training_sees_the_same_crops_of_either(store: Store) -> None:
    pixels = Pixels(torch.from_numpy(store.mean_image()), torch.tensor([0.2, 0.1, 0.05]), torch.eye(3))
    found = []
    for copies in (None, InPlace()):
        with Loader(store, batch=6, side_px=SIDE, copies=copies, workers=Workers(1)) as loader:
            batch = next(loader.batches(PLAN))
            found.append(training_crops(batch, pixels=pixels, augmentation=Augmentation()))
    assert torch.equal(*found)


def test_an_evaluation_sees_the_stored_images(store: Store) -> None:
    with Loader(store, batch=6, side_px=store.side_px, copies=InPlace(), workers=Workers(1)) as loader:
        images = rgb_crops(next(loader.batches(evaluation_plan(len(store)))))
    assert np.array_equal(
        images.permute(0, 2, 3, 1).numpy(), np.stack([store.pixels(row) for row in range(len(store))])
    )


def test_processes_that_share_the_reading_exchange_planes(store: Store) -> None:
    read: list[torch.Tensor] = []

    def gathered(own: torch.Tensor) -> torch.Tensor:
        read.append(own.clone())
        return torch.cat([*read, torch.zeros_like(own)])[: 2 * len(own)]

    found = []
    for part in (0, 1):
        parts = Parts(read=(part, 2), gather=gathered)
        with Loader(store, batch=5, side_px=SIDE, parts=parts, copies=InPlace(), workers=Workers(1)) as loader:
            found = [rgb_crops(batch) for batch in loader.batches(PLAN)][:1]
        del read[1:]
    with Loader(store, batch=5, side_px=SIDE, workers=Workers(1, "threads")) as loader:
        assert torch.equal(found[0], next(loader.batches(PLAN)).crops)
