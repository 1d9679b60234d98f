"""The ranks of a tower pair read every image once between them, and are shown what one process is shown."""

from pathlib import Path
from typing import NamedTuple

import pytest

from alexrepro.data.loading.loader import Loader, Workers
from alexrepro.data.loading.sampling import training_plan
from alexrepro.data.store.decode import Pixels
from alexrepro.data.store.store import Store
from alexrepro.device import find_device
from alexrepro.distributed.process_group import Parallel, ProcessGroup, connect
from alexrepro.distributed.rank import Rank
from alexrepro.paper.training import Augmentation

from ..ranks import run_ranks
from ..together import NARROW

SIDE_PX = 98


class Shown(NamedTuple):
    """What a rank was shown, batch by batch as bytes of crops and labels, and the rows that its workers read."""

    batches: list[tuple[bytes, bytes]]
    read: list[int]


class Watched(Store):
    """A store that records the rows that are read."""

    def image(self, row: int, scratch: Pixels, *, check: bool) -> Pixels:
        self.rows = [*getattr(self, "rows", ()), row]
        return super().image(row, scratch, check=check)


def shown_to(group: ProcessGroup, path: Path, batch: int) -> Shown:
    store = Watched(path, Store.open(path).manifest)
    plan = training_plan(
        len(store), seed=1, epoch=1, augmentation=Augmentation(), side_px=SIDE_PX, shuffle_every_epoch=True
    )
    with Loader(store, batch=batch, side_px=SIDE_PX, parts=group.parts, workers=Workers(1, "threads")) as loader:
        found = [
            (each.crops.permute(0, 2, 3, 1).numpy().tobytes(), each.labels.numpy().tobytes())
            for each in loader.batches(plan)
        ]
    return Shown(found, sorted(getattr(store, "rows", ())))


def of_one_rank(rank: Rank, parallel: Parallel | None, path: Path, batches: list[int]) -> list[Shown]:
    with connect(rank, find_device("cpu"), network=NARROW.network, parallel=parallel) as group:
        return [shown_to(group, path, batch) for batch in batches]


@pytest.fixture(scope="module")
def sizes(stores: dict[str, Store]) -> list[int]:
    images = len(stores["train"])
    assert images == 40
    return [
        8,
        13,
        1,
    ]  # even halves; uneven ones, and a last batch of a single image; batches of fewer images than ranks


def test_two_ranks_of_a_tower_pair_read_half_of_the_images_each(stores: dict[str, Store], sizes: list[int]) -> None:
    path = stores["train"].path
    alone = of_one_rank(Rank(), None, path, sizes)

    both = run_ranks(of_one_rank, 2, "tower", path, sizes)

    for one, first, second in zip(alone, *both, strict=True):
        assert first.batches == one.batches
        assert second.batches == one.batches
        assert sorted(first.read + second.read) == one.read == list(range(40))
    assert [len(rank[0].read) for rank in both] == [20, 20]
