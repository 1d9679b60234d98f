import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from alexrepro.data.sources.miniature import write_miniature
from alexrepro.data.store import preparation, shard_writer
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.data.store.store import Store, find_stores
from alexrepro.errors import Exit, UserError

SMALL_SHARD = 8


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several shards from few images; the split into shards is made in this process."""
    monkeypatch.setattr(preparation, "SHARD_IMAGES", SMALL_SHARD)


def photo_folders(shared_data: Path, folder: Path, count: int) -> Path:
    """The first photographs, each in the folder of its WNID."""
    for photo in sorted((shared_data / "photos").iterdir())[:count]:
        (folder / photo.name[:9]).mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, folder / photo.name[:9])
    return folder


def miniature(folder: Path) -> Path:
    write_miniature(folder, train_per_class=1, val_per_class=1, test_per_class=1)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def pixels(store: Store) -> np.ndarray:
    out = np.empty((len(store), 256, 256, 3), dtype=np.uint8)
    for image in range(len(store)):
        store.pixels(image, out[image])
    return out


@pytest.mark.usefixtures("small_shards")
def test_the_number_of_processes_changes_no_byte(tmp_path: Path) -> None:
    source = miniature(tmp_path / "small") / "train"  # one split: starting processes is what takes the time

    prepare(source, out=tmp_path / "one", workers=1, options=Options(max_bad=1))
    prepare(source, out=tmp_path / "two", workers=2, options=Options(max_bad=1))

    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.usefixtures("small_shards")
def test_an_interrupted_preparation_continues_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = miniature(tmp_path / "small")
    prepare(source, out=tmp_path / "whole", workers=1)
    made = []

    def stop_after_the_first(job: shard_writer.Job) -> None:
        if made:
            raise KeyboardInterrupt
        make_shard(job)
        made.append(job)

    make_shard = shard_writer.make_shard
    with monkeypatch.context() as interrupted:
        interrupted.setattr(shard_writer, "make_shard", stop_after_the_first)
        with pytest.raises(KeyboardInterrupt):
            prepare(source, out=tmp_path / "resumed", workers=1)
    (first,) = (tmp_path / "resumed").rglob("shard-00000.arrow")
    written = first.stat().st_mtime_ns

    train = prepare(source, out=tmp_path / "resumed", workers=1)["train"]

    assert contents(tmp_path / "resumed") == contents(tmp_path / "whole")
    assert (train.path / "shard-00000.arrow").stat().st_mtime_ns == written  # not made again


def test_a_prepared_source_is_recognized(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = miniature(tmp_path / "small")
    first = prepare(source, out=tmp_path / "stores", workers=1)["train"]
    written = (first.path / "manifest.json").stat().st_mtime_ns

    again = prepare(source, out=tmp_path / "stores", workers=1)["train"]

    assert again.path == first.path
    assert (again.path / "manifest.json").stat().st_mtime_ns == written
    assert "already prepared" in capsys.readouterr().err


def test_defects_are_listed_and_never_filled_in(tmp_path: Path) -> None:
    train = prepare(miniature(tmp_path / "small"), out=tmp_path / "stores", workers=1)["train"]

    found = {(defect["class"], defect["reason"].split(":")[0], defect["action"]) for defect in train.manifest.defects}
    assert found == {
        ("n91069355", "CMYK JPEG", "decoded"),
        ("n91520418", "PNG", "decoded"),
        ("n90137742", "truncated JPEG", "left out"),
    }
    assert (len(train), set(range(20)) - set(train.labels.tolist())) == (19, {2})
    assert (train.path / "defects.csv").read_text().count("\n") == 1 + len(train.manifest.defects)


def test_statistics_are_those_of_the_stored_pixels(tmp_path: Path) -> None:
    train = prepare(miniature(tmp_path / "small"), out=tmp_path / "stores", workers=1)["train"]
    stored = pixels(train).astype(np.float64)

    rows = stored.reshape(-1, 3)
    eigenvalues = np.linalg.eigvalsh(np.cov(rows.T, bias=True) / 255**2)[::-1]
    np.testing.assert_allclose(train.mean_image(), stored.mean(axis=0).transpose(2, 0, 1), rtol=1e-7)  # to float32
    np.testing.assert_allclose(train.color_axes().eigenvalues, eigenvalues, atol=1e-11)  # eigensolver in float64
    np.testing.assert_allclose(train.color_axes().mean_rgb, rows.mean(axis=0), rtol=1e-12)  # order of float64 sums


def test_nothing_in_a_store_tells_where_it_was_made(tmp_path: Path) -> None:
    train = prepare(miniature(tmp_path / "small"), out=tmp_path / "stores", workers=1)["train"]

    assert str(tmp_path) not in (train.path / "manifest.json").read_text()
    assert json.loads((train.path / "manifest.json").read_text())["source"] == "small"


def test_a_split_without_a_readable_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos/a").mkdir(parents=True)
    (tmp_path / "photos/a/1.jpg").write_bytes(b"<html>")

    with pytest.raises(UserError, match="HTML"):
        prepare(tmp_path / "photos", out=tmp_path / "stores", workers=1)


@pytest.mark.usefixtures("small_shards")
def test_unreadable_files_stop_unless_allowed_and_the_work_is_kept(tmp_path: Path) -> None:
    source = (
        miniature(tmp_path / "small") / "train"
    )  # without the note that it is the miniature, whose cut file is known
    allowed = prepare(source, out=tmp_path / "allowed", workers=1, options=Options(max_bad=1))["train"]

    with pytest.raises(UserError, match="1 files could not be read; at most 0 are allowed") as refused:
        prepare(source, out=tmp_path / "stores", workers=1)
    assert "--max-bad 1" in refused.value.fix
    assert refused.value.exit_code == Exit.BAD_DATA
    assert "truncated JPEG" in (tmp_path / "stores/unreadable.csv").read_text()
    assert find_stores(tmp_path / "stores") == []
    made = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "stores").rglob("shard-*.arrow")}

    train = prepare(source, out=tmp_path / "stores", workers=1, options=Options(max_bad=1))["train"]

    assert contents(tmp_path / "stores") == contents(tmp_path / "allowed")  # and no unreadable.csv is left behind
    assert {path.name: path.stat().st_mtime_ns for path in train.path.glob("shard-*.arrow")} == made
    assert len(allowed) == len(train) == 19


@pytest.mark.shared
def test_real_photographs_have_no_defect(shared_data: Path, tmp_path: Path) -> None:
    source = photo_folders(shared_data, tmp_path / "photos", 24)

    train = prepare(source, out=tmp_path / "stores", workers=1)["train"]

    assert (len(train), len(train.manifest.classes), train.manifest.defects) == (24, 24, ())
    assert 0.15 < train.color_axes().eigenvalues[0] < 0.26  # 0.20 over 262 photographs, with a wide margin for 24


@pytest.mark.usefixtures("small_shards")
def test_a_stop_just_before_the_end_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = miniature(tmp_path / "small") / "train"
    prepare(source, out=tmp_path / "whole", workers=1, options=Options(max_bad=1))

    def power_cut(self: Path, to: Path) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as interrupted:
        interrupted.setattr(Path, "rename", power_cut)
        with pytest.raises(OSError, match="power cut"):
            prepare(source, out=tmp_path / "resumed", workers=1, options=Options(max_bad=1))
    assert find_stores(tmp_path / "resumed") == []  # the manifest is there, but not yet the name

    prepare(source, out=tmp_path / "resumed", workers=1, options=Options(max_bad=1))

    assert contents(tmp_path / "resumed") == contents(tmp_path / "whole")
