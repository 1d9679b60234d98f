"""The whole way through the command line, on a few drawn images: prepare, train, evaluate, ablate, report."""

import io
import json
import shlex
from collections.abc import Collection, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from alexrepro.cli import show
from alexrepro.reports.figures import plot

from ..program import FIRST_RUN, SMALL, Program, commands_of

ONE_EPOCH = (*SMALL, "--epochs", "1")
Tables = list[tuple[Sequence[Sequence[str]], Collection[str]]]  # the columns, and which of them hold numbers
TRUTH = "photos/devkit-1.0/data/ILSVRC2010_validation_ground_truth.txt"
NARROW = " ".join(SMALL)
TYPED = (
    "prepare photos", "verify stores", f"train tiny --epochs 1 {NARROW}", f"doctor tiny {NARROW}",
    f"bench tiny {NARROW}", "convert {run} --to tiny.safetensors", "features {run}", "watch --once",
    "submit --to mine.txt", f"score {TRUTH} --devkit photos/devkit-1.0", "evaluate {run} --ten-crop",
    "compare {run} {run}", "predict {photo}", "ablate", "recipes list",
    "recipes diff as-printed as-run-2012", "describe", "describe tiny as-printed", "facts", "facts P16 S11",
    "facts dropout", "report", "report ablations", "report claims", "report evaluations", "report figure-1",
    "report figure-4", "report parameters", "report table-1", "report table-2", "report training-curves",
)  # fmt: skip


@pytest.fixture(scope="module")
def prepared(alexrepro: Program) -> dict[str, Any]:
    return alexrepro.json("prepare", "photos", "--workers", "1")


@pytest.fixture(scope="module")
def trained(alexrepro: Program, prepared: dict[str, Any]) -> dict[str, Any]:
    assert prepared["splits"]
    return alexrepro.json("train", "tiny", *ONE_EPOCH)


def test_prepare_tells_of_every_split_and_defect(prepared: dict[str, Any]) -> None:
    splits = prepared["splits"]

    assert prepared["dataset"] == "ilsvrc2010-miniature"
    assert {name: (split["images"], split["classes"]) for name, split in splits.items()} == {
        "train": (79, 20), "val": (20, 20), "test": (40, 20)
    }  # fmt: skip
    assert sorted(defect["action"] for defect in splits["train"]["defects"]) == ["decoded", "decoded", "left out"]
    assert set(splits["train"]["defects"][0]) == {"path", "class", "reason", "action"}
    assert all(0 < mean < 255 for mean in splits["train"]["mean_rgb"])
    assert splits["train"]["eigenvalues"] == sorted(splits["train"]["eigenvalues"], reverse=True)


def test_train_keeps_its_contract(trained: dict[str, Any]) -> None:
    assert trained["recipe"] == "tiny"
    assert (trained["steps"], trained["epochs"]) == (3, 1)  # 79 images in batches of 32
    assert 0 <= trained["final"]["top5_error"] <= trained["final"]["top1_error"] <= 1
    assert trained["final"]["loss"] > 0


def test_the_same_command_does_not_train_again(alexrepro: Program, trained: dict[str, Any]) -> None:
    again = alexrepro("train", "tiny", *ONE_EPOCH, "--json")

    assert json.loads(again.stdout) == trained
    assert "Nothing to train" in again.stderr


@pytest.mark.parametrize(("option", "crops"), [((), "center"), (("--ten-crop",), "ten")], ids=["center", "ten"])
def test_evaluate_keeps_its_contract(
    alexrepro: Program, trained: dict[str, Any], option: tuple[str, ...], crops: str
) -> None:
    found = alexrepro.json("evaluate", *option)

    assert (found["run"], found["split"]) == (trained["run"], "ilsvrc2010-miniature-test")
    assert (found["crops"], found["images"]) == (crops, 40)
    assert found["top1_error"] == pytest.approx(1 - found["top1_correct"] / 40)
    assert found["top5_error"] == pytest.approx(1 - found["top5_correct"] / 40)


def test_ablate_trains_what_is_missing_and_compares(alexrepro: Program, trained: dict[str, Any]) -> None:
    found = alexrepro.json("ablate", "without-conv4", *ONE_EPOCH)

    (row,) = found["rows"]
    assert (row["label"], row["split"], row["seeds"]) == ("without-conv4", "ilsvrc2010-miniature-test", 1)
    assert row["reported_top1_delta"] is None
    assert row["verdict"] == "not comparable"
    assert found["files"] == [f"reports/ablations.{suffix}" for suffix in ("csv", "md", "json", "svg", "png")]
    assert len(list((alexrepro.folder / "runs").glob("tiny*-*"))) == 2  # the base was there already
    assert trained["run"].startswith("runs/tiny-")


def test_report_shows_the_measurement_as_other_data_without_published_numbers(
    alexrepro: Program, trained: dict[str, Any]
) -> None:
    alexrepro.json("evaluate", trained["run"], "--ten-crop")

    rows = alexrepro.json("report", "table-1")["rows"]

    assert [row["top1_error"] for row in rows if row["source"] == "reported"] == [0.471, 0.457, 0.375]
    measured = [row for row in rows if row["dataset"] == "ilsvrc2010-miniature"]
    assert all(row["reported_top1_error"] is None and "other data" in row["note"] for row in measured)
    assert {row["crops"] for row in measured} >= {"ten"}


def test_the_commands_of_the_first_run_work_in_their_order(
    alexrepro: Program, trained: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for dots in ("DOTS_PER_INCH", "IN_SVG"):  # of pictures, which take most of the time
        monkeypatch.setattr(plot, dots, 20)
    short = {"prepare miniature": "prepare photos --workers 1", "train tiny": " ".join(("train tiny", *ONE_EPOCH))}

    for typed in commands_of(FIRST_RUN):
        done = alexrepro(*shlex.split(short.get(typed, typed)))
        assert done.returncode == 0, f"{typed}: {done.stderr}"

    assert len(list((alexrepro.folder / "runs").glob(f"*/{Path(trained['run']).name}/evaluations/*"))) >= 2


@pytest.mark.parametrize("typed", TYPED)
def test_what_commands_print_fits_the_terminal_and_no_number_name_or_path_is_broken(
    alexrepro: Program, trained: dict[str, Any], monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    if typed.startswith("compare"):
        alexrepro("evaluate", trained["run"])
    tables: Tables = []
    place = show.widths

    def place_and_keep(columns: Sequence[Sequence[str]], right: Collection[str], room: int) -> dict[int, int]:
        tables.append((columns, right))
        return place(columns, right, room)

    monkeypatch.setattr(show, "widths", place_and_keep)
    monkeypatch.setattr(plot, "save", lambda *_, **__: [])  # pictures and compiling take most of the time
    monkeypatch.setattr("alexrepro.device.can_compile", lambda _: False)
    photo = next(alexrepro.folder.glob("photos/val/*.JPEG"))

    done = alexrepro(*typed.format(run=trained["run"], photo=photo).split(), COLUMNS="80")

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) <= 40 or typed != "report"
    assert_whole(done.stdout, tables, width=80)
    with redirect_stdout(io.StringIO()) as wide:
        monkeypatch.setenv("COLUMNS", "100")
        for columns, right in tables[:]:
            headings, *rows = zip(*columns, strict=True)
            show.print_table("", headings, rows, right=right)
    assert_whole(wide.getvalue(), tables, width=100)


def assert_whole(text: str, tables: Tables, *, width: int) -> None:
    """No line is wider than that unless it is one word; all words of cells are there, and all numbers on one line."""
    lines, printed = text.splitlines(), set(text.split())
    words = {word for columns, _ in tables for _, *cells in columns for cell in cells for word in cell.split()}
    numbers = {cell for columns, right in tables for heading, *cells in columns if heading in right for cell in cells}
    assert words - printed == set()
    assert [number for number in numbers if not any(number in line for line in lines)] == []
    assert [line for line in lines if len(line) > width and len(line.split()) > 1] == []
