"""`import alexrepro` in a script or a notebook: the page, and what it does not show."""

import json
import re
import runpy
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from shutil import copytree
from typing import Any, cast

import pandas as pd
import pytest
import torch

import alexrepro
from alexrepro.data.store.store import find_stores

from ..program import SMALL, Program
from ..toy import write_images

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
PAGE = (HOW_TO / "from-python.md").read_text(encoding="utf-8")
FIRST_LINES = 7  # of Python, for all of build, load, store, errors and table


@pytest.fixture(scope="module")
def folder(miniature: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands of the page were typed, on fewer images and for one epoch."""
    folder = Path(copytree(miniature, tmp_path_factory.mktemp("python") / "folder"))
    (folder / "photos").rename(folder / "stores" / "photos")
    Program(folder).json("train", "tiny", "--epochs", 1, *SMALL)
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    """The names of the page after all its Python was run."""
    with chdir(folder):
        return runpy.run_path(str(HOW_TO / "from_python.py"))


def test_the_page_says_what_the_commands_say(found: dict[str, Any], folder: Path) -> None:
    evaluation = found["evaluation"]
    (told,) = Program(folder).json("report", "evaluations")["rows"][1:]

    assert (evaluation.split, evaluation.crops, evaluation.images) == ("ilsvrc2010-miniature-test", "ten", 40)
    assert (told["top1_error"], told["loss"]) == (evaluation.top1_error, evaluation.loss)
    assert tuple(found["images"].shape) == (16, 3, 256, 256)
    assert torch.equal(found["crops"][0], (found["images"][0] - found["trained"].mean_image)[:, 16:240, 16:240])


def test_the_first_lines_build_load_open_evaluate_and_table() -> None:
    first = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.M)[0]

    assert all(name in first for name in ("build(", "load(", "open_store(", ".evaluate(", "evaluations("))
    assert len(list(filter(None, first.splitlines()))) <= FIRST_LINES


def test_tables_have_the_types_of_their_numbers(folder: Path, found: dict[str, Any]) -> None:
    with chdir(folder):
        steps, epochs = found["trained"].metrics(), found["trained"].validation()

    assert set(steps.dtypes.astype(str)) == {"int64", "float64"}
    assert epochs["split"].tolist() == ["ilsvrc2010-miniature-val"]
    table = alexrepro.evaluations(str(folder / "runs"))
    assert table["crops"].tolist() == ["center", "ten"]
    assert (table["top1_low"] < table["top1_error"]).all()
    assert alexrepro.report("parameters", folder / "runs").dtypes.map(pd.api.types.is_numeric_dtype).any()


def test_a_prediction_is_that_of_the_command(folder: Path, found: dict[str, Any]) -> None:
    photo = found["photos"][0]
    (told,) = Program(folder).json("predict", photo, "--ten-crop")["images"]

    with chdir(folder):
        table = found["trained"].predict(str(photo), crops="ten")

    assert table[["number", "name", "probability"]].to_dict("records") == told["top5"]
    assert list(table) == list(pd.read_csv(folder / "runs" / "predicted.csv"))


def test_classes_have_their_names_in_another_folder(
    folder: Path, found: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    classes = alexrepro.load(folder / "runs/tiny").classes

    assert classes == found["trained"].classes
    assert not any(re.fullmatch(r"n\d{8}", name) for name in classes)


def test_classes_are_wnids_where_no_store_can_be_opened(
    folder: Path, found: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (run,) = Path(copytree(next((folder / "runs").glob("tiny-*")), tmp_path / "tiny")).glob("*-seed-0")
    environment = json.loads((run / "environment.json").read_text())
    environment["folders"]["train"] = "/" + 300 * "x"  # no file can be called so
    (run / "environment.json").write_text(json.dumps(environment))

    assert list(alexrepro.load(run).classes) == environment["classes"]


def test_weights_from_a_file_have_the_errors_of_their_run_and_save_nothing(folder: Path, tmp_path: Path) -> None:
    with chdir(folder):
        run = alexrepro.load("runs/tiny")
        Program(folder).shown("convert", next(Path("runs").glob("tiny-*/*-seed-0")), "--to", tmp_path / "x.safetensors")
        weights = alexrepro.load(tmp_path / "x.safetensors")
        expected = run.evaluate("stores/ilsvrc2010-miniature-val")
        before = sorted(folder.rglob("*"))

        evaluation = weights.evaluate(alexrepro.open_store("stores/ilsvrc2010-miniature-val"))

    counts = ("images", "top1_correct", "top5_correct", "loss", "tied_images", "preprocessing", "digest")
    assert [getattr(evaluation, name) for name in counts] == [getattr(expected, name) for name in counts]
    assert sorted(folder.rglob("*")) == before
    with pytest.raises(alexrepro.UserError, match="not the folder of a run"):
        weights.metrics()


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        (lambda: alexrepro.recipe("tiney"), "did you mean tiny"),
        (lambda: alexrepro.build("tiney"), "did you mean tiny"),
        (lambda: alexrepro.recipe("tiny", network__norms=None), "norm"),
        (lambda: alexrepro.load("runs/none"), "Check the path"),
        (lambda: alexrepro.open_store("stores"), "alexrepro prepare"),
        (lambda: alexrepro.evaluations("runs/none"), "alexrepro train"),
        (lambda: alexrepro.evaluations("stores/prepared.csv"), "cannot be read: Not a directory"),
        (lambda: alexrepro.load("runs/tiny").predict([], crops=cast(Any, "tenn")), "did you mean ten?"),
        (lambda: alexrepro.report("table-3"), "did you mean table-"),
        (lambda: alexrepro.load("runs/twice"), "Name one of them"),
    ],
)
def test_what_is_refused_says_what_to_do(wrong: Any, advice: str, folder: Path, found: dict[str, Any]) -> None:
    for digest in ("000000", "111111"):
        (folder / "runs" / f"twice-{digest}").mkdir(exist_ok=True)

    with chdir(folder), pytest.raises(alexrepro.UserError) as caught:
        wrong()

    assert advice in str(caught.value)


@pytest.mark.slow
def test_a_script_without_a_main_guard_runs_once_also_with_worker_processes(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "print('begun')\n"
        "import alexrepro\n"
        "from alexrepro.data.loading.loader import Loader, Workers\n"
        "from alexrepro.data.loading.sampling import evaluation_plan\n"
        "store = alexrepro.open_store('stores/ilsvrc2010-miniature-val')._store\n"
        "with Loader(store, batch=8, side_px=256, workers=Workers(1, 'processes')) as loader:\n"
        "    print(sum(len(batch) for batch in loader.batches(evaluation_plan(len(store)))))\n"
    )

    done = subprocess.run([sys.executable, script], cwd=folder, capture_output=True, text=True, check=False)

    assert (done.stdout, done.returncode) == ("begun\n20\n", 0), done.stderr


def test_a_row_beyond_the_last_ends_a_loop_over_the_images(folder: Path) -> None:
    images = alexrepro.open_store(find_stores(folder / "stores")[0].path)

    assert len([label for _, label in images]) == len(images)
    assert torch.equal(images[-1][0], images[len(images) - 1][0])


def test_images_of_a_raw_store_may_be_written_to(tmp_path: Path) -> None:
    write_images(tmp_path / "pictures", {"train": 1})
    Program(tmp_path).shown("prepare", "pictures", "--side", 32)

    image, _ = alexrepro.open_store(find_stores(tmp_path / "stores")[0].path)[0]  # torch warns of read-only memory
    image += 1

    assert image.shape == (3, 32, 32)


def test_the_notebook_types_the_commands_of_the_page() -> None:
    cells = json.loads((HOW_TO / "from-python.ipynb").read_text(encoding="utf-8"))["cells"]

    typed = [line for cell in cells for line in cell["source"] if line.startswith("!")]
    assert [line.partition(" -m ")[2].partition(" 2>")[0] for line in typed] == [
        "alexrepro prepare miniature", "alexrepro train tiny --epochs 2",
    ]  # fmt: skip
