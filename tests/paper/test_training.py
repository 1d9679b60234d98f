"""What §4 and §5 print about training, and what follows from it by arithmetic."""

from math import ceil

import pytest

from alexrepro.paper.network import Network
from alexrepro.paper.training import STORED_PX, Augmentation, ColorShift, Plateau, Training


def test_the_defaults_are_the_numbers_of_section_5() -> None:
    assert Training() == Training(
        batch=128,
        momentum=0.9,
        weight_decay=0.0005,
        bias_decay=0.0,
        learning_rate=0.01,
        bias_learning_rate=0.01,
        epochs=90,
        schedule=Plateau(factor=10.0, drops=3, patience_epochs=5),
        init_from_stages=(),
        shuffle_every_epoch=True,
        precision="float32",
    )


def test_weights_start_with_one_deviation_in_every_layer() -> None:
    assert {stage.weight_std for stage in Network().stages} == {0.01}


def test_every_layer_learns_at_the_same_rate() -> None:
    assert {stage.learning_rate_factor for stage in Network().stages} == {1.0}


def test_crops_and_mirrors_number_2178_where_2048_is_printed() -> None:
    offsets = Augmentation().last_offset_px + 1

    assert STORED_PX - Network().input_px == Augmentation().last_offset_px == 32
    assert 2 * offsets**2 == 2178
    assert 2 * (offsets - 1) ** 2 == 2048


def test_the_defaults_are_the_text_of_sections_2_and_4() -> None:
    assert Augmentation() == Augmentation(
        crops=True, flips=True, last_offset_px=32, images_per_crop=1, stored_px=256, square="cropped", mean="aligned",
        color_shift=ColorShift(std=0.1, reading="deviation", divide_by=1.0),
    )  # fmt: skip


@pytest.mark.parametrize(("images", "updates"), [(1_281_167, 10_010), (1_261_406, 9_855)], ids=["2012", "2010"])
def test_an_epoch_of_2012_has_10_010_updates_and_one_of_2010_has_9_855(images: int, updates: int) -> None:
    assert ceil(images / Training().batch) == updates
