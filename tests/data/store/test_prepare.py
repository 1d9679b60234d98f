"""What a preparation writes, and what a second one does: recognize, wait, make lost shards and unread images again."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from alexrepro import locks
from alexrepro.data.sources.miniature import write_miniature
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
from .folders import contents, write_images

IMAGES, SHARD = 6, 2  # in the training split


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The training store of a miniature of one image a class."""
    folder = tmp_path_factory.mktemp("miniature")
    write_miniature(folder / "small", train_per_class=1, val_per_class=1, test_per_class=1)
    return prepare(folder / "small", out=folder / "stores", workers=1)["train"]


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six training images in three shards, and two validation images in one."""
    monkeypatch.setattr(preparation, "SHARD_IMAGES", SHARD)
    write_images(tmp_path / "source/train", each=IMAGES // 2)
    write_images(tmp_path / "source/val", each=1)
    return tmp_path / "source"


def stopped(source: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make all shards and nothing else; the folder of the training split."""
    with monkeypatch.context() as interrupted:
        interrupted.setattr(Preparation, "finish", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prepare(source, out=out, workers=1)
    return next(out.glob(".preparing-*-train-*/"))


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(preparing.shutil, "disk_usage", lambda _: SimpleNamespace(free=size))


def fail_at(monkeypatch: pytest.MonkeyPatch, path: str, number: int) -> None:
    """Have the reading of one image fail with an error of the system."""
    read = File.read

    def reading(self: File) -> bytes:
        if self.path.as_posix().endswith(path):
            raise OSError(number, os.strerror(number), str(self.path))
        return read(self)

    monkeypatch.setattr(File, "read", reading)


def test_the_number_of_processes_changes_no_byte(source: Path, tmp_path: Path) -> None:
    prepare(source / "train", out=tmp_path / "one", workers=1)
    prepare(source / "train", out=tmp_path / "two", workers=2)

    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_defects_are_listed_and_never_filled_in(miniature: Store) -> None:
    defects = miniature.manifest.defects

    assert {(defect["class"], defect["reason"].split(":")[0], defect["action"]) for defect in defects} == {
        ("n91069355", "CMYK JPEG", "decoded"),
        ("n91520418", "PNG", "decoded"),
        ("n90137742", "truncated JPEG", "left out"),
    }
    assert (len(miniature), set(range(20)) - set(miniature.labels.tolist())) == (19, {2})
    assert (miniature.path / "defects.csv").read_text().count("\n") == 1 + len(defects)


def test_statistics_are_those_of_the_stored_pixels(miniature: Store) -> None:
    stored = np.stack([miniature.pixels(image) for image in range(len(miniature))]).astype(np.float64)

    rows = stored.reshape(-1, 3)
    eigenvalues = np.linalg.eigvalsh(np.cov(rows.T, bias=True) / 255**2)[::-1]
    np.testing.assert_allclose(miniature.mean_image(), stored.mean(axis=0).transpose(2, 0, 1), rtol=1e-7)  # to float32
    np.testing.assert_allclose(miniature.color_axes().eigenvalues, eigenvalues, atol=1e-11)  # eigensolver in float64
    np.testing.assert_allclose(miniature.color_axes().mean_rgb, rows.mean(axis=0), rtol=1e-12)  # order of float64 sums


def test_nothing_in_a_store_reveals_where_it_was_made(miniature: Store) -> None:
    manifest = (miniature.path / "manifest.json").read_text()

    assert str(miniature.path.parents[1]) not in manifest
    assert json.loads(manifest)["source"] == "small"


def test_a_split_without_a_readable_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images/a").mkdir(parents=True)
    (tmp_path / "images/a/1.jpg").write_bytes(b"<html>")

    with pytest.raises(UserError, match="HTML"):
        prepare(tmp_path / "images", out=tmp_path / "stores", workers=1)


def test_unreadable_files_stop_unless_allowed_and_the_work_is_kept(source: Path, tmp_path: Path) -> None:
    (source / "train/a/0.png").write_bytes(picture()[:-100])
    prepare(source, out=tmp_path / "allowed", workers=1, options=Options(max_bad=1))
    out = tmp_path / "stores"

    with pytest.raises(UserError, match="1 files could not be read; at most 0 are allowed") as refused:
        prepare(source, out=out, workers=1)
    assert "--max-bad 1" in refused.value.fix
    assert refused.value.exit_code == Exit.BAD_DATA
    assert "truncated JPEG" in (out / "unreadable.csv").read_text()
    assert find_stores(out) == []
    written = sorted(path.stat().st_mtime_ns for path in out.rglob("shard-*.arrow"))

    train = prepare(source, out=out, workers=1, options=Options(max_bad=1))["train"]

    assert contents(out) == contents(tmp_path / "allowed")  # and no unreadable.csv is left behind
    assert sorted(path.stat().st_mtime_ns for path in out.rglob("shard-*.arrow")) == written
    assert len(train) == IMAGES - 1


@pytest.mark.shared
def test_real_images_have_no_defect(shared_data: Path, tmp_path: Path) -> None:
    for image in sorted((shared_data / "photos").iterdir())[:24]:
        (tmp_path / "images" / image.name[:9]).mkdir(parents=True, exist_ok=True)
        shutil.copy(image, tmp_path / "images" / image.name[:9])

    train = prepare(tmp_path / "images", out=tmp_path / "stores", workers=1)["train"]

    assert (len(train), len(train.manifest.classes), train.manifest.defects) == (24, 24, ())
    assert 0.15 < train.color_axes().eigenvalues[0] < 0.26  # 0.20 over 262 images, with a wide margin for 24


def test_an_unchanged_source_is_known_by_names_sizes_and_times(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, listed = tmp_path / "stores", []
    recognize = preparing.recognize
    monkeypatch.setattr(preparing, "recognize", lambda *a, **named: listed.append(1) or recognize(*a, **named))
    first = prepare(source, out=out, workers=1)

    again = prepare(source, out=out, workers=1)
    assert ([store.path for store in again.values()], len(listed)) == ([store.path for store in first.values()], 1)
    assert capsys.readouterr().err.count("by their names, sizes and times") == 2
    prepare(source, out=out, workers=1, options=Options(read_again=True))
    os.utime(source / "train/a/0.png", ns=(1, 1))
    prepare(source, out=out, workers=1)
    assert len(listed) == 3
    write_images(source / "test", each=1)
    assert prepare(source, out=out, workers=1).keys() == {"train", "val", "test"}
    shutil.rmtree(first["val"].path)
    assert prepare(source, out=out, workers=1)["val"].path == first["val"].path


def test_preparing_does_not_load_torch(source: Path, tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from alexrepro.data.store.prepare import prepare; "
    code += "prepare(sys.argv[1], out=Path(sys.argv[2]), workers=int(sys.argv[3])); sys.exit('torch' in sys.modules)"

    for workers in ("1", "2"):
        out = tmp_path / workers
        assert subprocess.run([sys.executable, "-c", code, source, out, workers], check=False).returncode == 0


def test_disk_space_is_needed_for_missing_shards_only(
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
    assert len(made["train"]) == IMAGES


def test_finished_stores_are_recognized_on_a_full_disk(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = prepare(source, out=tmp_path / "stores", workers=1)
    free(monkeypatch, 0)

    again = prepare(source, out=tmp_path / "stores", workers=1)

    assert [store.path for store in again.values()] == [store.path for store in first.values()]
    assert capsys.readouterr().err.count("already prepared") == 2


def test_a_preparation_waits_for_another_one_by_name_and_finds_its_store(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "stores"
    lock = Path(f"{stopped(source, out, monkeypatch)}.lock")

    def other() -> None:
        with locked(lock, busy=lambda _: None):
            time.sleep(0.6)

    child = in_child(other)
    while not (lock.exists() and lock.read_text()):
        time.sleep(0.01)
    monkeypatch.setattr(locks, "SAY_EVERY_SECONDS", 0.1)

    prepare(source, out=out, workers=1)

    said = [line for line in capsys.readouterr().err.splitlines() if f"({child} on " in line]
    assert exit_of(child) == 0
    assert len(said) > 1
    assert list(out.glob("*.lock")) == []


def test_two_preparations_do_not_draw_the_same_images_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(folder: Path) -> None:
        (folder / "a").mkdir(parents=True, exist_ok=True)
        (folder / "busy").touch(exist_ok=False)
        time.sleep(0.2)
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


@pytest.mark.parametrize("lost", ["summary.json", "moments.npz", "arrow"])
def test_a_shard_that_lost_a_file_is_made_again(
    lost: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(source, out=tmp_path / "whole", workers=1)
    folder = stopped(source, tmp_path / "stores", monkeypatch)
    (folder / f"shard-00001.{lost}").unlink()
    if lost == "summary.json":
        (folder / "shard-00001.summary.json").touch()

    prepare(source, out=tmp_path / "stores", workers=1)

    assert contents(tmp_path / "stores") == contents(tmp_path / "whole")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.ENOENT], ids=errno.errorcode.get)
def test_an_image_that_the_system_cannot_read_is_named_and_tried_again(
    number: int, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "stores"
    prepare(source, out=tmp_path / "whole", workers=1)
    with monkeypatch.context() as failing:
        fail_at(failing, "train/b/1.png", number)
        with pytest.raises(UserError, match=r"1 files could not be read.*b/1\.png") as refused:
            prepare(source, out=out, workers=1)
        listed = (out / "unreadable.csv").read_text()

    prepare(source, out=out, workers=1)

    assert refused.value.exit_code == Exit.BAD_DATA
    assert f"train/b/1.png,b,cannot be read: {os.strerror(number)},left out" in listed
    assert contents(out) == contents(tmp_path / "whole")


def test_an_image_that_the_system_cannot_read_may_be_left_out(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, "train/b/1.png", errno.EIO)

    train = prepare(source, out=tmp_path / "stores", workers=1, options=Options(max_bad=1))["train"]

    assert [defect["path"] for defect in train.manifest.defects] == ["train/b/1.png"]
    assert len(train) == IMAGES - 1


def test_too_many_open_files_are_not_blamed_on_an_image(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, "train/b/1.png", errno.EMFILE)

    with pytest.raises(OSError, match="Too many open files"):
        prepare(source, out=tmp_path / "stores", workers=1, options=Options(max_bad=1))
