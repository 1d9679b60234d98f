"""A kill at any step of writing or removing a checkpoint loses that one at most, and leaves nothing behind for long."""

import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from alexrepro.runs import checkpoint

from ..children import die_before, exit_of, in_child
from .test_checkpoint import at_step, damage, is_at_step, names

pytestmark = pytest.mark.slow


class Scene(NamedTuple):
    """Steps that are saved, those of them damaged afterwards, what is done then, and steps that may be found after it.

    A step that may be found is one that was whole before, or the new one.
    """

    saved: tuple[int, ...]
    damaged: tuple[int, ...]
    work: Callable[[Path], object]
    found: tuple[int | None, ...]


SCENES = {
    "the first": Scene((), (), lambda folder: checkpoint.save(folder, at_step(1)), (None, 1)),
    "one more": Scene((1, 2), (), lambda folder: checkpoint.save(folder, at_step(3)), (2, 3)),
    "the same again": Scene((1, 2), (2,), lambda folder: checkpoint.save(folder, at_step(2)), (1, 2)),
    "recovery": Scene((1, 2), (2,), checkpoint.recover, (1,)),
}


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a kill leaves what was written, waited for or not
    return SCENES[request.param]


def begin(folder: Path, scene: Scene) -> Path:
    """A folder with the checkpoints of a scene, and with one that a crash has left half written."""
    for step in scene.saved:
        saved = checkpoint.save(folder, at_step(step))
        if step in scene.damaged:
            damage(saved / "model.safetensors")
    (folder / ".step-000000009.partial" / "deep").mkdir(parents=True)
    return folder


def test_a_kill_before_every_step_leaves_a_good_checkpoint(scene: Scene, tmp_path: Path) -> None:
    undisturbed = begin(tmp_path / "undisturbed", scene)
    scene.work(undisturbed)
    template = begin(tmp_path / "template", scene)
    step, killed = 0, True

    while killed:
        step += 1
        folder = tmp_path / f"killed-{step}"
        shutil.copytree(template, folder)
        killed = exit_of(in_child(lambda folder=folder, step=step: _dying(scene, folder, step))) == -signal.SIGKILL
        assert_good(folder, scene, undisturbed, f"after a kill before step {step}")

    print(f"{step - 1} steps")
    assert step > 3


def _dying(scene: Scene, folder: Path, step: int) -> None:
    die_before(step, folder)
    scene.work(folder)


def assert_good(folder: Path, scene: Scene, undisturbed: Path, when: str) -> None:
    """A checkpoint loads that may be found, nothing half written stays, and the work can be done after all."""
    found = checkpoint.recover(folder)
    assert any(found is None if step is None else is_at_step(found, step) for step in scene.found), when
    assert not list(folder.glob(".*")), when
    scene.work(folder)
    assert names(folder) == names(undisturbed), when


@pytest.mark.parametrize("scene", ["one more"], indirect=True)
def test_a_kill_in_the_middle_of_a_file_leaves_a_good_checkpoint(scene: Scene, tmp_path: Path) -> None:
    undisturbed = begin(tmp_path / "undisturbed", scene)
    scene.work(undisturbed)
    template = begin(tmp_path / "template", scene)
    largest = max(file.stat().st_size for file in undisturbed.rglob("*.*"))

    for most_bytes in range(0, largest, 10):
        folder = tmp_path / f"killed-at-{most_bytes}"
        shutil.copytree(template, folder)
        code = exit_of(in_child(lambda folder=folder, most_bytes=most_bytes: _dying_at(scene, folder, most_bytes)))
        assert code == -signal.SIGXFSZ
        assert_good(folder, scene, undisturbed, f"after a kill at byte {most_bytes}")


def _dying_at(scene: Scene, folder: Path, most_bytes: int) -> None:
    """Be killed by the system while writing the byte after so many of a file."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    scene.work(folder)
