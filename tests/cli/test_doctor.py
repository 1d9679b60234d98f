"""The doctor's verdicts become a table or one object, and the first wrong one the exit code."""

import json
from pathlib import Path

import pytest

from ..program import SMALL, Program


@pytest.fixture(autouse=True)
def _nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there is no compiler, which saves most of the time."""
    monkeypatch.setattr("alexrepro.device.can_compile", lambda _: False)


def test_a_preflight_of_everything_ends_well(alexrepro: Program) -> None:
    """With the recipe that `train` would choose; the time depends on the machine, and so does its verdict."""
    rows = {row["what"]: row for row in alexrepro.json("doctor", *SMALL)["findings"]}

    assert list(rows)[-5:] == ["recipe", "memory", "disk", "activations", "time"]
    assert rows["recipe"]["found"].startswith("tiny-")
    assert {"error"} & {row["verdict"] for row in rows.values()} == set()
    assert rows["activations"]["facts"]["hidden"] == "fc7"
    assert rows["time"]["facts"]["epochs"] == 13


def test_a_store_that_is_damaged_comes_before_one_that_is_missing(miniature: Path, tmp_path: Path) -> None:
    val = next((miniature / "stores").glob("ilsvrc2010-miniature-val-*"))
    (tmp_path / val.name).mkdir()
    (tmp_path / val.name / "manifest.json").write_bytes((val / "manifest.json").read_bytes())

    ended = Program(tmp_path)("doctor", "--store", tmp_path, "--json")

    found = json.loads(ended.stdout)
    wrong = [(row["what"], row["exit_code"]) for row in found["findings"] if row["verdict"] == "error"]
    assert wrong == [(f"store {val.name}", 65), ("store", 66)]
    assert (ended.returncode, found["exit_code"]) == (65, 65)
