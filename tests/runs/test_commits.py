"""What has a name is on the disk: file, then name, then folder, in every commit, so that a power cut undoes nothing."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from alexrepro.data.store.prepare import prepare
from alexrepro.files import append
from alexrepro.runs import rows

from ..toy import Train, write_images

DESCRIPTORS = Path("/proc/self/fd")

pytestmark = pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="finds the names of open files below /proc")


class Event(NamedTuple):
    """A path that was synced or appended to, or one that got another name."""

    kind: str
    path: Path
    name: Path | None = None


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Every sync, append and rename, in its order."""
    events: list[Event] = []
    fsync = os.fsync

    def sync(descriptor: int) -> None:
        events.append(Event("sync", (DESCRIPTORS / str(descriptor)).readlink()))
        fsync(descriptor)

    def logged(call: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
        def rename(path: Path, name: Path) -> None:
            events.append(Event("rename", Path(path), Path(name)))
            call(path, name)

        return rename

    def add(path: Path, text: str) -> None:
        events.append(Event("append", path))
        append(path, text)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "rename", logged(os.rename))
    monkeypatch.setattr(os, "replace", logged(os.replace))
    monkeypatch.setattr(rows, "append", add)
    return events


def commits(log: list[Event]) -> list[tuple[int, Path]]:
    """The index in the log and the final name of every commit, once all are found to be durable.

    Each name is given to something that is on the disk, and the folder is synced before anything else is done.
    """
    found = []
    for index, (_, path, name) in enumerate(log):
        if name is not None and not name.name.endswith(".partial"):  # which is on its way out
            assert Event("sync", path) in log[:index], f"{path} was not synced before it became {name}"
            assert log[index + 1] == Event("sync", name.parent), f"{name.parent} was not synced after {name} came"
            found.append((index, name))
    return found


def test_the_files_of_a_run_and_their_names_reach_the_disk_and_rows_do_before_their_checkpoint(
    toy: Train, tmp_path: Path, log: list[Event]
) -> None:
    run = toy(tmp_path)

    found = commits(log)
    names = {name.name for _, name in found}
    assert names > {"recipe.toml", "environment.json", "pixels.safetensors", "result.json", "state.json"}
    assert names > {"model.safetensors", "optimizer.safetensors", "step-000000003", "step-000000009"}
    assert Event("sync", run.folder.parent) in log  # the folder of a new run has its name, too
    saved = [index for index, name in found if name.name.startswith("step-")]
    for file in (run.metrics_file, run.validation_file):
        last = [[event.kind for event in log[:index] if event.path == file][-1] for index in saved]
        assert last == ["sync"] * 3


def test_the_files_of_a_store_and_their_names_reach_the_disk(tmp_path: Path, log: list[Event]) -> None:
    write_images(tmp_path / "images", {"train": 1})

    store = prepare(tmp_path / "images", out=tmp_path / "stores", workers=1)["train"]

    found = {name for _, name in commits(log)}
    assert store.path in found
    assert {"manifest.json", "mean.npy", "shard-00000.arrow"} < {name.name for name in found}
