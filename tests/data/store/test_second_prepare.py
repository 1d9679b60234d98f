"""A second preparation: beside another one, on a disk with little room, over damaged work, after errors in reading."""

import errno
import fcntl
import os
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from alexrepro import locks
from alexrepro.data.sources.source import File
from alexrepro.data.store import preparation
from alexrepro.data.store import prepare as preparing
from alexrepro.data.store.preparation import Preparation
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.data.store.store import Store, find_stores
from alexrepro.errors import Exit, UserError
from alexrepro.locks import locked

from ...children import exit_of, in_child
from ..hostile import picture

PHOTOS, SHARD = 6, 2


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six photos for training in three shards, and two for validation in one."""
    monkeypatch.setattr(preparation, "SHARD_IMAGES", SHARD)
    for split, count in (("train", PHOTOS), ("val", 2)):
        for number in range(count):
            file = tmp_path / "source" / split / "ab"[number % 2] / f"{number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(picture(number))
    return tmp_path / "source"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stopped(source: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A preparation of which all shards are made and nothing else; the folder of its training split."""
    with monkeypatch.context() as interrupted:
        interrupted.setattr(Preparation, "finish", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prepare(source, out=out, workers=1)
    return next(out.glob(".preparing-*-train-*/"))


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(preparing.shutil, "disk_usage", lambda _: Usage(10**12, 10**12 - size, size))


def test_room_is_needed_for_the_shards_that_are_missing_only(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stopped(source, tmp_path / "stores", monkeypatch)
    (folder / "shard-00001.summary.json").unlink()
    one_shard = SHARD * preparing.BYTES_AN_IMAGE["jpeg"] + 2 * preparing.BYTES_OF_SUMS  # its sums and the mean image

    free(monkeypatch, one_shard - 1)
    with pytest.raises(UserError, match="free") as refused:
        prepare(source, out=tmp_path / "stores", workers=1)
    free(monkeypatch, one_shard)
    made = prepare(source, out=tmp_path / "stores", workers=1)

    assert refused.value.exit_code == Exit.IO_ERROR
    assert len(made["train"]) == PHOTOS


def test_what_is_prepared_is_recognized_on_a_full_disk(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(source, out=tmp_path / "stores", workers=1)
    free(monkeypatch, 0)

    again = prepare(source, out=tmp_path / "stores", workers=1)

    assert [store.path for store in again.values()] == [store.path for store in first.values()]


def test_a_preparation_waits_for_another_one_by_name_and_finds_its_store(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "stores"
    lock = Path(f"{stopped(source, out, monkeypatch)}.lock")

    def other() -> None:
        with locked(lock, busy=lambda _: None):
            time.sleep(2)

    child = in_child(other)
    while not (lock.exists() and lock.read_text()):
        time.sleep(0.01)
    monkeypatch.setattr(locks, "SAY_EVERY_SECONDS", 0.5)

    prepare(source, out=out, workers=1)

    said = [line for line in capsys.readouterr().err.splitlines() if f"({child} on " in line]
    assert exit_of(child) == 0
    assert len(said) > 1
    assert list(out.glob("*.lock")) == []


def test_two_preparations_do_not_draw_the_same_images_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(folder: Path) -> None:
        (folder / "a").mkdir(parents=True, exist_ok=True)
        (folder / "busy").touch(exist_ok=False)
        time.sleep(0.5)
        (folder / "a/1.jpg").write_bytes(picture())
        (folder / "busy").unlink()

    monkeypatch.setitem(preparing.MADE_OR_FETCHED, "miniature", (draw, "drawn"))

    children = [in_child(lambda: prepare("miniature", out=tmp_path / "stores", workers=1)) for _ in range(2)]

    assert [exit_of(child) for child in children] == [0, 0]


def test_a_disk_without_locks_can_hold_stores(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)

    prepare(source, out=tmp_path / "stores", workers=1)

    assert len(find_stores(tmp_path / "stores")) == 2
    assert capsys.readouterr().err.count("without file locks") == 1


@pytest.mark.parametrize("damaged", ["summary.json", "moments.npz", "arrow"])
def test_a_shard_whose_files_are_lost_is_made_again(
    damaged: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "stores"
    prepare(source, out=whole, workers=1)
    folder = stopped(source, out, monkeypatch)
    (folder / f"shard-00001.{damaged}").unlink()
    (folder / "shard-00001.summary.json").touch()
    if damaged != "summary.json":
        shutil.copy(folder / "shard-00000.summary.json", folder / "shard-00001.summary.json")

    prepare(source, out=out, workers=1)

    assert contents(out) == contents(whole)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.ENOENT], ids=errno.errorcode.get)
def test_a_photo_that_the_system_cannot_read_is_named_and_tried_again(
    number: int, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "stores"
    prepare(source, out=whole, workers=1)
    with monkeypatch.context() as failing:
        fail_at(failing, "3.jpg", number)
        with pytest.raises(UserError, match=r"1 files could not be read.*b/3\.jpg") as refused:
            prepare(source, out=out, workers=1)
        listed = (out / "unreadable.csv").read_text()

    prepare(source, out=out, workers=1)

    assert refused.value.exit_code == Exit.BAD_DATA
    assert f"train/b/3.jpg,b,cannot be read: {os.strerror(number)},left out" in listed
    assert contents(out) == contents(whole)


def test_a_photo_that_the_system_cannot_read_may_be_left_out(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, "3.jpg", errno.EIO)

    train: Store = prepare(source, out=tmp_path / "stores", workers=1, options=Options(max_bad=1))["train"]

    assert (len(train), [defect["path"] for defect in train.manifest.defects]) == (PHOTOS - 1, ["train/b/3.jpg"])


def test_too_many_open_files_are_not_the_fault_of_a_photo(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, "3.jpg", errno.EMFILE)

    with pytest.raises(OSError, match="Too many open files"):
        prepare(source, out=tmp_path / "stores", workers=1, options=Options(max_bad=1))


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    """Have the reading of one training photo fail with an error of the system."""
    read = File.read

    def reading(self: File) -> bytes:
        if self.path.name == name and "train" in self.path.parts:
            raise OSError(number, os.strerror(number), str(self.path))
        return read(self)

    monkeypatch.setattr(File, "read", reading)
