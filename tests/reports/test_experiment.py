"""What finished runs answer, what they do not, and which commands are missing."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from alexrepro.cli.app import app
from alexrepro.paper import results
from alexrepro.paper.citation import Citation
from alexrepro.recipes.catalog import AS_RUN_2010, AS_RUN_2012, TINY, find_recipe
from alexrepro.recipes.variations import find_variation
from alexrepro.reports.experiments import Evidence, Experiment, experiments, find, render
from alexrepro.reports.tables.measured import Needs
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.run import run_of

NEEDS = Needs("as-run-2010", results.TEST_2010, "ten", reported=results.CNN_2010)
QUESTION = Experiment("question", "A question", Citation("§6"), needs=(NEEDS,), reported=(results.CNN_2010,))
NAMED = f"as-run-2010-{AS_RUN_2010.digest}"
FOLDER = f"runs/as-run-2010-{AS_RUN_2010.digest}/ilsvrc2010-seed-0"
CALCULATED = {"parameters", "figure-2", "fall-2009"}  # from recipes alone, or of data that nobody can get


@pytest.fixture
def miniature(evaluation: Callable[..., Evaluation]) -> Evaluation:
    """`tiny` on the miniature."""
    return evaluation(TINY, split="ilsvrc2010-miniature-test", images=500)


def measured(*evaluations: Evaluation) -> list[dict[str, Any]]:
    reported, *rows = render(QUESTION, Evidence(evaluations=evaluations)).table.as_dict()["rows"]
    assert (reported["source"], {row["source"] for row in rows}) == ("reported", {"measured"})
    return rows


def test_a_full_run_has_the_published_number_next_to_it(full: Evaluation) -> None:
    (row,) = measured(full)

    assert (row["top1_error"], row["reported_top1_error"], row["note"]) == (0.38, 0.375, "")
    assert (row["cites"], row["reported_cites"]) == (FOLDER, "§6: Table 1")
    assert render(QUESTION, Evidence(evaluations=(full,))).missing == []


def test_seeds_are_one_row_and_each_counts_once(full: Evaluation) -> None:
    few = replace(full, seed=2, images=1_000, top1_correct=600, top5_correct=800)

    row, other = measured(full, replace(full, seed=1, top1_correct=94_500), replace(full, top1_correct=1), few)

    assert (row["seeds"], row["top1_error"]) == (2, pytest.approx(0.375, abs=1e-15))  # rounding only
    assert (row["images"], other["images"], other["seeds"]) == (150_000, 1_000, 1)


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"digest": AS_RUN_2010.shortened(9).digest, "epochs": 9}, "shortened to 9 of 92 epochs"),
        ({"epochs": 40}, "shortened to 40 of 92 epochs"),  # unfinished
        ({"digest": "abcdef", "epochs": 9}, f"shortened to 9 of 92 epochs; changed: abcdef is not {NAMED}"),
        ({"digest": "abcdef"}, f"changed: abcdef is not {NAMED}"),
    ],
)
def test_a_shortened_or_changed_run_is_no_answer_and_says_why(
    full: Evaluation, changes: dict[str, Any], note: str
) -> None:
    not_run, row = measured(replace(full, **changes), replace(full, recipe="as-run-2010+no-norm"))

    assert (not_run["label"], not_run["verdict"]) == ("as-run-2010", "not run")
    assert {not_run[name] for name in ("seeds", "images", "top1_error", "reported_top1_error", "interval")} == {None}
    assert (row["verdict"], row["note"]) == ("not comparable", note)


def test_other_data_has_no_published_number_and_shows_the_center_too(miniature: Evaluation) -> None:
    short = replace(miniature, crops="center", digest=TINY.shortened(2).digest, epochs=2)

    _, ten, center = measured(short, miniature)

    assert (ten["dataset"], ten["label"], ten["note"]) == ("ilsvrc2010-miniature", "tiny", "other data")
    assert (ten["crops"], center["crops"], ten["reported_top1_error"]) == ("ten", "center", None)
    assert center["note"] == "shortened to 2 of 13 epochs; other data"
    assert len(measured(replace(miniature, recipe="cifar-80sec"))) == 1  # another network is not shown


def test_the_paper_s_network_has_as_many_classes_as_the_data_set(full: Evaluation) -> None:
    found = replace(full, recipe="as-run-2012", digest=AS_RUN_2012.for_classes(100).digest, epochs=90,
                    dataset="tiny-imagenet", split="tiny-imagenet-val", classes=100)  # fmt: skip

    assert measured(found)[1]["note"] == "other data"
    assert measured(replace(found, classes=None))[1]["note"].startswith("changed: ")


def test_missing_measurements_are_the_commands_that_make_them(full: Evaluation, miniature: Evaluation) -> None:
    elsewhere = replace(full, run="my runs/as-run-2010-ca8da4/ilsvrc2010-seed-0", crops="center")

    assert render(QUESTION, Evidence(evaluations=(miniature,))).missing == [
        "alexrepro prepare /path/ILSVRC2010",
        "alexrepro train as-run-2010 --store ilsvrc2010",
        f"alexrepro evaluate {FOLDER} --ten-crop",
    ]
    assert render(QUESTION, Evidence(evaluations=(elsewhere,))).missing == [  # trained already
        f"alexrepro evaluate '{elsewhere.run}' --ten-crop"
    ]


def parsed(line: str) -> tuple[str, dict[str, Any]]:
    """A printed command as the program reads it: its name and its parameters; fails if it would be refused."""
    word, name, *arguments = shlex.split(line)
    assert word == "alexrepro"
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    return name, command.make_context(name, arguments).params


@pytest.mark.parametrize("name", experiments())
def test_the_printed_commands_are_valid_and_follow_from_each_other(name: str) -> None:
    trained: set[Path] = set()
    for line in render(find(name), Evidence()).missing:
        command, given = parsed(line)
        if command == "train":
            recipe = find_recipe(given["recipe"])
            trained.add(run_of(given["runs"], recipe, dataset=str(given["store"]), seed=given["seed"]).folder)
        if command == "ablate":
            assert [find_variation(one).of(find_recipe(given["base"])) for one in given["variations"]]
        if command == "evaluate":
            assert set(given["run"] or ()) <= trained
        if command == "features":
            assert given["run"] in trained
    assert bool(trained or command == "ablate") if render(find(name), Evidence()).missing else name in CALCULATED
