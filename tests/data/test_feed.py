"""The feed: every position of the plan once, the same batches for any number of threads, damage named."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alexrepro.data.feed import Batch, batch_count, feed
from alexrepro.data.plan import training_plan
from alexrepro.data.prepare import prepare
from alexrepro.data.store import Store
from alexrepro.errors import Refusal
from alexrepro.paper.training import Augmentation

IMAGES = 11


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("pictures") / "a"
    folder.mkdir()
    draws = np.random.default_rng(5)
    for number in range(IMAGES):
        Image.fromarray(draws.integers(0, 256, (256, 256, 3), dtype=np.uint8)).save(folder / f"{number:02d}.png")
    return prepare(folder.parent, out=tmp_path_factory.mktemp("stores"), encoding="raw", processes=1)["train"]


def batches(store: Store, *, threads: int, first: int = 0) -> list[Batch]:
    plan = training_plan(IMAGES, seed=1, epoch=2, augmentation=Augmentation(), side_px=224, reshuffles=True)
    return list(feed(store, plan, batch=4, first=first, threads=threads))


def test_each_image_comes_once_and_the_last_batch_is_smaller(store: Store) -> None:
    found = batches(store, threads=2)

    assert [len(batch) for batch in found] == [4, 4, 3]
    assert batch_count(IMAGES, 4) == 3
    assert sorted(image for batch in found for image in batch.images.tolist()) == list(range(IMAGES))


def test_crops_are_cut_at_the_planned_offsets(store: Store) -> None:
    whole = np.empty((256, 256, 3), dtype=np.uint8)

    for batch in batches(store, threads=1):
        for crop, image, (y, x) in zip(batch.crops, batch.images, batch.offsets_px.tolist(), strict=True):
            store.pixels(int(image), whole)
            assert np.array_equal(crop.permute(1, 2, 0).numpy(), whole[y : y + 224, x : x + 224])


@pytest.mark.parametrize("threads", [2, 7])
def test_the_number_of_threads_changes_nothing(store: Store, threads: int) -> None:
    for one, other in zip(batches(store, threads=1), batches(store, threads=threads), strict=True):
        assert torch.equal(one.crops, other.crops)
        assert torch.equal(one.colors, other.colors)
        assert one.number == other.number


def test_a_feed_can_begin_in_the_middle(store: Store) -> None:
    later, all_of_them = batches(store, threads=2, first=2), batches(store, threads=2)

    assert torch.equal(later[0].crops, all_of_them[2].crops)
    assert len(later) == 1


def test_a_damaged_image_stops_the_feed_and_is_named(store: Store, tmp_path: Path) -> None:
    for file in store.path.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    shard = tmp_path / "shard-00000.arrow"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1  # the images are nearly all of the file
    shard.write_bytes(data)

    with pytest.raises(Refusal, match=r"shard-00000\.arrow, row 5 .*05\.png"):
        batches(Store.open(tmp_path), threads=2)
