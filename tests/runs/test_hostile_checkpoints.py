"""Nothing in a checkpoint or a file of weights is ever run: pickles are refused, wherever they are put."""

import pickle
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from alexrepro.data.store.store import Store
from alexrepro.errors import Exit
from alexrepro.files import sha256_of_file, write_json
from alexrepro.runs.paths import MODEL, OPTIMIZER, STATE, step_of
from alexrepro.runs.run import Run

from ..data.hostile import assert_refused, command
from ..toy import Train


class Hostile:
    """An object that makes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Any, ...]]:
        return Path.touch, (self.canary,)


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Load once here what `convert` loads, so that no child spends seconds on it."""
    import_module("alexrepro.evaluation.predict")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file that would be made if the pickle were read."""
    path = tmp_path / "canary"
    pickle.loads(pickle.dumps(Hostile(path)))
    assert path.exists()
    path.unlink()
    return path


@pytest.fixture(scope="module")
def finished(toy: Train, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return toy(tmp_path_factory.mktemp("finished"))


def as_pickle(checkpoint: Path, content: bytes) -> None:
    """Pickles in place of the tensors, with matching checksums."""
    for name in (MODEL, OPTIMIZER):
        (checkpoint / name).write_bytes(content)
    digests = {name: sha256_of_file(checkpoint / name) for name in (MODEL, OPTIMIZER)}
    write_json(checkpoint / STATE, {"step": step_of(checkpoint), "sha256": digests})


def as_pickled_state(checkpoint: Path, content: bytes) -> None:
    (checkpoint / STATE).write_bytes(content)


def as_distributed(checkpoint: Path, content: bytes) -> None:
    """A checkpoint of torch.distributed.checkpoint, which is read with pickle."""
    for file in checkpoint.iterdir():
        file.unlink()
    for name in (".metadata", "__0_0.distcp"):
        (checkpoint / name).write_bytes(content)


@pytest.mark.parametrize("spoil", [as_pickle, as_pickled_state, as_distributed], ids=lambda spoil: spoil.__name__)
def test_a_hostile_checkpoint_is_neither_continued_from_nor_converted(
    spoil: Callable[[Path, bytes], None], finished: Run, canary: Path, stores: dict[str, Store], tmp_path: Path
) -> None:
    recipe_folder = finished.folder.parent
    shutil.copytree(recipe_folder, tmp_path / "runs" / recipe_folder.name)
    run = Run(tmp_path / "runs" / recipe_folder.name / finished.folder.name)
    run.result_file.unlink()
    for checkpoint in run.checkpoints.iterdir():
        spoil(checkpoint, pickle.dumps(Hostile(canary)))
    commands = [
        ("convert", run.folder, "--to", tmp_path / "out.safetensors"),
        ("convert", max(run.checkpoints.iterdir()), "--to", tmp_path / "out.safetensors"),
        ("train", run.recipe_file, "--store", stores["train"].path, "--runs", tmp_path / "runs", "--device", "cpu",
         "--no-compile"),
    ]  # fmt: skip

    for words in commands:
        ended = command(*words, said=tmp_path / "said")

        assert_refused(ended)
        assert not (tmp_path / "out.safetensors").exists()
        assert not canary.exists()
    assert "All checkpoints" in ended.said


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *((f"weights.{ending}", Exit.BAD_DATA) for ending in ("pth", "pt", "safetensors", "caffemodel")),
        ("step-000000001/.metadata", Exit.MISSING_INPUT),  # the folder is no run
    ],
)
def test_a_pickle_among_weights_is_not_run(name: str, code: Exit, canary: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(Hostile(canary)))
    weights = tmp_path / Path(name).parts[0]

    ended = command("convert", weights, "--to", tmp_path / "out.safetensors", said=tmp_path / "said")

    assert_refused(ended, code=code)
    assert weights.name in ended.said
    assert not canary.exists()
