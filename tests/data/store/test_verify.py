"""Verification finds every flipped bit, every cut and every file that is not the one that was written."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexrepro.data.store.prepare import prepare
from alexrepro.data.store.verify import verify

FLIPS, CUTS = 1000, 200


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, draws = tmp_path_factory.mktemp("pictures"), np.random.default_rng(6)
    for kind in ("a", "b"):
        for number in range(2):
            path = folder / "train" / kind / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draws.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    return prepare(folder, out=tmp_path_factory.mktemp("stores"), workers=1)["train"].path


@pytest.fixture
def copy(store: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(store, tmp_path / store.name))


def checked_files(store: Path) -> list[Path]:
    """Everything but the table of defects, which repeats the manifest for people."""
    return sorted(path for path in store.iterdir() if path.name != "defects.csv")


def test_a_sound_store_has_no_problem(store: Path) -> None:
    assert verify(store) == []


def test_every_flipped_bit_is_found(copy: Path) -> None:
    draws = random.Random(11)
    missed = []

    for _ in range(FLIPS):
        file = draws.choice(checked_files(copy))
        whole = file.read_bytes()
        place, bit = draws.randrange(len(whole)), draws.randrange(8)
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        if not verify(copy):
            missed.append((file.name, place, bit))
        file.write_bytes(whole)

    assert missed == []


def test_every_cut_is_found_and_named(copy: Path) -> None:
    draws = random.Random(12)
    missed = []

    for _ in range(CUTS):
        file = draws.choice(checked_files(copy))
        whole = file.read_bytes()
        file.write_bytes(whole[: draws.randrange(len(whole))])
        if not any(file.name in problem for problem in verify(copy)):
            missed.append(file.name)
        file.write_bytes(whole)

    assert missed == []


def test_missing_foreign_and_renamed_are_named(copy: Path, tmp_path: Path) -> None:
    (copy / "shard-00001.arrow").write_bytes((copy / "shard-00000.arrow").read_bytes())
    (copy / "mean.npy").unlink()
    other = copy.rename(tmp_path / "shapes-train-000000")

    problems = " ".join(verify(other))

    assert "shard-00001.arrow does not belong" in problems
    assert "mean.npy cannot be read" in problems
    assert "folder's name" in problems
