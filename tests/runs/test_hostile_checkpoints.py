"""Nothing in a checkpoint or a file of weights is ever run: pickles are refused, wherever they are put."""

import pickle
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from alexrepro.data.store.store import Store
from alexrepro.files import sha256_of_file, write_json
from alexrepro.runs.paths import MODEL, OPTIMIZER, STATE, step_of

from ..data.hostile import assert_refused, command
from ..toy import Train


class Hostile:
    """An object that makes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.canary,)


@pytest.fixture(autouse=True)
def loaded() -> None:
    import_module("alexrepro.evaluation.predict")  # once here, so that no child spends seconds on it


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file that would be made if the pickle were read."""
    path = tmp_path / "canary"
    pickle.loads(pickle.dumps(Hostile(path)))
    path.unlink()
    return path


@pytest.mark.parametrize("names", [(MODEL, OPTIMIZER), (STATE,)], ids=["tensors", "state"])
def test_a_hostile_checkpoint_is_neither_continued_from_nor_converted(
    names: tuple[str, ...], toy: Train, canary: Path, stores: dict[str, Store], tmp_path: Path
) -> None:
    run = toy(tmp_path / "runs")
    run.result_file.unlink()
    for checkpoint in run.checkpoints.iterdir():
        for name in names:
            (checkpoint / name).write_bytes(pickle.dumps(Hostile(canary)))
        if STATE not in names:  # so that the checksums match
            digests = {name: sha256_of_file(checkpoint / name) for name in (MODEL, OPTIMIZER)}
            write_json(checkpoint / STATE, {"step": step_of(checkpoint), "sha256": digests})
    train = ("train", run.recipe_file, "--store", stores["train"].path, "--runs", tmp_path / "runs", "--no-compile")

    for words in (("convert", run.folder, "--to", tmp_path / "out.safetensors"), (*train, "--device", "cpu")):
        ended = command(*words, said=tmp_path / "said")

        assert_refused(ended)
        assert "All checkpoints" in ended.said
        assert not canary.exists()
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("ending", ["pth", "safetensors", "caffemodel"])
def test_a_pickle_among_weights_is_not_run(ending: str, canary: Path, tmp_path: Path) -> None:
    weights = tmp_path / f"weights.{ending}"
    weights.write_bytes(pickle.dumps(Hostile(canary)))

    ended = command("convert", weights, "--to", tmp_path / "out.safetensors", said=tmp_path / "said")

    assert_refused(ended)
    assert weights.name in ended.said
    assert not canary.exists()
