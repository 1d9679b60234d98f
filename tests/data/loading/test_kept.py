"""Images kept in a device's memory: the same crops, and from the second epoch on only the rest is read."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from alexrepro.data.loading.kept import KeptImages
from alexrepro.data.loading.loader import Loader, Workers
from alexrepro.data.loading.sampling import Batch, EpochPlan, Parts, training_plan
from alexrepro.data.store.decode import Pixels
from alexrepro.data.store.store import Store
from alexrepro.paper.training import Augmentation

from .test_loader import IMAGES, make_store

SIDE_PX = 224


class Watched(Store):
    """A store that records the rows that are read."""

    def image(self, row: int, scratch: Pixels, *, check: bool) -> Pixels:
        self.rows = [*getattr(self, "rows", ()), row]
        return super().image(row, scratch, check=check)

    def read(self) -> list[int]:
        """The rows that were read since the last call, sorted."""
        found, self.rows = sorted(getattr(self, "rows", ())), []
        return found


class CpuCopies:
    """Stands in for a GPU with room for some images, in host memory."""

    device = torch.device("cpu")

    def __init__(self, images: int) -> None:
        self.images = images

    def room(self, image_bytes: int) -> int:
        assert image_bytes == 256 * 256 * 3
        return self.images

    def begin(self, slots: NDArray[np.uint8], most: int, kept: KeptImages | None) -> None:
        self.kept = kept

    def copied(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            yield self.kept.cut(batch) if self.kept else batch

    def close(self) -> None:
        self.kept = None


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("kept")).path


@pytest.fixture
def store(path: Path) -> Watched:
    return Watched(path, Store.open(path).manifest)


def plan_of(epoch: int, *, shuffle: bool = False) -> EpochPlan:
    return training_plan(
        IMAGES, seed=1, epoch=epoch, augmentation=Augmentation(), side_px=SIDE_PX, shuffle_every_epoch=shuffle
    )


def open_loader(store: Store, room: int, *, parts: Parts | None = None) -> Loader:
    threads = Workers(2, "threads")
    return Loader(store, batch=4, side_px=SIDE_PX, parts=parts, copies=CpuCopies(room), workers=threads)


def assert_cut_as_planned(store: Store, found: list[Batch], plan: EpochPlan) -> None:
    stored = Store.open(store.path)
    assert torch.equal(torch.cat([batch.draws.rows for batch in found]), plan.whole().rows)
    assert torch.equal(torch.cat([batch.draws.colors for batch in found]), plan.whole().colors)
    for batch in found:
        assert batch.labels.tolist() == store.labels[batch.draws.rows.numpy()].tolist()
        for crop, row, (y, x) in zip(batch.crops, batch.draws.rows, batch.draws.offsets.tolist(), strict=True):
            whole = stored.pixels(int(row))
            assert np.array_equal(crop.permute(1, 2, 0).numpy(), whole[y : y + SIDE_PX, x : x + SIDE_PX])


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("room", [0, 3, 6, IMAGES, 100])
def test_crops_are_the_same_however_many_images_are_kept(store: Watched, room: int, shuffle: bool) -> None:
    with open_loader(store, room) as loader:
        for epoch in (1, 2, 3):
            plan = plan_of(epoch, shuffle=shuffle)
            found = list(loader.batches(plan))
            assert_cut_as_planned(store, found, plan)


@pytest.mark.parametrize("room", [0, 3, IMAGES])
def test_later_epochs_read_what_had_no_room(store: Watched, room: int) -> None:
    rows = plan_of(1).whole().rows.tolist()
    with open_loader(store, room) as loader:
        read = []
        for epoch in (1, 2, 3):
            list(loader.batches(plan_of(epoch)))
            read.append(store.read())

    assert read == [sorted(rows), sorted(rows[room:]), sorted(rows[room:])]


def test_an_epoch_that_is_left_keeps_what_it_has_shown(store: Watched) -> None:
    with open_loader(store, IMAGES) as loader:
        next(loader.batches(plan_of(1)))
        found = list(loader.batches(plan_of(2)))
        assert_cut_as_planned(store, found, plan_of(2))
        store.read()
        list(loader.batches(plan_of(3)))

        assert store.read() == []


def test_a_reader_keeps_its_part_of_each_batch(store: Watched, path: Path) -> None:
    parts = Parts(read=(1, 2), gather=lambda own: torch.cat([torch.zeros_like(own), own]))
    whole, read = Store.open(path), []
    with open_loader(store, IMAGES, parts=parts) as loader:
        for epoch in (1, 2):
            for batch in loader.batches(plan_of(epoch)):
                last, (y, x) = int(batch.draws.rows[-1]), batch.draws.offsets[-1].tolist()
                crop = whole.pixels(last)[y : y + SIDE_PX, x : x + SIDE_PX]
                assert np.array_equal(batch.crops[-1].permute(1, 2, 0).numpy(), crop)
            read.append(len(store.read()))

    assert read == [2 + 2 + 2, 0]  # of batches of 4, 4 and 3
