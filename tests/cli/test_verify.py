"""`verify` finds stores, checkpoints and archives, names what is wrong, and ends with its exit code."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from alexrepro.runs.checkpoint import Checkpoint, save

from ..data import layouts
from ..data.hostile import picture
from ..program import Program


def verified(*arguments: object) -> tuple[int, list[dict[str, str]]]:
    """The exit code and the findings."""
    done = Program(Path())("verify", *arguments, "--json")
    return done.returncode, json.loads(done.stdout)["findings"]


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_all_stores_in_a_folder_are_verified_and_a_flipped_bit_is_named(alexrepro: Program) -> None:
    stores = alexrepro.folder / "stores"
    sound = verified(stores)
    (val,) = stores.glob("*-val-*")
    damage(val / "shard-00000.arrow")

    code, found = verified(stores)

    assert (sound[0], [row["finding"] for row in sound[1]]) == (0, ["sound"] * 3)
    (wrong,) = (row for row in found if not row["sound"])
    assert "shard-00000.arrow does not have its checksum" in wrong["finding"]
    assert (code, [wrong]) == (65, verified(val)[1])


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


LAYOUTS = [layouts.class_folders, layouts.flat_val, layouts.sorted_val, layouts.kaggle, layouts.kaggle_zip]


@pytest.mark.parametrize("layout", LAYOUTS, ids=[layout.__name__ for layout in LAYOUTS])
def test_images_are_counted_in_every_layout_that_prepare_reads(
    layout: Callable[[Path, layouts.Pictures], None], tmp_path: Path
) -> None:
    layout(tmp_path, layouts.deal(picture(number) for number in range(layouts.PICTURES)))

    _, rows = verified(tmp_path, "--quick")

    found = {row["path"].rpartition(": ")[2]: row["finding"] for row in rows}
    assert (found["train"], found["val"]) == ("9 images of 3 classes", "6 images of 3 classes")
    assert not any("register" in finding for finding in found.values())


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
