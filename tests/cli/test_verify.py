"""`verify` finds stores, checkpoints and archives, names what is wrong, and ends with its exit code."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from alexrepro.cli.app import app
from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.store.prepare import prepare
from alexrepro.runs.checkpoint import Checkpoint, save


def verified(*arguments: object) -> tuple[int, list[dict[str, str]]]:
    """The exit code and the findings."""
    result = CliRunner().invoke(app, ["verify", *map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout)["findings"]


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_all_stores_in_a_folder_are_verified_and_a_flipped_bit_is_named(tmp_path: Path) -> None:
    write_miniature(tmp_path / "images", train_per_class=1, val_per_class=1, test_per_class=1)
    stores = prepare(tmp_path / "images", out=tmp_path / "stores", workers=1)
    sound = verified(tmp_path / "stores")
    damage(stores["val"].path / "shard-00000.arrow")

    code, found = verified(tmp_path / "stores")

    assert (sound[0], [row["finding"] for row in sound[1]]) == (0, ["sound"] * 3)
    (wrong,) = (row for row in found if not row["sound"])
    assert "shard-00000.arrow does not have its checksum" in wrong["finding"]
    assert (code, [wrong]) == (65, verified(stores["val"].path)[1])


@pytest.mark.parametrize("below", [".", "recipe", "recipe/run", "recipe/run/checkpoints/step-000000002"])
def test_checkpoints_are_verified_from_every_folder_above_them(tmp_path: Path, below: str) -> None:
    weights = {"conv1.weight": torch.zeros(4)}
    for step in (1, 2):
        save(tmp_path / "recipe/run/checkpoints", Checkpoint(step, weights, weights))
    damage(tmp_path / "recipe/run/checkpoints/step-000000002/optimizer.safetensors")

    code, found = verified(tmp_path / below)

    (wrong,) = (row for row in found if not row["sound"])
    assert code == 65
    assert "optimizer.safetensors does not have its checksum" in wrong["finding"]


@pytest.mark.parametrize(("size", "finding", "code"), [(6_744_924_160, "as published", 66), (1, "differs", 65)])
def test_archives_are_compared_by_size(tmp_path: Path, size: int, finding: str, code: int) -> None:
    with (tmp_path / "ILSVRC2012_img_val.tar").open("wb") as file:
        file.truncate(size)  # sparse
    (tmp_path / "train/n00000001").mkdir(parents=True)

    ended, rows = verified(tmp_path, "--quick")

    found = {row["path"].rpartition(": ")[2]: row["finding"] for row in rows}
    assert found["val"].startswith(finding)
    assert found["devkit"].startswith("missing")
    assert ended == code
