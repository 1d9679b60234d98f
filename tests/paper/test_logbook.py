"""The noted results agree with each other and with what the paper prints of them."""

import pytest

from alexrepro.paper import results
from alexrepro.paper.logbook import (
    EXTRA_DATA,
    HELD_OUT_2009,
    LOGGED,
    SECOND_BEST,
    SUPPLIED_DATA,
    Logged,
    Submission,
    logged,
)
from alexrepro.paper.results import TEST_2010, VAL_2010, VAL_2012, Reported

LAST_DIGIT = 0.005  # points: half of the last digit of the four that most notes are known with, for each of two
SPLITS = {VAL_2010, TEST_2010, VAL_2012, HELD_OUT_2009}
# What a submitted file calls a network, and what its notes call it; 145f has no noted result.
MEMBERS = {"141": "141-2009-2012", "146.2009": "146-2012-2009", "146.2011": "146-2012-2011"}


def points(changed: Logged, base: Logged) -> tuple[float, float]:
    """Differences of top-1 and top-5 in points."""
    return 100 * (changed.top1_error - base.top1_error), 100 * (changed.top5_error - base.top5_error)


def notes_of(submission: Submission) -> list[Logged]:
    """The noted results of the networks that a submission averages, where there are any."""
    known = {entry.config for entry in LOGGED}
    names = [MEMBERS.get(name, name) for name in submission.members]
    return [logged(name) for name in names if name in known]


@pytest.mark.parametrize(
    ("changed", "base", "expected"),
    [
        (logged("145-half"), logged("145-2010"), (1.695, 1.230)),
        (logged("148"), logged("145"), (1.370, 1.152)),
        (logged("147"), logged("145"), (0.394, 0.300)),
    ],
    ids=["one-tower", "no-norm", "non-overlapping-pooling"],
)
def test_differences_of_notes_are_the_known_ones(changed: Logged, base: Logged, expected: tuple[float, float]) -> None:
    assert points(changed, base) == pytest.approx(expected, abs=LAST_DIGIT)


def test_validation_and_test_of_137_2010_differ_by_up_to_0_18_points() -> None:
    validation, test = (logged("137-2010", split=split) for split in (VAL_2010, TEST_2010))

    assert points(validation, test) == pytest.approx((0.18, -0.02), abs=1e-9)  # both notes have four digits


@pytest.mark.parametrize(
    ("reported", "submission"),
    [
        (results.CNN_2012_FIVE_TEST, SUPPLIED_DATA),
        (results.CNN_2012_SEVEN_TEST, EXTRA_DATA),
        (results.SIFT_FVS_2012, SECOND_BEST),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_printed_test_errors_of_2012_are_the_submitted_ones(reported: Reported, submission: Submission) -> None:
    assert reported.top5_error == round(submission.top5_error, 3)
    assert reported.split == submission.split


def test_the_margin_of_2012_is_10_86_points() -> None:
    margin = 100 * (SECOND_BEST.top5_error - EXTRA_DATA.top5_error)

    assert round(margin, 2) == 10.86


def test_the_winning_average_has_three_pretrained_members_and_four_others() -> None:
    pretrained = [name for name in EXTRA_DATA.members if name in MEMBERS]

    assert pretrained == ["141", "146.2009", "146.2011"]
    assert set(EXTRA_DATA.members) - set(pretrained) == set(SUPPLIED_DATA.members) - {"135"}


def test_the_five_of_the_average_are_not_five_runs_of_one_network() -> None:
    assert sorted(SUPPLIED_DATA.members) == ["131", "135", "137", "145", "145f"]
    assert len({entry.config for entry in notes_of(SUPPLIED_DATA)}) == 4


def test_the_average_of_five_gains_over_its_members() -> None:
    four = notes_of(SUPPLIED_DATA)
    mean = [sum(errors) / 4 for errors in zip(*((e.top1_error, e.top5_error) for e in four), strict=True)]

    assert mean == pytest.approx([0.4086, 0.1839], abs=0.5e-4)  # half of the fourth digit
    assert results.CNN_2012_FIVE.top1_error is not None
    assert mean[0] - results.CNN_2012_FIVE.top1_error > 0.027


def test_five_layers_on_autumn_2009_are_two_points_worse_than_the_printed_six() -> None:
    five = [entry for entry in LOGGED if entry.split == HELD_OUT_2009]

    above = [100 * (entry.top1_error - (results.FALL_2009.top1_error or 0)) for entry in five]

    assert above == pytest.approx([2.0, 2.0], abs=0.05)  # the printed number has one digit


def test_ten_crops_are_better_than_the_center_by_1_5_to_2_4_points() -> None:
    pairs = {
        (e.config, e.split): {f.crops: f for f in LOGGED if (f.config, f.split) == (e.config, e.split)} for e in LOGGED
    }

    gains = [points(both["center"], both["ten"])[0] for both in pairs.values() if {"center", "ten"} <= both.keys()]

    assert len(gains) >= 15
    assert [gain for gain in gains if not 1.5 < gain < 2.4] == []


def test_the_continued_run_is_better_than_the_printed_one() -> None:
    continued = [entry for entry in LOGGED if entry.config == "145" and entry.part == "continued"]

    assert [entry.top1_error < logged("145").top1_error for entry in continued] == [True]


def test_every_note_is_of_a_known_split_and_crops() -> None:
    assert {entry.split for entry in LOGGED} == SPLITS
    assert {entry.crops for entry in LOGGED} == {None, "center", "ten"}


def test_top_5_is_better_than_top_1_and_a_loss_lies_between_1_5_and_3_5_nats() -> None:
    assert [e.config for e in LOGGED if not e.top5_error < e.top1_error] == []
    assert [e.config for e in LOGGED if e.loss is not None and not 1.5 < e.loss < 3.5] == []


def test_a_result_on_another_split_is_found_by_the_split() -> None:
    assert logged("137-2010", split=TEST_2010).top1_error == 0.3762
    assert logged("137-2010").split == VAL_2010


def test_a_configuration_without_a_note_is_an_error() -> None:
    with pytest.raises(KeyError):
        logged("999")
