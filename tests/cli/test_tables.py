"""Every command that computes something says where its table is, and pandas reads it with true types."""

import re
from pathlib import Path

import pandas as pd
import pytest

from alexrepro.errors import Exit

from ..children import exit_of, in_child
from ..program import SMALL, Done, Program

TRAIN = ("tiny", *SMALL, "--epochs", "1")


def tables(program: Program, done: Done) -> dict[str, pd.DataFrame]:
    """The tables that a command says it wrote, by the names of their files."""
    assert done.returncode == 0, done.stderr
    (files,) = re.findall(r"^Wrote (.*)\.$", done.stderr, re.MULTILINE)
    found = [Path(file) for file in files.split(", ") if file.endswith(".csv")]
    return {file.name: pd.read_csv(program.folder / file) for file in found}


@pytest.fixture(scope="module")
def trained(alexrepro: Program) -> Done:
    return alexrepro("train", *TRAIN)


def test_prepare_writes_a_row_for_each_split(alexrepro: Program) -> None:
    done = alexrepro("prepare", "photos")

    frame = tables(alexrepro, done)["prepared.csv"].set_index("split")

    assert frame["images"].to_dict() == {"train": 79, "val": 20, "test": 40}
    assert (frame["labeled"] == frame["images"]).all()
    assert frame.loc["train", "skipped"] == 1
    axes = frame.loc["train"].filter(regex="^eigenvector_1_").to_numpy(float)
    assert (axes**2).sum() == pytest.approx(1)  # a unit vector
    assert frame.filter(regex="^(mean|eigen)").drop("train").isna().all(axis=None)
    assert done.stderr.endswith("Next: alexrepro train\n")


def test_train_names_its_two_tables_and_what_to_type_next(alexrepro: Program, trained: Done) -> None:
    found = tables(alexrepro, trained)

    assert found["metrics.csv"]["step"].tolist() == [1, 2, 3]
    assert found["validation.csv"]["top1_error"].between(0, 1).all()
    assert ": 1 epoch, 3 steps, loss" in trained.stdout
    (typed,) = re.findall(r"^Next: alexrepro (.*)$", trained.stderr, re.MULTILINE)
    assert alexrepro(*typed.split()).returncode == 0


def test_evaluations_have_a_row_for_each_run_split_and_crops_and_replace_their_own(
    alexrepro: Program, trained: Done
) -> None:
    first = tables(alexrepro, alexrepro("evaluate", "--ten-crop"))["evaluations.csv"]
    second = tables(alexrepro, alexrepro("evaluate", "--store", "ilsvrc2010-miniature-val"))["evaluations.csv"]

    frame = tables(alexrepro, alexrepro("evaluate"))["evaluations.csv"]

    where = sorted(zip(frame["split"], frame["crops"], strict=True))
    assert where == [(f"ilsvrc2010-miniature-{split}", crops) for split, crops in
                     (("test", "center"), ("test", "ten"), ("val", "center"))]  # fmt: skip
    assert len(first) + 1 == len(second) == len(frame)
    assert frame["images"].dtype == "int64"
    assert (frame["top1_low"] < frame["top1_error"]).all()


def test_two_evaluations_at_once_lose_no_row(alexrepro: Program, trained: Done) -> None:
    (alexrepro.folder / "runs/evaluations.csv").unlink(missing_ok=True)
    words = (("--store", "ilsvrc2010-miniature-val"), ())

    children = [in_child(lambda options=options: alexrepro.shown("evaluate", *options)) for options in words]

    assert [exit_of(child) for child in children] == [0, 0]
    frame = pd.read_csv(alexrepro.folder / "runs/evaluations.csv")
    assert {"ilsvrc2010-miniature-test", "ilsvrc2010-miniature-val"} <= set(frame["split"])


def test_predictions_of_other_images_stay_in_the_table(alexrepro: Program, trained: Done) -> None:
    images = sorted(str(path.relative_to(alexrepro.folder)) for path in (alexrepro.folder / "photos/val").iterdir())

    frames = [tables(alexrepro, alexrepro("predict", image))["predicted.csv"] for image in (*images[:2], images[0])]

    assert [len(frame) for frame in frames] == [5, 10, 10]
    assert set(frames[-1]["file"]) == set(images[:2])
    assert frames[-1]["probability"].between(0, 1).all()
    assert frames[-1]["rank"].tolist() == [1, 2, 3, 4, 5] * 2


@pytest.mark.parametrize(("typed", "said"), [("evaluate", "center "), ("predict", "probability ")])
def test_what_was_found_is_printed_where_its_table_cannot_be_written(
    alexrepro: Program, trained: Done, typed: str, said: str
) -> None:
    table = alexrepro.folder / "runs" / {"evaluate": "evaluations.csv", "predict": "predicted.csv"}[typed]
    table.unlink(missing_ok=True)
    table.mkdir()

    photo = next((alexrepro.folder / "photos/val").iterdir())
    done = alexrepro(typed, *([photo] if typed == "predict" else []))
    table.rmdir()

    assert done.returncode == Exit.CANNOT_CREATE
    assert any(line.startswith(said) for line in done.stdout.splitlines())


def test_neighbors_are_a_table_without_pixels(alexrepro: Program, trained: Done) -> None:
    frame = tables(alexrepro, alexrepro("features"))["neighbors.csv"]

    shown, queries = (frame[frame["part"] == part] for part in ("predictions", "neighbors"))
    assert (shown["image"].nunique(), queries["image"].nunique()) == (8, 5)
    assert (queries.groupby("image")["distance"].is_monotonic_increasing).all()


def test_ablations_and_reports_are_tables(alexrepro: Program, trained: Done) -> None:
    variation = ("average-logits", "--base", *TRAIN)

    ablated = tables(alexrepro, alexrepro("ablate", *variation))
    reported = tables(alexrepro, alexrepro("report", "evaluations"))

    (frame,) = ablated.values()
    assert "average-logits" in frame.to_string()
    assert "ten-logits" in set(reported["evaluations.csv"]["crops"])
