"""Damaged and odd files end in two lines and an exit code, or are left out and listed, in bounded memory and time."""

import gzip
import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.io import savemat
from typer.testing import CliRunner

from alexrepro.cli.app import app
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.data.store.store import Store, find_stores
from alexrepro.errors import Exit, UserError

from ..hostile import END_OF_TAR, assert_done, class_tar, member, picture, prepared, train_tar, zip_of
from ..layouts import write

TRAIN_TAR, TABLE, SHARD = "ILSVRC2012_img_train.tar", "train-00000-of-00001.parquet", "set-train-0000.tar"
ZIP, CLASS = "imagenet-object-localization-challenge.zip", "ILSVRC/Data/CLS-LOC/train/n00000001"


WHOLE = train_tar()
LAST = WHOLE.rindex(b"n00000002.tar")


def parquet(labels: list[Any], column: str = "image") -> bytes:
    rows = [{"bytes": picture(number), "path": f"{number}.jpg"} for number in range(len(labels))]
    stream = io.BytesIO()
    pq.write_table(pa.table({column: rows, "label": labels}), stream)
    return stream.getvalue()


def sample(label: bytes) -> bytes:
    return member("a.jpg", picture()) + member("a.cls", label) + END_OF_TAR


def zipped(truth: bytes | None = None, **more: bytes) -> bytes:
    files = {f"{CLASS}/n00000001_1.JPEG": picture(), **{f"{CLASS}/{name}.JPEG": data for name, data in more.items()}}
    if truth is not None:
        files |= {"ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000001.JPEG": picture(1), "LOC_val_solution.csv": truth}
    return zip_of(files)


def meta(*rows: tuple[Any, ...]) -> bytes:
    names = ("ILSVRC2012_ID", "WNID", "words", "num_children", "num_train_images")
    stream = io.BytesIO()
    savemat(stream, {"synsets": np.array(list(rows), dtype=[(name, object) for name in names])})
    return stream.getvalue()


FIRST, SECOND = (1, "n00000001", "one", 0, 1), (2, "n00000002", "two", 0, 1)
META, DEVKIT = "meta.mat", "ILSVRC2012_devkit_t12.tar.gz"
REFUSED: dict[str, tuple[str, bytes]] = {
    "empty tar": (TRAIN_TAR, b""),
    "web page for a tar": (TRAIN_TAR, b"<html>" * 200),
    "tar of zeros": (TRAIN_TAR, bytes(10_240)),
    "tar without an end": (TRAIN_TAR, train_tar(end=b"")),
    "tar cut at a header": (TRAIN_TAR, WHOLE[:LAST]),
    "tar cut in a header": (TRAIN_TAR, WHOLE[: LAST + 100]),
    "class tar cut short": (TRAIN_TAR, member("n00000001.tar", class_tar("n00000001")[:-1500]) + END_OF_TAR),
    "tar with a hole of zeros": (TRAIN_TAR, train_tar(END_OF_TAR + bytes(2_000_000))),
    "tar with a flipped bit": (TRAIN_TAR, WHOLE[: LAST + 120] + b"\1" + WHOLE[LAST + 121 :]),
    "text for Parquet": (TABLE, b"no Parquet " * 20),
    "empty Parquet": (TABLE, b""),
    "Parquet cut short": (TABLE, parquet([0, 1])[:-100]),
    "Parquet with a hole": (TABLE, parquet([0, 1])[:100] + parquet([0, 1])[-300:]),
    "Parquet without images": (TABLE, parquet([0, 1], column="text")),
    "Parquet with fractions for labels": (TABLE, parquet([0.5, 1.0])),
    "Parquet without labels": (TABLE, parquet([-1, -1])),
    "sample with a word for a label": (SHARD, sample(b"cat")),
    "sample with a huge label": (SHARD, sample(b"999999999")),
    "sample with 10 MB for a label": (SHARD, sample(b"1" * 10_000_000)),
    "shard without samples": (SHARD, END_OF_TAR),
    "shard cut short": (SHARD, sample(b"0")[:-1024]),
    "Kaggle's table with other columns": (ZIP, zipped(b"a,b\n1,2")),
    "Kaggle's table with a short row": (ZIP, zipped(b"ImageId,PredictionString\nILSVRC2012_val_00000001")),
    "another pickle for CIFAR-10": ("batches.meta", pickle.dumps({"label_names": 5})),
    "devkit cut short": (DEVKIT, gzip.compress(member("data/meta.mat", bytes(range(256)) * 9) + END_OF_TAR)[:90]),
    "text for meta.mat": (META, b"no MATLAB file " * 20),
    "an id left out": (META, meta(FIRST, (3, *SECOND[1:]))),
    "a path for a WNID": (META, meta(FIRST, (2, "../../n00000002", "two", 0, 1))),
    "a WNID twice": (META, meta(FIRST, (2, *FIRST[1:]))),
    "a matrix for an id": (META, meta((np.zeros((3, 3)), *FIRST[1:]))),
    "infinitely many images": (META, meta((*FIRST[:4], np.inf))),
}


def source_of(tmp_path: Path, name: str, content: bytes) -> Path:
    file = tmp_path / "work" / "source" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return tmp_path / "work" / "source"


def refused(source: Path, named: str) -> None:
    with pytest.raises(UserError) as found:
        prepare(source, out=source.parent / "stores", workers=1, options=Options(max_bad=1000, allow_partial=True))
    assert found.value.exit_code is Exit.BAD_DATA
    assert named in found.value.what


@pytest.mark.parametrize(("name", "content"), REFUSED.values(), ids=REFUSED)
def test_a_damaged_source_is_refused_by_name(name: str, content: bytes, tmp_path: Path) -> None:
    source = source_of(tmp_path, name, content)
    if name in (META, DEVKIT):
        (source / TRAIN_TAR).write_bytes(WHOLE)

    refused(source, "LOC_val_solution.csv" if name == ZIP else name)


@pytest.mark.parametrize(
    "put", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")], ids=["folder", "pipe", "dangling link"]
)
def test_what_is_not_a_file_is_no_archive(put: Callable[[Path], None], tmp_path: Path) -> None:
    source = source_of(tmp_path, "readme.txt", b"")
    put(source / TRAIN_TAR)

    refused(source, TRAIN_TAR)


def saved(kind: str, size: tuple[int, int] = (8000, 5000), **options: Any) -> bytes:
    """By default an image of 40 megapixels, which is more than Pillow may read."""
    stream = io.BytesIO()
    Image.new(options.pop("mode", "RGB"), size, options.pop("color", 0)).save(stream, kind, **options)
    return stream.getvalue()


def scans() -> bytes:
    """A progressive JPEG whose last scan comes a thousand times."""
    data = saved("JPEG", (2000, 2000), progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * 1000 + data[-2:]


LEFT_OUT: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a file of 10 GB": lambda path: path.touch() or os.truncate(path, 10_000_000_000),
    "PNG of 40 megapixels": lambda path: path.write_bytes(saved("PNG")),
    "progressive JPEG of 40 megapixels": lambda path: path.write_bytes(saved("JPEG", progressive=True)),
    "JPEG of 1,000 scans": lambda path: path.write_bytes(scans()),
}


def opened(source: Path) -> Store:
    (store,) = find_stores(source.parent / "stores")
    return store


@pytest.mark.parametrize("make", LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_not_an_image_is_left_out_and_listed(make: Callable[[Path], object], tmp_path: Path) -> None:
    source = source_of(tmp_path, "a/good.jpg", picture())
    make(source / "a/odd.JPEG")

    assert_done(prepared(source, "--max-bad", 1))

    assert (len(opened(source)), [defect["action"] for defect in opened(source).manifest.defects]) == (1, ["left out"])


@pytest.mark.parametrize(
    "data",
    [saved("JPEG", (9300, 6500)), saved("PNG", (4000, 3400)), saved("JPEG", (1, 60_000))],
    ids=["JPEG of 60 megapixels", "PNG of 13 megapixels", "JPEG of 1x60000"],
)
def test_a_large_or_narrow_image_is_prepared_in_bounded_memory(data: bytes, tmp_path: Path) -> None:
    assert_done(prepared(source_of(tmp_path, "a/large.jpg", data)))


def directory_entry(archive: bytes, position: int, value: bytes) -> bytes:
    """The archive with other bytes in the last entry of its directory (APPNOTE 4.3.12)."""
    start = archive.rindex(b"PK\1\2") + position
    return archive[:start] + value + archive[start + len(value) :]


ZIPS = {
    "128 MB of zeros": lambda: zipped(n00000001_2=bytes(1 << 27)),
    "more than its size": lambda: directory_entry(zipped(n00000001_2=bytes(1 << 20)), 24, bytes(4)),
    "an offset beyond the end": lambda: directory_entry(zipped(n00000001_2=picture(1)), 42, b"\xf0\xff\xff\xff"),
}


@pytest.mark.parametrize("write", ZIPS.values(), ids=ZIPS)
def test_a_damaged_member_of_a_zip_is_left_out_and_listed(write: Callable[[], bytes], tmp_path: Path) -> None:
    source = source_of(tmp_path, ZIP, write())

    assert_done(prepared(source, "--max-bad", 1))

    assert len(opened(source)) == 1


def test_nothing_is_written_where_the_names_in_an_archive_point(tmp_path: Path) -> None:
    links = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)
    more = b"".join(member(f"n1000000{number}.tar", kind=kind, link="/etc/passwd") for number, kind in enumerate(links))
    more += member("../../n20000000.tar", class_tar("n00000001"))
    more += member(f"{tmp_path}/work/n30000000.tar", class_tar("n00000002"))
    source = source_of(tmp_path, TRAIN_TAR, train_tar(more))

    assert_done(prepared(source))  # which compares everything around the stores

    assert opened(source).manifest.classes == ("n00000001", "n00000002", "n20000000", "n30000000")


def test_names_with_control_characters_and_other_bytes_are_escaped(tmp_path: Path) -> None:
    name = "a\n\x1b[31m\udcff"
    source = source_of(tmp_path, SHARD, member(f"{name}.jpg", picture()) + member(f"{name}.cls", b"0") + END_OF_TAR)

    assert_done(prepared(source))

    assert opened(source).name(0) == r"a\n\x1b[31m\xff.jpg"


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["table", "json"])
def test_the_command_prints_names_that_are_no_utf8(options: tuple[str, ...], tmp_path: Path) -> None:
    for name, content in ((b"\xe4/1\xe4.jpg", picture()), (b"\xf6/1\xf6.jpg", picture()), (b"\xf6/2\xf6.jpg", b"none")):
        write(tmp_path / "source" / os.fsdecode(name), content)

    arguments = ("prepare", tmp_path / "source", "--out", tmp_path / "stores", "--max-bad", 1, "--workers", 1)

    assert CliRunner().invoke(app, [*map(str, arguments), *options]).exit_code == Exit.OK
