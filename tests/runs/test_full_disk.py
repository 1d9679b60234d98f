"""A disk that fills up, has no room, or may not be written: a message, an exit code, and nothing lost."""

import ctypes
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alexrepro.data.store.store import Store
from alexrepro.device import Device
from alexrepro.errors import Exit, UserError
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs import checkpoint
from alexrepro.runs.run import Run, find_runs
from alexrepro.training import train as training
from alexrepro.training.job import TrainingJob
from alexrepro.training.train import train

from ..children import small_disk
from ..data.hostile import Ended, assert_refused, command

UPDATES_PER_EPOCH = 10
MEGABYTE = 1_000_000
CAPABILITIES_VERSION = 0x20080522  # of Linux, for two words of each kind


def fill_disk(folder: Path) -> None:
    """Leave a few bytes of the disk of a folder."""
    with (folder / "ballast").open("wb") as ballast:
        ballast.write(bytes(shutil.disk_usage(folder).free - 8 * resource.getpagesize()))


def limit_files(runs: Path, more_bytes: int) -> None:
    """Let no file of this process grow beyond the rows that a run has and so many bytes; what was said makes room."""
    (metrics,) = runs.rglob("metrics.csv")
    most_bytes = metrics.stat().st_size + more_bytes
    os.ftruncate(2, 0)
    os.lseek(2, 0, os.SEEK_SET)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own; skips where none may be mounted."""
    with small_disk(tmp_path / "disk", 20 * MEGABYTE) as folder:
        yield folder


@pytest.fixture
def trained(stores: dict[str, Store], recipe: Recipe, tmp_path: Path) -> Callable[..., Ended]:
    """`alexrepro train` of the toy into a folder of runs, as a user would call it."""
    brief = recipe.but({"training.batch": 4, "training.epochs": 2})
    (tmp_path / "toy.toml").write_text(brief.to_toml())

    def run(runs: Path, **options: Any) -> Ended:
        return command(
            "train", tmp_path / "toy.toml", "--store", stores["train"].path, "--runs", runs, "--device", "cpu",
            "--no-compile", said=tmp_path / "said", **options,
        )  # fmt: skip

    return run


def full_at(monkeypatch: pytest.MonkeyPatch, update: int, full: Callable[[], object]) -> None:
    """Have the disk fill up in the middle of a training, before this update of the program."""
    cut, done = training.training_crops, []

    def counted(batch: Any, **named: Any) -> Any:
        done.append(1)
        if len(done) == update:
            full()
        return cut(batch, **named)

    monkeypatch.setattr(training, "training_crops", counted)


def assert_whole_after_all(run: Callable[..., Ended], folder: Path, whole: Path) -> None:
    """What is there is good, and the same command ends as if nothing had happened."""
    (before,) = find_runs(folder)
    saved = checkpoint.newest(before.checkpoints)
    assert saved is not None
    assert saved.step == UPDATES_PER_EPOCH
    assert not [path for path in folder.rglob("*") if path.name.endswith(".partial")]
    assert all(len(row) == len(before.metrics[0]) and None not in row.values() for row in before.metrics)
    assert run(folder).code == Exit.OK
    assert results(folder) == results(whole)


def results(folder: Path) -> tuple[list[bytes], list[dict[str, str]], list[dict[str, str]]]:
    (run,) = find_runs(folder)
    (*_, last) = sorted(run.checkpoints.iterdir())
    metrics = [{name: value for name, value in row.items() if name != "images_per_second"} for row in run.metrics]
    return [file.read_bytes() for file in sorted(last.iterdir())], metrics, run.validations


@pytest.mark.slow
@pytest.mark.parametrize(("more_bytes", "file"), [(20_000, "model.safetensors"), (20, "metrics.csv")])
def test_a_file_that_may_not_grow_is_named_and_nothing_is_lost(
    trained: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more_bytes: int, file: str
) -> None:
    assert trained(tmp_path / "whole").code == Exit.OK
    with monkeypatch.context() as patch:
        full_at(patch, UPDATES_PER_EPOCH + 1, lambda: limit_files(tmp_path / "runs", more_bytes))

        ended = trained(tmp_path / "runs")

    assert_refused(ended, code=Exit.IO_ERROR)
    assert file in ended.said
    assert "bytes are needed" in ended.said
    assert_whole_after_all(trained, tmp_path / "runs", tmp_path / "whole")


@pytest.mark.slow
def test_a_disk_that_is_full_at_a_checkpoint_loses_nothing(
    trained: Callable[..., Ended], disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trained(tmp_path / "whole").code == Exit.OK
    with monkeypatch.context() as patch:
        full_at(patch, UPDATES_PER_EPOCH + 1, lambda: fill_disk(disk))

        ended = trained(disk / "runs")

    (disk / "ballast").unlink()
    assert_refused(ended, code=Exit.IO_ERROR)
    assert "No space left on device" in ended.said
    assert "bytes are needed" in ended.said
    assert_whole_after_all(trained, disk / "runs", tmp_path / "whole")


@pytest.fixture
def toy(stores: dict[str, Store], recipe: Recipe, device: Device, tmp_path: Path) -> Callable[..., Run]:
    def run(**options: Any) -> Run:
        return train(
            TrainingJob(recipe, store=stores["train"], validation=None, runs=tmp_path, seed=0, device=device, **options)
        )

    return run


def has_free(monkeypatch: pytest.MonkeyPatch, size: float) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12 - int(size), int(size)))


def test_too_little_room_for_the_checkpoints_is_refused_before_the_first_update(
    toy: Callable[..., Run], recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = 8 * recipe.for_classes(2).network.parameters
    has_free(monkeypatch, 3 * each)  # nothing for the rows
    with pytest.raises(UserError, match="MB free") as refused:
        toy()

    assert refused.value.exit_code is Exit.IO_ERROR
    assert not list(tmp_path.rglob("metrics.csv"))
    has_free(monkeypatch, 3 * each + MEGABYTE)
    assert toy().result is not None


def test_room_that_the_run_takes_already_is_not_asked_for_again(
    toy: Callable[..., Run], recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = toy()
    (run.folder / "result.json").unlink()
    each = 8 * recipe.for_classes(2).network.parameters

    has_free(monkeypatch, each + MEGABYTE)  # two of three are there

    assert toy().result is not None


def obey_modes() -> None:
    """Give up what root may do against the modes of files; for others there is nothing to give up."""
    if os.geteuid() == 0:
        header = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0)
        none = (ctypes.c_uint32 * 6)()
        assert ctypes.CDLL(None).capset(header, none) == 0


def test_a_folder_that_may_not_be_written_is_named(trained: Callable[..., Ended], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir(mode=0o555)

    ended = trained(runs, first=obey_modes)

    assert_refused(ended, code=Exit.NO_PERMISSION)
    assert str(runs) in ended.said


def test_a_run_that_may_not_be_written_is_named(trained: Callable[..., Ended], tmp_path: Path) -> None:
    assert trained(tmp_path / "runs").code == Exit.OK
    (run,) = find_runs(tmp_path / "runs")
    (run.folder / "result.json").unlink()
    for folder in (run.folder, run.checkpoints):
        folder.chmod(0o555)

    ended = trained(tmp_path / "runs", first=obey_modes)

    for folder in (run.folder, run.checkpoints):
        folder.chmod(0o755)
    assert_refused(ended, code=Exit.NO_PERMISSION)
    assert str(run.folder) in ended.said


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_the_place_of_a_folder_is_named(trained: Callable[..., Ended], tmp_path: Path, below: str) -> None:
    (tmp_path / "runs").write_text("not a folder")

    ended = trained(tmp_path / "runs" / below)

    assert_refused(ended, code=Exit.CANNOT_CREATE)
    assert str(tmp_path / "runs") in ended.said


def test_a_disk_that_is_only_read_is_named(trained: Callable[..., Ended], disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)

    ended = trained(disk / "runs")

    assert_refused(ended, code=Exit.CANNOT_CREATE)
    assert str(disk / "runs") in ended.said
