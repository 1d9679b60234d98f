"""Files that hold values - meta.mat, CIFAR's pickles, a store's manifest - fill no memory, run nothing and end."""

import io
import json
import os
import pickle
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from alexrepro.data.sources.matfile import read_structs
from alexrepro.data.store.manifest import Manifest, Shard, read_manifest
from alexrepro.data.store.verify import verify
from alexrepro.errors import UserError

from ..hostile import END_OF_TAR, assert_refused, command, member, picture, prepared

HEAD = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<HH", 0x0100, 0x4D49)
INT32, UINT32, TEXT, DOUBLE, MATRIX, PACKED = 5, 6, 1, 9, 14, 15  # kinds of elements
CELLS, STRUCT, CHARACTERS, NUMBERS = 1, 2, 4, 6  # kinds of matrices


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(kind: int, sizes: tuple[int, int], content: bytes, name: bytes = b"synsets") -> bytes:
    head = element(UINT32, struct.pack("<II", kind, 0)) + element(INT32, struct.pack("<ii", *sizes))
    return element(MATRIX, head + element(TEXT, name) + content)


def fields(*names: bytes) -> bytes:
    tag = struct.pack("<HHI", INT32, 4, 32)  # a small element: the length of each name
    return tag + element(TEXT, b"".join(name.ljust(32, b"\0") for name in names))


def saved(**variables: Any) -> bytes:
    stream = io.BytesIO()
    savemat(stream, variables)
    return stream.getvalue()


def classes(*rows: tuple[Any, ...]) -> bytes:
    names = ("ILSVRC2012_ID", "WNID", "words", "num_children", "num_train_images")
    return saved(synsets=np.array(list(rows), dtype=[(name, object) for name in names]))


def packed_zeros(count: int) -> bytes:
    packed = zlib.compress(element(UINT32, bytes(8)) + bytes(count), 9)
    return HEAD + struct.pack("<II", PACKED, len(packed)) + packed


def nested(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        inner = matrix(CELLS, (1, 1), inner, b"")
    return HEAD + inner


FIRST, SECOND = (1, "n00000001", "one", 0, 1), (2, "n00000002", "two", 0, 1)
HOSTILE_META = {
    "empty": b"",
    "text": b"no MATLAB file " * 20,
    "no struct": saved(synsets=np.arange(10.0)),
    "another variable": saved(other=1),
    "other fields": saved(synsets={"a": 1, "num_children": 0}),
    "cut short": classes(FIRST, SECOND)[:-9],
    "an id twice": classes(FIRST, FIRST),
    "an id left out": classes(FIRST, (3, *SECOND[1:])),
    "a WNID twice": classes(FIRST, (2, *FIRST[1:])),
    "a path for a WNID": classes(FIRST, (2, "../../n00000002", "two", 0, 1)),
    "matrices for ids": classes((np.zeros((3, 3)), *FIRST[1:])),
    "infinitely many photos": classes((*FIRST[:4], np.inf)),
    "2^31 cells": HEAD + matrix(CELLS, (2**31 - 1, 1), b""),
    "2^31 rows": HEAD + matrix(STRUCT, (1, 2**31 - 1), fields(b"num_children")),
    "2^62 numbers": HEAD + matrix(NUMBERS, (2**31 - 1, 2**31 - 1), element(DOUBLE, bytes(16))),
    "10^9 letters": HEAD + matrix(CHARACTERS, (1, 10**9), element(TEXT, b"")),
    "4 GB element": HEAD + struct.pack("<II", MATRIX, 2**32 - 16) + bytes(100),
    "negative sizes": HEAD + matrix(STRUCT, (-5, 1), fields(b"num_children")),
    "20,000 cells within cells": nested(20_000),
    "100 MB of zeros": packed_zeros(100_000_000),
}


@pytest.mark.parametrize("meta", HOSTILE_META.values(), ids=HOSTILE_META)
def test_a_hostile_meta_mat_is_refused(meta: bytes, tmp_path: Path) -> None:
    source = tmp_path / "work" / "source"
    (source / "data").mkdir(parents=True)
    (source / "data/meta.mat").write_bytes(meta)
    tars = b"".join(
        member(f"{wnid}.tar", member(f"{wnid}_1.JPEG", picture()) + END_OF_TAR) for _, wnid, *_ in (FIRST, SECOND)
    )
    (source / "ILSVRC2012_img_train.tar").write_bytes(tars + END_OF_TAR)

    ended = prepared(source)

    assert_refused(ended)
    assert "meta.mat" in ended.said


@pytest.mark.shared
def test_the_real_meta_mat_is_read_as_scipy_reads_it(shared_data: Path) -> None:
    data = (shared_data / "ilsvrc2010-devkit/data/meta.mat").read_bytes()
    scalars = ("ILSVRC2010_ID", "WNID", "words", "gloss", "num_children", "wordnet_height", "num_train_images")
    synsets = loadmat(io.BytesIO(data), squeeze_me=True)["synsets"]

    found = read_structs(data, "synsets")

    assert [[row[name] for name in scalars] for row in found] == [[row[name] for name in scalars] for row in synsets]


def repeated(levels: int, around: bytes) -> bytes:
    """A pickle of a tuple that holds one tuple twice, which holds one tuple twice ...: 2^levels of them."""
    doubled = b"".join(b"q%ch%c\x86" % (level, level) for level in range(levels))
    return b"\x80\x02}(" + b")" + doubled + around


ARRAY, DTYPE, OBJECTS = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"X\x01\0\0\0O\x85R"
HOSTILE_PICKLES = {
    "a memo of 2 GB": b"\x80\x02}r" + struct.pack("<I", 1 << 28) + b".",
    "2^60 tuples as a key": repeated(60, b"K\x01u."),
    "2^60 tuples without a memo": b"\x80\x02}()" + b"2\x86" * 60 + b"K\x01u.",
    "2^30 objects": b"\x80\x02" + ARRAY + b"J" + struct.pack("<i", 1 << 30) + b"\x85" + DTYPE + OBJECTS + b"\x86R.",
    "10^6 lists in lists": b"\x80\x02" + b"]" * 1_000_000 + b"a" * 999_999 + b".",
    "16 GB of bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 34) + b".",
    "a list": pickle.dumps([1, 2]),
    "no names": pickle.dumps({b"label_names": 5}),
    "an array for names": b"\x80\x02}U\x0blabel_names" + ARRAY + b")Rs.",
    "a call": b"\x80\x02cos\nsystem\nX\x08\0\0\0touch ru\x85R.",
}


@pytest.mark.parametrize("pickled", HOSTILE_PICKLES.values(), ids=HOSTILE_PICKLES)
def test_a_hostile_pickle_is_refused(pickled: bytes, tmp_path: Path) -> None:
    source = tmp_path / "work" / "source"
    source.mkdir(parents=True)
    (source / "batches.meta").write_bytes(pickled)

    ended = prepared(source)

    assert_refused(ended)
    assert "batches.meta" in ended.said


SOUND = Manifest(
    "set", "val", 1, ("a",), ("a",), None, labeled=True, encoding="jpeg", rule="", source="", listing="",
    libraries={}, shards=(Shard("shard-00000.arrow", 1, "0"),), defects=(), labels_sha256="", sha256={},
)  # fmt: skip


def shard(**changed: Any) -> str:
    return replace(SOUND, shards=(replace(SOUND.shards[0], **changed),)).text()


HOSTILE_MANIFESTS = {
    "deep": "[" * 100_000,
    "deep within": '{"format": 1, "ilsvrc_ids": ' + "[" * 100_000,
    "no object": "[1, 2]",
    "huge number": '{"format": ' + "9" * 100_000 + "}",
    "numbers for classes": replace(SOUND, classes=(1, 2)).text(),
    "text for images": replace(SOUND, images="many").text(),
    "more images than in shards": replace(SOUND, images=10**15).text(),
    "negative images": replace(SOUND, images=-1, shards=(Shard("shard-00000.arrow", -1, "0"),)).text(),
    "number for a file": shard(file=5),
    "a file elsewhere": shard(file="../../../../../../etc/passwd"),
    "an endless file": shard(file="/dev/zero"),
    "a data set elsewhere": replace(SOUND, dataset="../../..").text(),
    "a data set above": replace(SOUND, dataset="..").text(),
    "a data set without a name": replace(SOUND, dataset="").text(),
    "a split elsewhere": replace(SOUND, split="/elsewhere").text(),
    "statistics elsewhere": replace(SOUND, sha256={"/dev/zero": "0"}).text(),
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE_MANIFESTS.values(), ids=HOSTILE_MANIFESTS)
def test_a_hostile_manifest_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)

    with pytest.raises(UserError, match=r"manifest\.json"):
        read_manifest(tmp_path)


def test_the_manifest_that_the_hostile_ones_are_made_of_is_sound(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(SOUND.text())

    assert read_manifest(tmp_path) == SOUND
    assert json.loads(SOUND.text())["images"] == 1


def test_a_manifest_of_ten_gigabytes_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").touch()
    os.truncate(tmp_path / "manifest.json", 10 << 30)  # zeros that take no room

    assert "bytes" in verify(tmp_path)[0]


@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
@pytest.mark.parametrize("name", ["manifest.json", "shard-00000.arrow"])
def test_a_store_with_a_file_that_never_ends_is_verified_in_finite_time(
    name: str, put: Callable[[Path], None], tmp_path: Path
) -> None:
    store = tmp_path / "set-val-000000"
    store.mkdir()
    (store / "manifest.json").write_text(SOUND.text())
    (store / name).unlink(missing_ok=True)
    put(store / name)

    ended = command("doctor", store, said=tmp_path / "said", seconds=10)

    assert ended.code == 65
    assert "Traceback" not in ended.said
