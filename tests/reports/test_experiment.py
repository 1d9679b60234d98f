"""What finished runs answer, what they do not, and which commands are missing."""

import shlex
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from alexrepro.cli.app import app
from alexrepro.errors import UserError
from alexrepro.paper import results
from alexrepro.paper.citation import Citation
from alexrepro.recipes.as_printed_and_run import AS_RUN_2010, AS_RUN_2012, TINY
from alexrepro.recipes.catalog import find_recipe
from alexrepro.recipes.variations import find_variation
from alexrepro.reports.experiment import Experiment, Needs, answer, experiments, find, missing
from alexrepro.reports.loaded_runs import Evidence
from alexrepro.runs.evaluation import Evaluation
from alexrepro.runs.run import run_of

NEEDS = Needs("as-run-2010", results.TEST_2010, "ten", printed=results.CNN_2010)
QUESTION = Experiment("question", "A question", Citation("§6"), needs=(NEEDS,), reported=(results.CNN_2010,))
FOLDER = f"runs/as-run-2010-{AS_RUN_2010.digest}/ilsvrc2010-seed-0"
FULL = Evaluation(
    run="runs/as-run-2010-ca8da4/ilsvrc2010-seed-0", recipe="as-run-2010", digest=AS_RUN_2010.digest, seed=0,
    epochs=92, dataset="ilsvrc2010", split=results.TEST_2010, crops="ten",
    images=150_000, top1_correct=93_000, top5_correct=124_000, loss=1.6,
)  # fmt: skip
MINIATURE = Evaluation(
    run="runs/tiny-7fdc23/ilsvrc2010-miniature-seed-0", recipe="tiny", digest=TINY.digest, seed=0, epochs=13,
    dataset="ilsvrc2010-miniature", split="ilsvrc2010-miniature-test", crops="ten",
    images=500, top1_correct=350, top5_correct=480, loss=1.0,
)  # fmt: skip


def measured(*evaluations: Evaluation) -> list[dict[str, Any]]:
    rows = answer(QUESTION, Evidence(evaluations=evaluations)).as_dict()["rows"]
    return [row for row in rows if row["source"] == "measured"]


def test_reported_rows_come_first() -> None:
    rows = answer(QUESTION, Evidence(evaluations=(FULL, MINIATURE))).as_dict()["rows"]

    assert [row["source"] for row in rows] == ["reported", "measured", "measured"]


def test_a_full_run_stands_beside_the_printed_number() -> None:
    (row,) = measured(FULL)

    assert (row["top1_error"], row["reported_top1_error"], row["note"]) == (0.38, 0.375, "")
    assert row["cites"] == "runs/as-run-2010-ca8da4/ilsvrc2010-seed-0"


def test_without_a_run_the_row_is_empty_and_says_not_run() -> None:
    (row,) = measured()

    assert (row["label"], row["note"]) == ("as-run-2010", "not run")
    assert [row[name] for name in ("seeds", "images", "top1_error", "reported_top1_error", "interval")] == [None] * 5


def test_runs_with_several_seeds_are_one_row() -> None:
    (row,) = measured(FULL, replace(FULL, seed=1, top1_correct=94_500))

    assert (row["seeds"], row["top1_error"]) == (2, pytest.approx(0.375, abs=1e-15))  # rounding only


def test_a_seed_counts_once() -> None:
    (row,) = measured(FULL, replace(FULL, top1_correct=1))

    assert (row["seeds"], row["top1_error"]) == (1, 0.38)


def test_a_run_on_fewer_images_is_not_pooled_with_the_full_split() -> None:
    few = replace(FULL, seed=1, images=1_000, top1_correct=600, top5_correct=800)

    assert [row["images"] for row in measured(FULL, few)] == [150_000, 1_000]


def test_a_shortened_run_does_not_answer_and_is_labeled() -> None:
    short = replace(FULL, digest=AS_RUN_2010.shortened(9).digest, epochs=9)

    not_run, row = measured(short)

    assert not_run["note"] == "not run"
    assert (row["label"], row["note"]) == ("as-run-2010, shortened", "shortened: 9 of 92 epochs")


def test_an_unfinished_run_does_not_answer_either() -> None:
    assert [row["note"] for row in measured(replace(FULL, epochs=40))] == ["not run", "shortened: 40 of 92 epochs"]


def test_a_run_with_a_changed_field_is_labeled() -> None:
    _, row = measured(replace(FULL, digest="abcdef"))

    assert row["note"] == f"changed: abcdef is not as-run-2010-{AS_RUN_2010.digest}"


def test_the_miniature_is_other_data_without_a_printed_number() -> None:
    _, row = measured(MINIATURE)

    assert (row["dataset"], row["label"]) == ("ilsvrc2010-miniature", "tiny, other data")
    assert (row["note"], row["reported_top1_error"]) == ("other data: ilsvrc2010-miniature-test", None)


def test_the_miniature_shows_the_crops_asked_for_and_the_center() -> None:
    center = replace(MINIATURE, crops="center", top1_correct=340)

    assert [row["crops"] for row in measured(center, MINIATURE)[1:]] == ["ten", "center"]


def test_a_shortened_run_on_the_miniature_says_both() -> None:
    short = replace(MINIATURE, digest=TINY.shortened(2).digest, epochs=2)

    assert measured(short)[1]["note"] == "other data: ilsvrc2010-miniature-test; shortened: 2 of 13 epochs"


def test_the_paper_s_network_on_another_data_set_is_other_data_with_as_many_classes_as_that_has() -> None:
    hundred = AS_RUN_2012.for_classes(100)
    found = replace(FULL, recipe="as-run-2012", digest=hundred.digest, epochs=90, dataset="tiny-imagenet",
                    split="tiny-imagenet-val", classes=100)  # fmt: skip

    _, row = measured(found)

    assert (row["label"], row["note"]) == ("as-run-2012, other data", "other data: tiny-imagenet-val")
    assert measured(replace(found, classes=None))[1]["note"].startswith("other data: tiny-imagenet-val; changed: ")


def test_another_network_on_another_data_set_is_not_shown() -> None:
    assert len(measured(replace(MINIATURE, recipe="cifar-80sec", dataset="cifar10", split="cifar10-test"))) == 1


def test_a_variation_of_the_recipe_is_no_answer() -> None:
    assert [row["note"] for row in measured(replace(FULL, recipe="as-run-2010+no-norm"))] == ["not run"]


def test_what_is_missing_are_the_commands_that_make_it() -> None:
    assert missing(QUESTION, Evidence(evaluations=(MINIATURE,))) == [
        "alexrepro prepare /path/ILSVRC2010",
        "alexrepro train as-run-2010 --store ilsvrc2010",
        f"alexrepro evaluate {FOLDER} --ten-crop",
    ]


def test_a_trained_run_is_evaluated_and_not_trained_again() -> None:
    run = "my runs/as-run-2010-ca8da4/ilsvrc2010-seed-0"

    assert missing(QUESTION, Evidence(evaluations=(replace(FULL, run=run, crops="center"),))) == [
        f"alexrepro evaluate '{run}' --ten-crop"
    ]


def test_nothing_is_missing_when_a_full_run_answers() -> None:
    assert missing(QUESTION, Evidence(evaluations=(FULL,))) == []


def parsed(line: str) -> tuple[str, dict[str, Any]]:
    """A printed command as the program reads it: its name, and what it was told; fails if it would be refused."""
    word, name, *arguments = shlex.split(line)
    assert word == "alexrepro"
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    return name, command.make_context(name, arguments).params


@pytest.mark.parametrize("name", experiments())
def test_the_printed_commands_are_taken_by_the_program_and_follow_from_each_other(name: str) -> None:
    trained: set[Path] = set()
    for line in missing(find(name), Evidence()):
        command, told = parsed(line)
        if command == "train":
            recipe = find_recipe(told["recipe"])
            trained.add(run_of(told["runs"], recipe, dataset=str(told["store"]), seed=told["seed"]).folder)
        if command == "ablate":
            assert [find_variation(one).of(find_recipe(told["base"])) for one in told["variations"]]
        if command == "evaluate":
            assert set(told["run"]) <= trained
        if command == "features":
            assert told["run"] in trained


def test_every_report_of_runs_says_how_to_make_them() -> None:
    counted = {"parameters", "figure-2"}  # from recipes alone

    assert {name for name in experiments() if not missing(find(name), Evidence())} == counted


def test_every_module_of_the_package_is_found() -> None:
    assert [find(name).name for name in experiments()] == list(experiments())
    assert "table-1" in experiments()


@pytest.mark.parametrize("text", ["", "EXPERIMENT = 1\n"])
def test_a_module_without_an_experiment_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    name = f"questions_{len(text)}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    (tmp_path / name / "empty.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    package = import_module(name)

    with pytest.raises(ValueError, match=f"{name}.empty defines no EXPERIMENT"):
        experiments(package)
    assert f"{name}.empty" in sys.modules


def test_an_unknown_report_names_the_nearest_one() -> None:
    with pytest.raises(UserError, match="did you mean table-1"):
        find("table1")
