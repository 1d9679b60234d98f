"""`alexrepro report`: results on stdout, everything else on stderr, and nothing trained."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from alexrepro.errors import Exit
from alexrepro.recipes.catalog import TINY
from alexrepro.runs.evaluation import Evaluation, save_evaluation
from alexrepro.runs.run import run_of

from ..program import Program


@pytest.fixture
def alexrepro(tmp_path: Path) -> Program:
    """The program beside one run on the miniature."""
    run = run_of(tmp_path / "runs", TINY, dataset="ilsvrc2010-miniature", seed=0)
    run.begin(TINY, {"stores": {}})
    save_evaluation(
        Evaluation(
            run=str(run.folder), recipe=TINY.name, digest=TINY.digest, seed=0, epochs=30,
            dataset="ilsvrc2010-miniature", split="ilsvrc2010-miniature-test", crops="ten",
            images=500, top1_correct=350, top5_correct=480, loss=1.0,
        )
    )  # fmt: skip
    return Program(tmp_path)


def test_table_1_prints_its_rows_and_on_stderr_the_commands_for_missing_ones(alexrepro: Program) -> None:
    result = alexrepro("report", "table-1")

    assert result.returncode == 0
    text = " ".join(result.stdout.split())
    words = ["Sparse coding", "SIFT + FVs", "CNN on", "as-run-2010 on", "not run", "tiny on", "30.0 %"]
    assert [word for word in words if word not in text] == []
    assert "  alexrepro train as-run-2010 --store ilsvrc2010\n  alexrepro evaluate runs/as-run-2010-" in result.stderr
    assert "alexrepro train" not in result.stdout


def test_json_is_one_object_with_rows_missing_and_files(alexrepro: Program) -> None:
    found = alexrepro.json("report", "table-1")

    assert list(found) == ["name", "title", "rows", "missing", "files"]
    assert [(row["source"], row["dataset"]) for row in found["rows"]] == [
        *[("reported", "ilsvrc2010")] * 3,
        *[("measured", "ilsvrc2010")] * 2,
        ("measured", "ilsvrc2010-miniature"),
    ]
    assert found["missing"][0] == "alexrepro prepare /path/ILSVRC2010"
    assert [Path(file).name for file in found["files"]] == [f"table-1.{end}" for end in ("csv", "md", "json")]
    assert json.loads((alexrepro.folder / found["files"][-1]).read_text())["rows"] == found["rows"]


def test_without_runs_there_is_a_page_of_all_reports_and_no_error(tmp_path: Path) -> None:
    found = Program(tmp_path).json("report", "--page")

    assert not (tmp_path / "runs").exists()
    assert (tmp_path / found["page"]).read_text().startswith("<!DOCTYPE html>")
    assert len(found["reports"]) > 10
    assert all((tmp_path / file).is_file() for one in found["reports"] for file in one["files"])
    assert (tmp_path / "reports" / "figure-2.svg").exists()
    assert re.search(r"^evaluations .*nothing yet", Program(tmp_path).shown("report"), re.M)


@pytest.mark.parametrize("file", ["metrics.csv", "validation.csv"])
def test_a_run_with_damaged_rows_is_named_and_left_out_of_the_page(alexrepro: Program, file: str) -> None:
    (environment,) = alexrepro.folder.glob("runs/tiny-*/*/environment.json")
    environment.with_name(file).write_text("step;epoch\n1;1\n")

    done = alexrepro("report", "--page")

    assert done.returncode == 0
    assert re.search(
        rf"Skipped {environment.parent.relative_to(alexrepro.folder)}: .*{file} is damaged: it has no col", done.stderr
    )


@pytest.mark.parametrize(
    ("name", "what"), [("table1", "did you mean table-1"), ("table-1", "--page writes a page of all reports")]
)
def test_an_unknown_name_or_one_with_the_page_is_refused(tmp_path: Path, name: str, what: str) -> None:
    assert what in Program(tmp_path)("report", name, "--page").stderr
    assert not (tmp_path / "reports").exists()


def test_a_file_in_place_of_the_folder_of_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").touch()

    done = Program(tmp_path)("report", "--runs", "runs.csv")

    assert done.returncode == Exit.CANNOT_CREATE
    assert "runs.csv is a file" in done.stderr


def test_help_needs_neither_torch_nor_pandas() -> None:
    code = "import sys, alexrepro.cli.report; print({'torch', 'pandas', 'scipy'} & set(sys.modules))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
