"""The plan of an epoch: every image once, draws that depend on (seed, epoch) alone."""

from dataclasses import replace

import numpy as np

from alexrepro.data.loading.sampling import Plan, testing_plan, training_plan
from alexrepro.paper.training import Augmentation

AS_RUN = Augmentation(images_per_crop=32, mean="central")


def plan(
    *, seed: int = 1, epoch: int = 1, augmentation: Augmentation = AS_RUN, shuffle_every_epoch: bool = True
) -> Plan:
    return training_plan(
        1000, seed=seed, epoch=epoch, augmentation=augmentation, side_px=224, shuffle_every_epoch=shuffle_every_epoch
    )


def test_every_image_comes_once() -> None:
    assert sorted(plan().order) == list(range(1000))


def test_the_same_seed_and_epoch_give_the_same_plan() -> None:
    one, same = plan(), plan()

    assert all(np.array_equal(getattr(one, name), getattr(same, name)) for name in ("order", "offsets_px", "colors"))


def test_another_epoch_has_other_crops() -> None:
    assert not np.array_equal(plan(epoch=1).offsets_px, plan(epoch=2).offsets_px)


def test_the_2012_order_is_the_same_in_every_epoch() -> None:
    assert np.array_equal(
        plan(epoch=1, shuffle_every_epoch=False).order, plan(epoch=2, shuffle_every_epoch=False).order
    )
    assert not np.array_equal(plan(epoch=1).order, plan(epoch=2).order)


def test_thirty_two_consecutive_images_share_crop_and_mirror_but_not_color() -> None:
    shared = plan()

    assert len(np.unique(shared.offsets_px[:32], axis=0)) == 1
    assert len(np.unique(shared.mirrored[:32])) == 1
    assert len(np.unique(shared.offsets_px, axis=0)) > 16
    assert len(np.unique(shared.colors, axis=0)) == 1000


def test_about_half_of_the_images_are_mirrored() -> None:
    mirrored = plan(augmentation=Augmentation()).mirrored

    assert abs(mirrored.mean() - 0.5) < 4 * 0.5 / 1000**0.5  # four standard errors


def test_color_draws_are_standard_normal_and_new_in_each_epoch() -> None:
    one, other = plan(epoch=1).colors, plan(epoch=2).colors

    assert abs(one.mean()) < 4 / 3000**0.5  # four standard errors, here and below
    assert abs(one.std() - 1) < 4 / 6000**0.5
    assert abs((np.abs(one) < 1).mean() - 0.6827) < 4 * (0.68 * 0.32 / 3000) ** 0.5
    assert not np.intersect1d(one, other).size


def test_offsets_reach_from_0_to_32_in_both_axes() -> None:
    offsets = plan(augmentation=Augmentation()).offsets_px

    assert offsets.min(axis=0).tolist() == [0, 0]
    assert offsets.max(axis=0).tolist() == [32, 32]


def test_without_crops_and_flips_only_the_center_is_seen() -> None:
    still = plan(augmentation=replace(AS_RUN, crops=False, flips=False))

    assert np.unique(still.offsets_px).tolist() == [16]
    assert not still.mirrored.any()


def test_testing_sees_every_image_whole_and_in_order() -> None:
    found = testing_plan(5, side_px=256)

    assert found.order.tolist() == [0, 1, 2, 3, 4]
    assert found.side_px == 256
