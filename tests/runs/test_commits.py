"""What has a name is on the disk: file, then name, then folder, in every commit, so that a power cut undoes nothing."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from alexrepro.data.store.prepare import prepare
from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.files import append
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs import rows
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train

DESCRIPTORS = Path("/proc/self/fd")

pytestmark = pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="finds the names of open files below /proc")


class Event(NamedTuple):
    """A path that was synced or appended to, or one that got another name."""

    kind: str
    path: Path
    name: Path | None = None


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Everything that is synced, appended to and renamed, in its order."""
    events: list[Event] = []
    fsync, rename, replace = os.fsync, os.rename, os.replace

    def sync(descriptor: int) -> None:
        events.append(Event("sync", (DESCRIPTORS / str(descriptor)).readlink()))
        fsync(descriptor)

    def naming(call: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
        def named(path: Path, name: Path) -> None:
            events.append(Event("rename", Path(path), Path(name)))
            call(path, name)

        return named

    def adding(path: Path, text: str) -> None:
        events.append(Event("append", path))
        append(path, text)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "rename", naming(rename))
    monkeypatch.setattr(os, "replace", naming(replace))
    monkeypatch.setattr(rows, "append", adding)
    return events


def names_given(log: list[Event]) -> list[tuple[int, Event, Path]]:
    """Every commit: its place in the log, what was renamed, and its final name; what is on its way out is left out."""
    found = [(place, event, event.name) for place, event in enumerate(log) if event.name is not None]
    return [(place, event, name) for place, event, name in found if not name.name.endswith(".partial")]


def assert_durable(log: list[Event]) -> None:
    """Each name is given to something that is on the disk, and the folder is synced before anything else is done."""
    for place, event, name in names_given(log):
        assert Event("sync", event.path) in log[:place], f"{event.path} was not synced before it became {name}"
        assert log[place + 1] == Event("sync", name.parent), f"{name.parent} was not synced after {name} came"


def test_the_files_of_a_run_and_their_names_reach_the_disk(
    stores: dict[str, Store], recipe: Recipe, device: Device, tmp_path: Path, log: list[Event]
) -> None:
    run = train(
        TrainingJob(recipe, store=stores["train"], validation=stores["val"], runs=tmp_path, seed=0, device=device)
    )

    assert_durable(log)
    committed = {name.name for _, _, name in names_given(log)}
    assert committed > {"recipe.toml", "environment.json", "pixels.safetensors", "result.json", "state.json"}
    assert committed > {"model.safetensors", "optimizer.safetensors", "step-000000003", "step-000000009"}
    assert Event("sync", run.folder.parent) in log  # the folder of a new run has its name, too


def test_the_rows_of_the_updates_are_on_the_disk_before_their_checkpoint(
    stores: dict[str, Store], recipe: Recipe, device: Device, tmp_path: Path, log: list[Event]
) -> None:
    run = train(
        TrainingJob(recipe, store=stores["train"], validation=stores["val"], runs=tmp_path, seed=0, device=device)
    )

    saved = [place for place, _, name in names_given(log) if name.name.startswith("step-")]
    assert len(saved) == 3
    for file in (run.metrics_file, run.validation_file):
        last = [[event.kind for event in log[:place] if event.path == file][-1] for place in saved]
        assert last == ["sync"] * 3


def test_the_files_of_a_store_and_their_names_reach_the_disk(tmp_path: Path, log: list[Event]) -> None:
    for kind in ("a", "b"):
        photo = tmp_path / "photos" / kind / "0.png"
        photo.parent.mkdir(parents=True)
        Image.fromarray(np.zeros((40, 50, 3), dtype=np.uint8)).save(photo)

    (store,) = prepare(tmp_path / "photos", out=tmp_path / "stores", workers=1).values()

    assert_durable(log)
    committed = {name for _, _, name in names_given(log)}
    assert store.path in committed
    assert {"manifest.json", "mean.npy", "shard-00000.arrow"} < {name.name for name in committed}
