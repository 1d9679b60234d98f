"""Tars that are damaged or lie end in two lines and exit code 65; nothing is written outside, no memory is filled."""

import gzip
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from alexrepro.data.store.store import Store, find_stores

from ..hostile import END_OF_TAR, assert_done, assert_refused, forged, member, picture, prepared, promising

TAR = "ILSVRC2012_img_train.tar"
WNIDS = ("n00000001", "n00000002")
IMAGES = {wnid: [(f"{wnid}_{number}.JPEG", picture(number)) for number in range(2)] for wnid in WNIDS}
ANNOUNCES = {"name": tarfile.GNUTYPE_LONGNAME, "record": tarfile.XHDTYPE}


def class_tar(wnid: str, more: bytes = b"", end: bytes = END_OF_TAR) -> bytes:
    return b"".join(member(name, data) for name, data in IMAGES[wnid]) + more + end


def train_tar(more: bytes = b"", end: bytes = END_OF_TAR) -> bytes:
    return b"".join(member(f"{wnid}.tar", class_tar(wnid)) for wnid in WNIDS) + more + end


def with_inner(inner: bytes) -> bytes:
    return member("n00000001.tar", inner) + END_OF_TAR


def broken_at(whole: bytes, name: str, place: int) -> bytes:
    at = whole.rindex(name.encode()) + place
    return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]


DAMAGED = {
    "empty": b"",
    "html": b"<html>" * 200,
    "no end": train_tar(end=b""),
    "cut at a header": train_tar()[: train_tar().rindex(b"n00000002.tar")],
    "cut in a header": train_tar()[: train_tar().rindex(b"n00000002.tar") + 100],
    "cut in the data": train_tar()[: train_tar().rindex(b"n00000002.tar") + 1000],
    "a hole of zeros": train_tar(END_OF_TAR + bytes(2_000_000)),
    "two tars in one": train_tar(END_OF_TAR + bytes(1_000_000) + train_tar()),
    "bad checksum": broken_at(train_tar(), "n00000002.tar", 120),
    "bad checksum within": with_inner(broken_at(class_tar(WNIDS[0]), "_1.JPEG", 110)),
    "cut at a header within": with_inner(class_tar(WNIDS[0])[: class_tar(WNIDS[0]).rindex(b"n00000001_1.JPEG")]),
    "cut in a header within": with_inner(class_tar(WNIDS[0])[: class_tar(WNIDS[0]).rindex(b"n00000001_1.JPEG") + 90]),
    "promises more": train_tar(promising("n00000003.tar", 1 << 30)),
    "promises more within": with_inner(class_tar(WNIDS[0], promising("n00000001_9.JPEG", 1 << 12), end=b"")),
    "promises the whole disk": train_tar(promising("n00000003.tar", 1 << 70)),
    "negative size": train_tar(promising("x", -1024)),
    "negative name": train_tar(promising("x", -1024, kind=tarfile.XHDTYPE)),
    "sparse": with_inner(class_tar(WNIDS[0], member("n00000001_9.JPEG", kind=tarfile.GNUTYPE_SPARSE))),
    "sparse map": train_tar(forged(member("x", kind=tarfile.GNUTYPE_SPARSE), 482, b"\1") + b"\1" * 5_000_000),
    "record without length": train_tar(member("x", b"path=a\n", kind=tarfile.XHDTYPE)),
    "record too long": train_tar(member("x", b"999 path=a\n", kind=tarfile.XHDTYPE)),
    "record too short": train_tar(member("x", b"1 path=a\n", kind=tarfile.XHDTYPE)),
    "record of a size": train_tar(member("x", b"12 size=-99\n", kind=tarfile.XHDTYPE) + member("y")),
}  # fmt: skip


def source_of(tmp_path: Path, content: bytes) -> Path:
    source = tmp_path / "work" / "source"
    source.mkdir(parents=True)
    (source / TAR).write_bytes(content)
    return source


def opened(source: Path) -> Store:
    (store,) = find_stores(source.parent / "stores")
    return store


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_tar_is_refused_whole(content: bytes, tmp_path: Path) -> None:
    ended = prepared(source_of(tmp_path, content))

    assert_refused(ended)
    assert TAR in ended.said


@pytest.mark.parametrize("kind", ANNOUNCES.values(), ids=ANNOUNCES)
def test_a_name_that_fills_the_disk_is_not_read(kind: bytes, tmp_path: Path) -> None:
    source = source_of(tmp_path, train_tar(end=b"") + promising("x", 1500 << 20, kind=kind))
    os.truncate(source / TAR, 1600 << 20)  # zeros that take no room

    assert_refused(prepared(source))


def test_names_upon_names_do_not_overflow_the_stack(tmp_path: Path) -> None:
    announced = member("x", b"11 path=xy\n", kind=tarfile.XHDTYPE) + member("x", b"long\0", kind=b"L")

    assert_done(prepared(source_of(tmp_path, train_tar(announced * 3000 + member("z")))))


def test_a_member_larger_than_any_image_is_left_out_unread(tmp_path: Path) -> None:
    large = 10 << 30
    before = member("n00000001_0.JPEG", picture())
    source = source_of(tmp_path, b"")
    with (source / TAR).open("wb") as file:
        file.write(promising("n00000001.tar", len(before) + 512 + large + 1024))
        file.write(before + promising("n00000001_1.JPEG", large))
        file.truncate(file.tell() + large + 2048)

    ended = prepared(source, "--max-bad", 1)

    assert_done(ended)
    (defect,) = opened(source).manifest.defects
    assert defect["path"] == "train/n00000001/n00000001_1.JPEG"


def test_only_regular_members_are_read_and_none_is_written_where_it_says(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    links = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
    more = b"".join(member(f"n1000000{number}.tar", kind=kind, link="/etc/passwd") for number, kind in enumerate(links))
    more += member("../../n20000000.tar", class_tar(WNIDS[0]))
    more += member(f"{tmp_path}/work/n30000000.tar", class_tar(WNIDS[1]))
    source = tmp_path / "work" / "source"
    source.mkdir()
    (source / TAR).write_bytes(train_tar(more))

    ended = prepared(source)

    assert_done(ended)
    assert opened(source).manifest.classes == (*WNIDS, "n20000000", "n30000000")


def test_odd_names_are_listed_once_each(tmp_path: Path) -> None:
    odd = (
        "n1_\n2.JPEG",
        "n1_\udcff\udcfe.JPEG",
        "n1_\x1b[31m.JPEG",
        "n1_e\u0301.JPEG",
        "n1_é.JPEG",
        f"{'x' * 250}.JPEG",
    )
    source = source_of(tmp_path, with_inner(b"".join(member(name, b"no image") for name in odd) + class_tar(WNIDS[0])))

    ended = prepared(source, "--max-bad", len(odd))

    assert_done(ended)
    store = opened(source)
    assert len({defect["path"] for defect in store.manifest.defects}) == len(odd)
    assert len(store) == 2


def test_many_members_take_little_memory(tmp_path: Path) -> None:
    inner = class_tar(WNIDS[0], member("x") * 20_000)

    assert_done(prepared(source_of(tmp_path, with_inner(inner))))


@pytest.mark.parametrize(
    "put", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")], ids=["folder", "pipe", "dangling"]
)
def test_what_is_no_file_is_refused(put: Callable[[Path], None], tmp_path: Path) -> None:
    source = tmp_path / "work" / "source"
    source.mkdir(parents=True)
    put(source / TAR)

    assert_refused(prepared(source))


def devkit_of(tmp_path: Path, content: bytes) -> Path:
    source = source_of(tmp_path, train_tar())
    (source / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(content)
    return source


PACKED = {
    "empty": b"",
    "no gzip": train_tar(),
    "cut short": gzip.compress(member("data/meta.mat", bytes(range(256)) * 9) + END_OF_TAR)[:90],
    "corrupt": broken_at(gzip.compress(b"".join(bytes([n]) for n in range(256))) + b"meta", "meta", -150),
    "too many bytes before": gzip.compress(promising("x", 600 << 20)) + gzip.compress(bytes(1 << 20)) * 601,
    "too many bytes": gzip.compress(promising("meta.mat", 60 << 20)) + gzip.compress(bytes(1 << 20)) * 61,
    "long name": gzip.compress(promising("x", 400 << 20, kind=b"x")) + gzip.compress(bytes(1 << 20)) * 401,
}


@pytest.mark.parametrize("content", PACKED.values(), ids=PACKED)
def test_a_devkit_that_is_damaged_or_a_bomb_is_refused(content: bytes, tmp_path: Path) -> None:
    assert_refused(prepared(devkit_of(tmp_path, content)))
