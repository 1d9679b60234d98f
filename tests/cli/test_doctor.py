"""The doctor's verdicts become a table or one object, and the first wrong one the exit code."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alexrepro.cli.app import app
from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.store.prepare import prepare

SMALL = ("--set", "network.fc6.maps=16", "--set", "network.fc7.maps=16")


@pytest.fixture(autouse=True)
def _nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there is no compiler, which saves most of the time."""
    monkeypatch.setattr("alexrepro.device.can_compile", lambda _: False)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    write_miniature(folder / "source", train_per_class=2, val_per_class=1, test_per_class=1)
    prepare(folder / "source", out=folder / "stores", workers=1)
    return folder / "stores"


@pytest.mark.slow
def test_a_preflight_of_everything_ends_well(stores: Path, tmp_path: Path) -> None:
    """With the recipe that `train` would choose; the time depends on the machine, and so does its verdict."""
    ended = CliRunner().invoke(app, ["doctor", "--store", str(stores), "--runs", str(tmp_path), *SMALL, "--json"])

    rows = {row["what"]: row for row in json.loads(ended.stdout)["findings"]}
    assert ended.exit_code == 0, ended.stdout
    assert list(rows)[-5:] == ["recipe", "memory", "disk", "activations", "time"]
    assert rows["recipe"]["found"].startswith("tiny-")
    assert {"error"} & {row["verdict"] for row in rows.values()} == set()
    assert rows["activations"]["facts"]["hidden"] == "fc7"
    assert rows["time"]["facts"]["epochs"] == 13


def test_a_store_that_is_damaged_comes_before_one_that_is_missing(stores: Path, tmp_path: Path) -> None:
    val = next(stores.glob("ilsvrc2010-miniature-val-*"))
    (tmp_path / val.name).mkdir()
    (tmp_path / val.name / "manifest.json").write_bytes((val / "manifest.json").read_bytes())

    ended = CliRunner().invoke(app, ["doctor", "--store", str(tmp_path), "--json"])

    found = json.loads(ended.stdout)
    wrong = [(row["what"], row["exit_code"]) for row in found["findings"] if row["verdict"] == "error"]
    assert wrong == [(f"store {val.name}", 65), ("store", 66)]
    assert (ended.exit_code, found["exit_code"]) == (65, 65)
