"""`verify` finds stores, checkpoints and archives, names what is wrong, and ends with its exit code."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from alexrepro.cli.app import app
from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.store.prepare import prepare
from alexrepro.errors import UserError
from alexrepro.runs.checkpoint import Checkpoint, save


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["verify", *map(str, arguments), "--json"])


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_all_stores_in_a_folder_are_verified_and_a_flipped_bit_is_named(tmp_path: Path) -> None:
    write_miniature(tmp_path / "images", train_per_class=1, val_per_class=1, test_per_class=1)
    stores = prepare(tmp_path / "images", out=tmp_path / "stores", workers=1)
    sound = call(tmp_path / "stores")
    damage(stores["val"].path / "shard-00000.arrow")

    one, every = call(stores["val"].path), call(tmp_path / "stores")

    assert (sound.exit_code, one.exit_code, every.exit_code) == (0, 65, 65)
    assert [row["finding"] for row in json.loads(sound.stdout)["findings"]] == ["sound"] * 3
    wrong = [row for row in json.loads(every.stdout)["findings"] if not row["sound"]]
    assert wrong == json.loads(one.stdout)["findings"]
    assert "shard-00000.arrow does not have its checksum" in wrong[0]["finding"]


@pytest.mark.parametrize("below", [".", "recipe", "recipe/run", "recipe/run/checkpoints/step-000000002"])
def test_checkpoints_are_verified_from_every_folder_above_them(tmp_path: Path, below: str) -> None:
    weights = {"conv1.weight": torch.zeros(4)}
    for step in (1, 2):
        save(tmp_path / "recipe/run/checkpoints", Checkpoint(step, weights, weights))
    damage(tmp_path / "recipe/run/checkpoints/step-000000002/optimizer.safetensors")

    result = call(tmp_path / below)

    (wrong,) = (row for row in json.loads(result.stdout)["findings"] if not row["sound"])
    assert result.exit_code == 65
    assert "optimizer.safetensors does not have its checksum" in wrong["finding"]


@pytest.mark.parametrize(("size", "finding", "code"), [(6_744_924_160, "as published", 66), (1, "differs", 65)])
def test_archives_are_compared_by_size(tmp_path: Path, size: int, finding: str, code: int) -> None:
    with (tmp_path / "ILSVRC2012_img_val.tar").open("wb") as file:
        file.truncate(size)  # takes no room on the disk
    (tmp_path / "train/n00000001").mkdir(parents=True)

    result = call(tmp_path, "--quick")

    found = {row["path"].rpartition(": ")[2]: row["finding"] for row in json.loads(result.stdout)["findings"]}
    assert found["val"].startswith(finding)
    assert found["devkit"].startswith("missing")
    assert result.exit_code == code


def test_a_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    assert isinstance(call(tmp_path / "none").exception, UserError)
