"""The plan of an epoch: every image once, draws that depend on (seed, epoch) alone."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch

from alexrepro.data.loading import sampling
from alexrepro.data.loading.packing import pack, unpack
from alexrepro.data.loading.sampling import (
    Batch,
    Draws,
    EpochPlan,
    evaluation_plan,
    generator,
    shard_of,
    training_plan,
)
from alexrepro.paper.training import Augmentation

AS_RUN = Augmentation(images_per_crop=32, mean="central")
IMAGES = 1000


def draws(*, epoch: int = 1, augmentation: Augmentation = AS_RUN, shuffle_every_epoch: bool = True) -> Draws:
    return plan(epoch=epoch, augmentation=augmentation, shuffle_every_epoch=shuffle_every_epoch).whole()


def plan(*, epoch: int = 1, augmentation: Augmentation = AS_RUN, shuffle_every_epoch: bool = True) -> EpochPlan:
    return training_plan(
        IMAGES, seed=1, epoch=epoch, augmentation=augmentation, side_px=224, shuffle_every_epoch=shuffle_every_epoch
    )


def test_the_same_seed_and_epoch_give_the_same_plan() -> None:
    one, same = draws(), draws()

    assert all(torch.equal(getattr(one, name), getattr(same, name)) for name in ("rows", "offsets", "flips", "colors"))


def test_the_2012_order_is_the_same_in_every_epoch() -> None:
    first, second = (draws(epoch=epoch, shuffle_every_epoch=False).rows for epoch in (1, 2))

    assert torch.equal(first, second)
    assert not torch.equal(draws(epoch=1).rows, draws(epoch=2).rows)
    assert not torch.equal(draws(epoch=1).offsets, draws(epoch=2).offsets)


def test_thirty_two_consecutive_images_share_crop_and_flip_but_not_color() -> None:
    shared = draws()

    assert len(np.unique(shared.offsets[:32], axis=0)) == 1
    assert len(np.unique(shared.flips[:32])) == 1
    assert len(np.unique(shared.offsets, axis=0)) > 16
    assert len(np.unique(shared.colors, axis=0)) == IMAGES


def test_about_half_of_the_images_are_flipped() -> None:
    flips = draws(augmentation=Augmentation()).flips.double()

    assert abs(flips.mean() - 0.5) < 4 * 0.5 / IMAGES**0.5  # four standard errors


def test_color_draws_are_standard_normal_and_new_in_each_epoch() -> None:
    one, other = draws(epoch=1).colors.numpy(), draws(epoch=2).colors.numpy()

    assert abs(one.mean()) < 4 / 3000**0.5  # four standard errors, here and below
    assert abs(one.std() - 1) < 4 / 6000**0.5
    assert abs((np.abs(one) < 1).mean() - 0.6827) < 4 * (0.68 * 0.32 / 3000) ** 0.5
    assert not np.intersect1d(one, other).size


def test_offsets_reach_from_0_to_32_in_both_axes() -> None:
    offsets = draws(augmentation=Augmentation()).offsets

    assert offsets.amin(0).tolist() == [0, 0]
    assert offsets.amax(0).tolist() == [32, 32]


def test_without_crops_and_flips_only_the_center_is_seen() -> None:
    still = draws(augmentation=replace(AS_RUN, crops=False, flips=False))

    assert still.offsets.unique().tolist() == [16]
    assert not still.flips.any()


def test_evaluation_shows_every_image_uncropped_and_in_order() -> None:
    shown = evaluation_plan(5).whole()

    assert shown.rows.tolist() == [0, 1, 2, 3, 4]
    assert not shown.offsets.any()


def test_the_shards_of_a_batch_are_the_batch() -> None:
    shards = [[part.rows.tolist() for _, part in plan().batches(300, shard=(k, 3), first=1)] for k in range(3)]

    whole = [batch.rows.tolist() for _, batch in plan().batches(300)][1:]
    assert [[*chain(*parts)] for parts in zip(*shards, strict=True)] == whole
    assert [len(batch) for batch in whole] == [300, 300, 100]
    assert shard_of(7, (1, 2)) == slice(3, 7)


def test_batches_have_the_draws_of_the_whole_epoch_however_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = generator(1, "views", 1)
    offsets, flips = rng.integers(0, 32, (-(-IMAGES // 32), 2), endpoint=True), rng.random(-(-IMAGES // 32)) < 0.5
    colors = rng.standard_normal((IMAGES, 3), dtype=np.float32)  # all of one kind before the next, as always
    monkeypatch.setattr(sampling, "BLOCK", 100)

    for batch in (7, 32, 250):
        found = [draws for _, draws in plan().batches(batch, first=2)]
        rest = slice(2 * batch, None)
        np.testing.assert_array_equal(torch.cat([each.offsets for each in found]), offsets.repeat(32, 0)[:IMAGES][rest])
        np.testing.assert_array_equal(torch.cat([each.flips for each in found]), flips.repeat(32)[:IMAGES][rest])
        np.testing.assert_array_equal(torch.cat([each.colors for each in found]), colors[rest])


def test_packed_tensors_come_back_as_views_that_kernels_can_read_at_once() -> None:
    tensors = [torch.arange(3), torch.tensor([True]), torch.randn(5, 3), torch.empty(0, 2, dtype=torch.int64)]

    packed = pack(tensors)

    found = unpack(packed, tensors)
    assert all(
        torch.equal(view, tensor) and view.dtype == tensor.dtype for view, tensor in zip(found, tensors, strict=True)
    )
    assert [(view.data_ptr() - packed.data_ptr()) % 16 for view in found[:3]] == [0, 0, 0]
    assert len(packed) == 32 + 16 + 64


def batch_of(images: int, seed: int) -> Batch:
    torch.manual_seed(seed)
    drawn = Draws(
        torch.arange(images), torch.randint(33, (images, 2)), torch.rand(images) < 0.5, torch.randn(images, 3)
    )
    return Batch(seed, drawn, torch.randint(256, (images, 3, 4, 4)).byte(), torch.randint(10, (images,)))


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_batch_takes_over_all_that_a_device_is_given(is_packed: bool) -> None:
    given, own = batch_of(5, 1), batch_of(5, 2).clone()

    own.copy_(given.clone() if is_packed else given)

    assert torch.equal(own.crops, given.crops)
    assert all(torch.equal(one, other) for one, other in zip(own.facts, given.facts, strict=True))
