"""Nothing in a checkpoint or a file of weights is ever run: pickles are refused, wherever they are put."""

import pickle
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from alexrepro.errors import Exit
from alexrepro.files import sha256_of_file, write_json
from alexrepro.runs.paths import MODEL, OPTIMIZER, STATE
from alexrepro.runs.run import Run

from ..data.hostile import assert_refused, command


class Hostile:
    """An object that makes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Any, ...]]:
        return Path.touch, (self.canary,)


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """What `convert` loads, once here, so that no child spends seconds on it."""
    import_module("alexrepro.evaluation.predict")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file that must not come to be, and would if the pickle were read."""
    path = tmp_path / "canary"
    pickle.loads(pickle.dumps(Hostile(path)))
    assert path.exists()
    path.unlink()
    return path


@pytest.fixture(scope="module")
def finished(toy: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return toy(tmp_path_factory.mktemp("finished"))


def as_pickle(checkpoint: Path, content: bytes) -> None:
    """Pickles in the place of the tensors, with checksums that fit."""
    for name in (MODEL, OPTIMIZER):
        (checkpoint / name).write_bytes(content)
    digests = {name: sha256_of_file(checkpoint / name) for name in (MODEL, OPTIMIZER)}
    write_json(checkpoint / STATE, {"step": int(checkpoint.name.partition("-")[2]), "sha256": digests})


def as_pickled_state(checkpoint: Path, content: bytes) -> None:
    (checkpoint / STATE).write_bytes(content)


def as_distributed(checkpoint: Path, content: bytes) -> None:
    """A checkpoint of torch.distributed.checkpoint, which is read with pickle."""
    for file in checkpoint.iterdir():
        file.unlink()
    for name in (".metadata", "__0_0.distcp"):
        (checkpoint / name).write_bytes(content)


@pytest.fixture(params=[as_pickle, as_pickled_state, as_distributed], ids=lambda spoil: spoil.__name__)
def hostile(request: pytest.FixtureRequest, finished: Run, canary: Path, tmp_path: Path) -> Run:
    """An unfinished run whose checkpoints are hostile."""
    runs = tmp_path / "runs"
    shutil.copytree(finished.folder.parent, runs / finished.folder.parent.name)
    run = Run(runs / finished.folder.relative_to(finished.folder.parents[1]))
    (run.folder / "result.json").unlink()
    for checkpoint in run.checkpoints.iterdir():
        request.param(checkpoint, pickle.dumps(Hostile(canary)))
    return run


def test_a_hostile_checkpoint_is_not_continued_from(
    hostile: Run, canary: Path, stores: dict[str, Any], tmp_path: Path
) -> None:
    ended = command(
        "train", hostile.recipe_file, "--store", stores["train"].path, "--runs", hostile.folder.parents[1],
        "--device", "cpu", "--no-compile", said=tmp_path / "said",
    )  # fmt: skip

    assert_refused(ended)
    assert "All checkpoints" in ended.said
    assert not canary.exists()


def test_a_hostile_checkpoint_is_not_converted(hostile: Run, canary: Path, tmp_path: Path) -> None:
    for path in (hostile.folder, max(hostile.checkpoints.iterdir())):
        ended = command("convert", path, "--to", tmp_path / "out.safetensors", said=tmp_path / "said")

        assert_refused(ended)
        assert not (tmp_path / "out.safetensors").exists()
        assert not canary.exists()


@pytest.mark.parametrize("name", ["weights.pth", "weights.pt", "weights.safetensors", "weights.caffemodel"])
def test_a_pickle_among_weights_is_not_run(name: str, canary: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(pickle.dumps(Hostile(canary)))

    ended = command("convert", tmp_path / name, "--to", tmp_path / "out.safetensors", said=tmp_path / "said")

    assert_refused(ended)
    assert name in ended.said
    assert not canary.exists()


def test_a_folder_of_another_kind_of_checkpoint_is_not_read(canary: Path, tmp_path: Path) -> None:
    folder = tmp_path / "step-000000001"
    folder.mkdir()
    as_distributed(folder, pickle.dumps(Hostile(canary)))

    ended = command("convert", folder, "--to", tmp_path / "out.safetensors", said=tmp_path / "said")

    assert_refused(ended, code=Exit.MISSING_INPUT)
    assert not canary.exists()
