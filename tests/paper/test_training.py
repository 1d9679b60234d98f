"""What §4 and §5 print about training, and what follows from it by arithmetic."""

from math import ceil

import pytest

from alexrepro.paper.network import Network
from alexrepro.paper.training import STORED_PX, Augmentation, ColorShift, Plateau, Training


def test_the_defaults_are_the_numbers_of_section_5() -> None:
    training = Training()

    assert (training.batch, training.momentum, training.weight_decay) == (128, 0.9, 0.0005)
    assert (training.rate, training.bias_rate, training.epochs) == (0.01, 0.01, 90)
    assert (training.schedule, Plateau().factor, Plateau().drops) == (Plateau(), 10.0, 3)


def test_no_weight_begins_with_that_of_an_earlier_training() -> None:
    assert Training().begins_with == ()


def test_weights_start_with_one_deviation_in_every_layer() -> None:
    assert {stage.weight_std for stage in Network().stages} == {0.01}


def test_every_layer_learns_at_the_same_rate() -> None:
    assert {stage.rate_factor for stage in Network().stages} == {1.0}


def test_crops_and_mirrors_number_2178_where_2048_is_printed() -> None:
    offsets = Augmentation().last_offset_px + 1

    assert STORED_PX - Network().input_px == Augmentation().last_offset_px == 32
    assert 2 * offsets**2 == 2178
    assert 2 * (offsets - 1) ** 2 == 2048


def test_the_color_shift_has_the_printed_deviation() -> None:
    assert Augmentation().color_shift == ColorShift(std=0.1, divide_by=1.0)


@pytest.mark.parametrize(("images", "updates"), [(1_281_167, 10_010), (1_261_406, 9_855)], ids=["2012", "2010"])
def test_an_epoch_of_2012_has_10_010_updates_and_one_of_2010_has_9_855(images: int, updates: int) -> None:
    assert ceil(images / Training().batch) == updates
