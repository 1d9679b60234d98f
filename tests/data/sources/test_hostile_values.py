"""Files that hold values - meta.mat, CIFAR's pickles, a store's manifest - fill no memory, run nothing and end."""

import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from alexrepro.data.store.manifest import Manifest, Shard, read_manifest
from alexrepro.data.store.verify import verify
from alexrepro.errors import UserError

from ..hostile import END_OF_TAR, assert_refused, command, member, picture, prepared


def saved(**variables: Any) -> bytes:
    stream = io.BytesIO()
    savemat(stream, variables)
    return stream.getvalue()


def classes(*rows: tuple[Any, ...]) -> bytes:
    names = ("ILSVRC2012_ID", "WNID", "words", "num_children", "num_train_images")
    return saved(synsets=np.array(list(rows), dtype=[(name, object) for name in names]))


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
    "infinitely many images": classes((*FIRST[:4], np.inf)),
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

    ended = command("verify", store, said=tmp_path / "said", seconds=10)

    assert ended.code == 65
    assert "Traceback" not in ended.said
