"""A disk that fills up, has no space, or may not be written: a message, an exit code, and nothing lost."""

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
from alexrepro.errors import Exit, UserError
from alexrepro.recipes.recipe import Recipe
from alexrepro.runs import checkpoint
from alexrepro.runs.run import find_runs

from ..children import small_disk
from ..data.hostile import Ended, assert_refused, command
from ..toy import Train, assert_same, before_steps

STEPS_PER_EPOCH = 10
MEGABYTE = 1_000_000
CAPABILITIES_VERSION = 0x20080522  # of Linux, for two words of each kind


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


def fill_disk(runs: Path) -> None:
    """Leave a few bytes of the disk."""
    with (runs.parent / "ballast").open("wb") as ballast:
        ballast.write(bytes(shutil.disk_usage(runs).free - 8 * resource.getpagesize()))


def limit_files(runs: Path, more_bytes: int) -> None:
    """Let no file of this process grow beyond the rows that a run has and some bytes; stderr is a file, too."""
    (metrics,) = runs.rglob("metrics.csv")
    most_bytes = metrics.stat().st_size + more_bytes
    os.ftruncate(2, 0)
    os.lseek(2, 0, os.SEEK_SET)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "fill", "message"),
    [
        ("tmp_path", lambda runs: limit_files(runs, 20_000), "model.safetensors"),
        ("tmp_path", lambda runs: limit_files(runs, 20), "metrics.csv"),
        ("disk", fill_disk, "No space left on device"),
    ],
    ids=["a checkpoint may not grow", "rows may not grow", "full disk"],
)
def test_a_disk_that_is_full_after_an_epoch_is_named_and_nothing_is_lost(  # noqa: PLR0917
    trained: Callable[..., Ended], request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    where: str, fill: Callable[[Path], object], message: str,
) -> None:  # fmt: skip
    runs = request.getfixturevalue(where) / "runs"
    assert trained(tmp_path / "whole").code == Exit.OK
    with monkeypatch.context() as patch:
        before_steps(patch, [STEPS_PER_EPOCH + 1], lambda: fill(runs))
        ended = trained(runs)
    (runs.parent / "ballast").unlink(missing_ok=True)

    assert_refused(ended, code=Exit.IO_ERROR)
    assert message in ended.said
    assert "bytes are needed" in ended.said
    (run,) = find_runs(runs)
    saved = checkpoint.newest(run.checkpoints)
    assert saved is not None
    assert saved.step == STEPS_PER_EPOCH
    assert not [path for path in runs.rglob("*") if path.name.endswith(".partial")]
    assert run.metrics.notna().all(axis=None)
    assert trained(runs).code == Exit.OK
    assert_same(run, *find_runs(tmp_path / "whole"))


def test_too_little_space_for_the_checkpoints_is_refused_before_the_first_step(
    toy: Train, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = 8 * recipe.for_classes(2).network.parameters
    free = [3 * each, 3 * each + MEGABYTE, each + MEGABYTE]  # nothing for the rows; enough; two of three are there
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 0, free[0]))

    with pytest.raises(UserError, match="MB free") as refused:
        toy(tmp_path)
    assert refused.value.exit_code is Exit.IO_ERROR
    assert not list(tmp_path.rglob("metrics.csv"))

    del free[0]
    run = toy(tmp_path)
    run.result_file.unlink()
    del free[0]
    assert toy(tmp_path).result is not None


def obey_modes() -> None:
    """Give up what root may do against the modes of files; for others there is nothing to give up."""
    if os.geteuid() == 0:
        header = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0)
        none = (ctypes.c_uint32 * 6)()
        assert ctypes.CDLL(None).capset(header, none) == 0


def test_a_folder_or_a_run_that_may_not_be_written_is_named(trained: Callable[..., Ended], tmp_path: Path) -> None:
    (tmp_path / "sealed").mkdir(mode=0o555)
    assert trained(tmp_path / "runs").code == Exit.OK
    (run,) = find_runs(tmp_path / "runs")
    run.result_file.unlink()
    for folder in (run.folder, run.checkpoints):
        folder.chmod(0o555)

    for runs, named in ((tmp_path / "sealed", tmp_path / "sealed"), (tmp_path / "runs", run.folder)):
        ended = trained(runs, first=obey_modes)

        assert_refused(ended, code=Exit.NO_PERMISSION)
        assert str(named) in ended.said
    for folder in (run.folder, run.checkpoints):
        folder.chmod(0o755)


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_the_way_is_named(trained: Callable[..., Ended], tmp_path: Path, below: str) -> None:
    (tmp_path / "runs").write_text("not a folder")

    ended = trained(tmp_path / "runs" / below)

    assert_refused(ended, code=Exit.CANNOT_CREATE)
    assert str(tmp_path / "runs") in ended.said


def test_a_disk_that_is_only_read_is_named(trained: Callable[..., Ended], disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)

    ended = trained(disk / "runs")

    assert_refused(ended, code=Exit.CANNOT_CREATE)
    assert str(disk / "runs") in ended.said
