"""Verification finds every flipped bit, every cut and every file that is not the one that was written."""

import random
import shutil
from pathlib import Path

import pytest

from alexrepro.data.store.manifest import verify
from alexrepro.data.store.prepare import prepare

from .folders import write_images


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_images(tmp_path_factory.mktemp("images") / "train", each=2)
    return prepare(folder, out=tmp_path_factory.mktemp("stores"), workers=1)["train"].path


@pytest.fixture
def copy(store: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(store, tmp_path / store.name))


def checked_files(store: Path) -> list[Path]:
    """Everything but the table of defects, which repeats the manifest for people, and what is known of the source."""
    return sorted(path for path in store.iterdir() if path.name not in {"defects.csv", ".source.json"})


def test_a_sound_store_has_no_problem(store: Path) -> None:
    assert verify(store) == []


@pytest.mark.parametrize(("flips", "cuts"), [(150, 30), pytest.param(1000, 200, marks=pytest.mark.long)])
def test_every_flipped_bit_and_every_cut_is_found_and_its_file_named(copy: Path, flips: int, cuts: int) -> None:
    draws, missed = random.Random(11), []

    for change in ["flip"] * flips + ["cut"] * cuts:
        file = draws.choice(checked_files(copy))
        whole = file.read_bytes()
        location, bit = draws.randrange(len(whole)), draws.randrange(8)
        flipped = whole[:location] + bytes([whole[location] ^ 1 << bit]) + whole[location + 1 :]
        file.write_bytes(flipped if change == "flip" else whole[:location])
        if not any(file.name in problem for problem in verify(copy)):
            missed.append((change, file.name, location, bit))
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
