"""A kill at any step of writing or removing a checkpoint loses that one at most, and leaves nothing behind for long."""

import resource
import shutil
import signal
from collections.abc import Callable
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from typing import NamedTuple

import pytest

from alexrepro.runs import checkpoint

from ..children import die_before, exit_of, in_child
from .test_checkpoint import at_step, damage, is_at_step, names

pytestmark = pytest.mark.slow


class Scene(NamedTuple):
    """Saved steps, those of them damaged afterwards, the work that is killed, and steps that may be found after it.

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


def begin(folder: Path, scene: Scene) -> Path:
    """A folder with the checkpoints of a scene, and with one that a crash has left half written."""
    for step in scene.saved:
        saved = checkpoint.save(folder, at_step(step))
        if step in scene.damaged:
            damage(saved / "model.safetensors")
    (folder / ".step-000000009.partial" / "deep").mkdir(parents=True)
    return folder


def kill(scene: Scene, folder: Path, arm: Callable[[], object]) -> int:
    """The exit code of a child that does the work of a scene in a new folder, armed to be killed.

    Afterwards a checkpoint loads that may be found, nothing half written stays, and the work can be done after all.
    """
    begin(folder, scene)

    def work() -> None:
        arm()
        scene.work(folder)

    code = exit_of(in_child(work))
    found = checkpoint.recover(folder)
    assert any(found is None if step is None else is_at_step(found, step) for step in scene.found), folder.name
    assert not list(folder.glob(".*")), folder.name
    scene.work(folder)
    undisturbed = begin(folder.with_name("undisturbed"), scene)
    scene.work(undisturbed)
    assert names(folder) == names(undisturbed), folder.name
    shutil.rmtree(undisturbed)
    return code


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_a_kill_before_every_step_leaves_a_good_checkpoint(scene: Scene, tmp_path: Path) -> None:
    def code_of(step: int) -> int:
        folder = tmp_path / f"killed before step {step}"
        return kill(scene, folder, lambda: die_before(step, folder))

    codes = list(takewhile(bool, map(code_of, count(1))))  # until the work is done before that step

    print(f"{len(codes)} steps")
    assert set(codes) == {-signal.SIGKILL}
    assert len(codes) > 2


def die_beyond(most_bytes: int) -> None:
    """Have this process killed by the system when it writes a file beyond its first bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


def test_a_kill_in_the_middle_of_a_file_leaves_a_good_checkpoint(tmp_path: Path) -> None:
    scene = SCENES["one more"]
    largest = max(file.stat().st_size for file in begin(tmp_path / "whole", scene).rglob("*.*") if file.is_file())

    for most_bytes in range(0, largest, 20):
        folder = tmp_path / f"killed at byte {most_bytes}"
        assert kill(scene, folder, partial(die_beyond, most_bytes)) == -signal.SIGXFSZ
