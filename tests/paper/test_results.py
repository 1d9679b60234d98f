"""Printed numbers are those of the page, and the logged ones of 2012 rounded; the logs agree with each other."""

from decimal import ROUND_HALF_UP, Decimal

import pytest

from alexrepro.paper import results
from alexrepro.paper.results import EXTRA_DATA, LOGGED, SUPPLIED_DATA, Logged, Reported, ReportedDelta, logged
from alexrepro.recipes.variations import VARIATIONS

# As they stand on the page, in percent; a dash is a dash, or what the text does not say.
PAGE = {
    "sparse-coding": (results.TEST_2010, None, "47.1", "28.2"),
    "sift-fvs": (results.TEST_2010, None, "45.7", "25.7"),
    "cnn": (results.TEST_2010, "ten", "37.5", "17.0"),
    "cnn-center": (results.TEST_2010, "center", "39.0", "18.3"),
    "sift-fvs-2012": (results.TEST_2012, None, "-", "26.2"),
    "1-cnn": (results.VAL_2012, "ten", "40.7", "18.2"),
    "5-cnns": (results.VAL_2012, "ten", "38.1", "16.4"),
    "1-cnn-pretrained": (results.VAL_2012, "ten", "39.0", "16.6"),
    "7-cnns": (results.VAL_2012, "ten", "36.7", "15.4"),
    "5-cnns-test": (results.TEST_2012, "ten", "-", "16.4"),
    "7-cnns-test": (results.TEST_2012, "ten", "-", "15.3"),
    "fall-2009": ("fall2009-half", None, "67.4", "40.9"),
    "fall-2009-before": ("fall2009-half", None, "78.1", "60.9"),
}
IN_THE_TEXT = {
    "one-tower": ("1.7", "1.2"), "no-norm": ("1.4", "1.2"), "non-overlapping-pooling": ("0.4", "0.3"),
    "no-color-shift": ("1.0", "-"), "without-middle-conv": ("2.0", "-"),
}  # fmt: skip
PRINTED_RUNS = (
    (results.CNN_2010, logged("145-2010")),
    (results.CNN_2010_CENTER, logged("145-2010", crops="center")),
    (results.CNN_2012, logged("145")),
    (results.CNN_2012_PRETRAINED, logged("146-2012-2011")),
)
PRINTED_DELTAS = (
    (results.NO_NORM, logged("148"), logged("145")),
    (results.NO_OVERLAP, logged("147"), logged("145")),
    (results.ONE_TOWER, logged("145-half"), logged("145-2010")),
)
# What the name of a submitted file calls a network, and what its log calls it; 145f has no logged result.
MEMBERS = {"141": "141-2009-2012", "146.2009": "146-2012-2009", "146.2011": "146-2012-2011"}


def percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"


def printed(error: float) -> float:
    """A fraction at the precision of the paper: percent with one digit, halves upward."""
    return float(Decimal(str(error)).quantize(Decimal("0.001"), rounding=ROUND_HALF_UP))


def points(changed: Logged, base: Logged) -> tuple[float, float]:
    """Differences of top-1 and top-5 in points."""
    return 100 * (changed.top1_error - base.top1_error), 100 * (changed.top5_error - base.top5_error)


def test_every_printed_error_is_that_of_the_page() -> None:
    found = {r.name: (r.split, r.crops, percent(r.top1_error), percent(r.top5_error)) for r in results.ALL_REPORTED}

    assert found == PAGE
    assert results.FALL_2009.cites.description == "10,184 classes, half of them test"


def test_every_printed_difference_is_that_of_the_text() -> None:
    assert {d.name: (percent(d.top1_delta), percent(d.top5_delta)) for d in results.ALL_DELTAS} == IN_THE_TEXT


def test_a_quoted_error_on_cifar_10_is_the_one_in_the_name() -> None:
    named = {name: quoted for name, quoted in results.QUOTED.items() if name.endswith("pct")}

    assert [f"cifar-{100 * (quoted.top1_error or 0):.0f}pct" for quoted in named.values()] == list(named)


@pytest.mark.parametrize(("reported", "log"), PRINTED_RUNS)
def test_a_printed_error_is_the_logged_one_rounded(reported: Reported, log: Logged) -> None:
    assert (printed(log.top1_error), printed(log.top5_error)) == (reported.top1_error, reported.top5_error)
    assert (log.split, log.crops) == (reported.split, reported.crops)


@pytest.mark.parametrize(("reported", "changed", "base"), PRINTED_DELTAS)
def test_a_printed_difference_is_that_of_two_logged_runs(
    reported: ReportedDelta, changed: Logged, base: Logged
) -> None:
    top1 = printed(round(changed.top1_error - base.top1_error, 6))  # the logs have six digits
    top5 = printed(round(changed.top5_error - base.top5_error, 6))

    assert (top1, top5) == (reported.top1_delta, reported.top5_delta)
    assert (changed.split, base.split, changed.crops, base.crops) == (reported.split, reported.split, "ten", "ten")
    assert (VARIATIONS[reported.name].tests, VARIATIONS[reported.name].logged) == (reported, changed)


def test_logs_of_the_2010_test_split_are_whole_counts_of_150_000_images() -> None:
    six_digits = [entry for entry in LOGGED if entry.config == "145-2010"]
    counts = [150_000 * error for entry in six_digits for error in (entry.top1_error, entry.top5_error)]

    assert max(abs(count - round(count)) for count in counts) <= 0.075  # half of the sixth digit, times 150,000


def test_training_on_from_91_to_135_epochs_lowered_the_logged_errors() -> None:
    (first, longer) = (entry for entry in LOGGED if entry.config == "145")

    assert (first.epochs, longer.epochs) == ("91", "135")
    assert points(longer, first) == pytest.approx((-0.414, -0.22), abs=1e-9)  # five and four digits


def test_the_published_ends_of_others_are_those_of_their_pages() -> None:
    author = [(end.crops, end.top1_error, end.top5_error) for end in results.LATER_AUTHOR]
    theirs = {name: (row.top1_error, row.top5_error) for name, row in results.ZEILER_FERGUS.items()}

    assert author == [("ten", 0.4042, 0.1815), ("center", 0.4255, 0.1981)]
    assert theirs == {
        "replication": (0.405, 0.181), "without-conv3-conv4": (0.454, 0.221), "without-fc7": (0.400, 0.184),
        "without-fc6-fc7": (0.448, 0.224), "without-conv3-conv4-fc6-fc7": (0.713, 0.501), "half-full": (0.417, 0.188),
        "double-full": (0.400, 0.181),
    }  # fmt: skip
    assert set(theirs) - {"replication"} <= set(VARIATIONS)


def test_validation_and_test_of_137_2010_differ_by_up_to_0_18_points() -> None:
    validation, test = (logged("137-2010", split=split) for split in (results.VAL_2010, results.TEST_2010))

    assert points(validation, test) == pytest.approx((0.18, -0.02), abs=1e-9)  # both logs have four digits


@pytest.mark.parametrize(
    ("reported", "submission"),
    [
        (results.CNN_2012_FIVE_TEST, SUPPLIED_DATA),
        (results.CNN_2012_SEVEN_TEST, EXTRA_DATA),
        (results.SIFT_FVS_2012, results.SECOND_BEST),
    ],
)
def test_the_printed_test_errors_of_2012_are_the_submitted_ones(reported: Reported, submission: Reported) -> None:
    assert (reported.top5_error, reported.split) == (round(submission.top5_error, 3), submission.split)


def test_the_winning_average_has_three_pretrained_members_and_four_others() -> None:
    pretrained = [name for name in EXTRA_DATA.members if name in MEMBERS]

    assert pretrained == ["141", "146.2009", "146.2011"]
    assert set(EXTRA_DATA.members) - set(pretrained) == set(SUPPLIED_DATA.members) - {"135"}


def test_the_average_of_five_different_networks_gains_over_its_members() -> None:
    logs = [logged(name) for name in SUPPLIED_DATA.members if name != "145f"]
    mean = [sum(errors) / 4 for errors in zip(*((e.top1_error, e.top5_error) for e in logs), strict=True)]

    assert sorted(SUPPLIED_DATA.members) == ["131", "135", "137", "145", "145f"]
    assert mean == pytest.approx([0.4086, 0.1839], abs=0.5e-4)  # half of the fourth digit
    assert results.CNN_2012_FIVE.top1_error is not None
    assert mean[0] - results.CNN_2012_FIVE.top1_error > 0.027


def test_five_layers_on_autumn_2009_are_two_points_worse_than_the_printed_six() -> None:
    five = [entry.top1_error for entry in LOGGED if entry.split == "fall2009-held-out"]

    above = [100 * (error - (results.FALL_2009.top1_error or 0)) for error in five]

    assert above == pytest.approx([2.0, 2.0], abs=0.05)  # the printed number has one digit


def test_ten_crops_are_better_than_the_center_by_1_5_to_2_4_points() -> None:
    """A slip of a digit in either column would show."""
    pairs = {
        (e.config, e.split): {f.crops: f for f in LOGGED if (f.config, f.split) == (e.config, e.split)} for e in LOGGED
    }

    gains = [points(both["center"], both["ten"])[0] for both in pairs.values() if {"center", "ten"} <= both.keys()]

    assert len(gains) >= 15
    assert [gain for gain in gains if not 1.5 < gain < 2.4] == []


def test_each_result_is_logged_once_with_a_top_5_error_below_top_1_and_a_loss_of_1_5_to_3_5_nats() -> None:
    assert len({(e.config, e.part, e.split, e.crops) for e in LOGGED}) == len(LOGGED)
    assert [e.config for e in LOGGED if not 0 < e.top5_error < e.top1_error < 1] == []
    assert [e.config for e in LOGGED if e.loss is not None and not 1.5 < e.loss < 3.5] == []
