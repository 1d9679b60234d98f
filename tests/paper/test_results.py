"""Printed numbers are the noted ones, rounded to the digits of the page."""

from decimal import ROUND_HALF_UP, Decimal

import pytest

from alexrepro.paper import results
from alexrepro.paper.logbook import LOGGED, Logged, logged
from alexrepro.paper.results import ALL_DELTAS, ALL_REPORTED, Reported, ReportedDelta
from alexrepro.recipes.variations import VARIATIONS

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
    "one-tower": ("1.7", "1.2"),
    "no-norm": ("1.4", "1.2"),
    "non-overlapping-pooling": ("0.4", "0.3"),
    "no-color-shift": ("1.0", "-"),
    "without-middle-conv": ("2.0", "-"),
}


def percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f}"


def test_every_printed_error_is_that_of_the_page() -> None:
    found = {r.name: (r.split, r.crops, percent(r.top1_error), percent(r.top5_error)) for r in ALL_REPORTED}

    assert found == PAGE


def test_the_printed_errors_of_fall_2009_name_its_classes() -> None:
    assert results.FALL_2009.cites.description == "10,184 classes, half of them test"


def test_every_printed_difference_is_that_of_the_text() -> None:
    assert {d.name: (percent(d.top1_delta), percent(d.top5_delta)) for d in ALL_DELTAS} == IN_THE_TEXT


def test_a_quoted_error_on_cifar_10_is_the_one_in_the_name() -> None:
    named = {name: quoted for name, quoted in results.QUOTED.items() if name.endswith("pct")}

    assert [f"cifar-{100 * (quoted.top1_error or 0):.0f}pct" for quoted in named.values()] == list(named)


def printed(error: float) -> float:
    """A fraction at the precision of the paper: percent with one digit, halves upward."""
    return float(Decimal(str(error)).quantize(Decimal("0.001"), rounding=ROUND_HALF_UP))


@pytest.mark.parametrize(("reported", "noted"), PRINTED_RUNS, ids=lambda value: getattr(value, "name", ""))
def test_a_printed_error_is_the_noted_one_rounded(reported: Reported, noted: Logged) -> None:
    assert (printed(noted.top1_error), printed(noted.top5_error)) == (reported.top1_error, reported.top5_error)


@pytest.mark.parametrize(("reported", "noted"), PRINTED_RUNS, ids=lambda value: getattr(value, "name", ""))
def test_a_printed_error_has_the_split_and_crops_of_the_note(reported: Reported, noted: Logged) -> None:
    assert (reported.split, reported.crops) == (noted.split, noted.crops)


def test_table_1_prints_0_374727_as_37_5_percent() -> None:
    assert printed(0.374727) == results.CNN_2010.top1_error == 0.375


@pytest.mark.parametrize(("reported", "changed", "base"), PRINTED_DELTAS, ids=lambda value: getattr(value, "name", ""))
def test_a_printed_difference_is_that_of_two_noted_runs(reported: ReportedDelta, changed: Logged, base: Logged) -> None:
    top1 = printed(round(changed.top1_error - base.top1_error, 6))  # the notes have six digits
    top5 = printed(round(changed.top5_error - base.top5_error, 6))

    assert (top1, top5) == (reported.top1_delta, reported.top5_delta)


@pytest.mark.parametrize(("reported", "changed", "base"), PRINTED_DELTAS, ids=lambda value: getattr(value, "name", ""))
def test_the_two_runs_of_a_difference_share_its_split(reported: ReportedDelta, changed: Logged, base: Logged) -> None:
    assert {reported.split, changed.split, base.split} == {reported.split}
    assert changed.crops == base.crops == "ten"


@pytest.mark.parametrize(("reported", "changed", "base"), PRINTED_DELTAS, ids=lambda value: getattr(value, "name", ""))
def test_a_variation_names_the_run_behind_its_difference(
    reported: ReportedDelta, changed: Logged, base: Logged
) -> None:
    variation = VARIATIONS[reported.name]

    assert (variation.tests, variation.logged) == (reported, changed)


def test_notes_of_the_2010_test_split_are_whole_counts_of_150_000_images() -> None:
    six_digits = [entry for entry in LOGGED if entry.config == "145-2010"]
    counts = [150_000 * error for entry in six_digits for error in (entry.top1_error, entry.top5_error)]

    off = [abs(count - round(count)) for count in counts]

    assert max(off) <= 0.075  # half of the sixth digit, times 150,000


def test_every_error_is_a_fraction() -> None:
    errors = [e for r in (*ALL_REPORTED, *LOGGED) for e in (r.top1_error, r.top5_error) if e is not None]

    assert [error for error in errors if not 0 < error < 1] == []


def test_names_of_printed_numbers_are_unique() -> None:
    names = [result.name for result in (*ALL_REPORTED, *ALL_DELTAS)]

    assert len(set(names)) == len(names)


def test_every_printed_number_cites_a_section() -> None:
    assert [r.name for r in (*ALL_REPORTED, *ALL_DELTAS) if not r.cites.source.startswith("§")] == []


def test_the_same_configuration_is_noted_once_for_each_way_of_looking() -> None:
    keys = [(entry.config, entry.part, entry.split, entry.crops) for entry in LOGGED]

    assert len(set(keys)) == len(keys)


# The parameter files of the released code that hold results.
WITH_RESULTS = {
    "inet-5layer-conv94-2gpu", "98-16kinit", "106", "112", "118", "120", "120-2012", "131", "131-2009", "135", "137",
    "141-2009", "145", "145-2010", "145-half", "146-2012-2009", "146-2012-2011", "147", "148", "150", "155", "156",
    "157", "158", "160", "162", "163", "165", "166", "167", "169", "170", "170-256-double", "170-quant", "171", "174",
    "175", "177", "178", "2009-101",
}  # fmt: skip


def test_notes_cite_parameter_files_that_were_released() -> None:
    assert {str(entry.cites.source) for entry in LOGGED} == {f"layer-params-{name}.cfg" for name in WITH_RESULTS}


def test_a_run_on_other_data_cites_the_file_of_its_network() -> None:
    assert logged("137-2010").cites.source == "layer-params-137.cfg"
    assert logged("141-2009-2012").cites.source == "layer-params-141-2009.cfg"
