"""Tables 1 and 2 as the paper prints them, CIFAR-10, and which measurements appear next to them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from alexrepro.paper import results
from alexrepro.paper.results import EXTRA_DATA, SUPPLIED_DATA
from alexrepro.recipes.catalog import AS_RUN_2010, AS_RUN_2012, TINY, find_recipe
from alexrepro.reports.experiments import Evidence, find, render
from alexrepro.reports.experiments.table_1 import CIFAR
from alexrepro.reports.experiments.table_2 import AVERAGES, OF_FILES
from alexrepro.runs.evaluation import Evaluation

Make = Callable[..., Evaluation]
FIVE, SEVEN = (average.label for average in AVERAGES[::2])


def rows(source: str, *evaluations: Evaluation, ensembles: tuple[Evaluation, ...] = (), table: str = "table-2") -> Any:
    found = render(find(table), Evidence(evaluations=evaluations, ensembles=ensembles)).table.as_dict()["rows"]
    return [row for row in found if row["source"] == source]


@pytest.mark.parametrize(
    ("table", "printed"),
    [
        ("table-1", [
            ("Sparse coding", results.TEST_2010, 0.471, 0.282),
            ("SIFT + FVs", results.TEST_2010, 0.457, 0.257),
            ("CNN", results.TEST_2010, 0.375, 0.170),
        ]),
        ("table-2", [
            ("SIFT + FVs", results.TEST_2012, None, 0.262),
            ("1 CNN", results.VAL_2012, 0.407, 0.182),
            ("5 CNNs", results.VAL_2012, 0.381, 0.164),
            ("1 CNN*", results.VAL_2012, 0.390, 0.166),
            ("7 CNNs*", results.VAL_2012, 0.367, 0.154),
            ("5 CNNs, test", results.TEST_2012, None, 0.164),
            ("7 CNNs*, test", results.TEST_2012, None, 0.153),
        ]),
    ],
)  # fmt: skip
def test_a_table_has_the_printed_rows(table: str, printed: list[tuple[object, ...]]) -> None:
    found = rows("reported", table=table)

    assert [(row["label"], row["split"], row["top1_error"], row["top5_error"]) for row in found] == printed


def test_the_footnote_appears_next_to_the_center_crop_only(evaluation: Make) -> None:
    ten = evaluation(AS_RUN_2010, split=results.TEST_2010, images=150_000)
    center = replace(ten, crops="center", top1_correct=91_500)

    ten_row, center_row = rows("measured", center, ten, table="table-1")

    assert (ten_row["crops"], ten_row["reported_top1_error"]) == ("ten", 0.375)
    assert (center_row["crops"], center_row["reported_top1_error"]) == ("center", 0.390)
    assert center_row["reported_cites"] == "§6: footnote 5"


def test_an_average_of_five_seeds_is_compared_with_five_cnns(averaged: Make) -> None:
    five = averaged([AS_RUN_2012] * 5, split=results.VAL_2012, top1_correct=30_950, top5_correct=41_800)

    by_label = {row["label"]: row for row in rows("measured", ensembles=(five,))}

    assert (by_label[FIVE]["reported_top5_error"], by_label[FIVE]["verdict"]) == (0.164, "reproduced")
    assert by_label[FIVE]["note"] == "members: 5 × as-run-2012"
    by_file = by_label["5 CNNs, as the submitted file is named"]
    assert by_file["note"].startswith("145f sees whole images")
    assert by_file["note"].endswith("submitted: 16.4 % top-5 on ilsvrc2012-test")
    assert by_label[SEVEN]["note"].startswith("some members are pre-trained")


@pytest.mark.parametrize(("count", "changes"), [(4, {}), (5, {"crops": "center"})])
def test_another_average_has_no_published_number(averaged: Make, count: int, changes: dict[str, Any]) -> None:
    other = averaged([AS_RUN_2012] * count, split=results.VAL_2012, **changes)

    assert {row["reported_top1_error"] for row in rows("measured", ensembles=(other,))} == {None}


def test_an_average_of_shortened_members_is_labeled(averaged: Make) -> None:
    five = averaged([AS_RUN_2012.shortened(9)] * 5, split=results.VAL_2012)

    found = next(row for row in rows("measured", ensembles=(five,)) if row["label"] == FIVE)

    assert found["verdict"] == "not comparable"
    assert found["note"].startswith("shortened to 9 of 90 epochs")


def test_the_printed_averages_are_of_five_networks_and_of_the_same_five_with_two_more() -> None:
    five = {"as-run-2012": 5}

    assert [Counter(average.members) for average in AVERAGES[::2]] == [five, {**five, "net-146-2012-2011": 2}]
    for average, submission in ((AVERAGES[1], SUPPLIED_DATA), (AVERAGES[3], EXTRA_DATA)):
        assert average.members == tuple(OF_FILES[name] for name in submission.members)


def test_the_miniature_is_other_data_alone_and_averaged(evaluation: Make, averaged: Make) -> None:
    split = "ilsvrc2010-miniature-test"
    average = averaged([TINY, TINY], split=split, images=500)

    found = rows("measured", evaluation(TINY, split=split, images=500), ensembles=(average,))[-2:]

    assert [row["note"] for row in found] == ["other data", "other data; members: 2 × tiny"]
    assert all(row["reported_top1_error"] is None for row in found)


def test_missing_are_five_trainings_and_their_average_but_nothing_impossible() -> None:
    commands = render(find("table-2"), Evidence()).missing

    assert commands[:2] == ["alexrepro prepare /path/ILSVRC2012", "alexrepro train as-run-2012 --store ilsvrc2012"]
    assert commands.count("alexrepro train as-run-2012 --store ilsvrc2012 --seed 4") == 1
    assert commands[-1].count("runs/as-run-2012-") == 5
    assert not any("net-146" in command for command in commands)


def test_a_network_on_cifar_10_is_compared_with_the_error_that_its_file_quotes(evaluation: Make) -> None:
    quick = find_recipe("cifar-18pct")
    one = evaluation(quick, split=results.CIFAR_TEST, crops="center", images=10_000, top1_correct=8_190, classes=10)
    seeds = (one, replace(one, seed=1, run="elsewhere", top1_correct=8_210))

    found = {row["recipe"]: row for row in rows("measured", *seeds, table="cifar")}

    row = found.pop("cifar-18pct")
    assert (row["top1_error"], row["reported_top1_error"], row["seeds"]) == (0.18, 0.18, 2)
    assert row["verdict"] == "reproduced"
    assert {name: row["verdict"] for name, row in found.items()} == dict.fromkeys({*CIFAR} - {quick.name}, "not run")
    commands = render(find("cifar"), Evidence(evaluations=seeds)).missing
    assert "alexrepro train cifar-13pct --store cifar10" in commands
    assert "alexrepro train cifar-18pct --store cifar10" not in commands
    assert sum(command.endswith("--ten-crop") for command in commands) == 3  # 13pct with and without norms, 11pct
