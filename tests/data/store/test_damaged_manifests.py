"""Damaged manifests of stores are refused by name; verifying a store always ends."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alexrepro.data.store.manifest import Manifest, Shard, read_manifest
from alexrepro.data.store.verify import verify
from alexrepro.errors import UserError

from ..hostile import command

SOUND = Manifest(
    "set", "val", 1, ("a",), ("a",), None, labeled=True, encoding="jpeg", rule="", source="", listing="",
    libraries={}, shards=(Shard("shard-00000.arrow", 1, "0"),), defects=(), labels_sha256="", sha256={},
)  # fmt: skip


def shard(**changed: Any) -> str:
    return replace(SOUND, shards=(replace(SOUND.shards[0], **changed),)).text()


DAMAGED = {
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


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_manifest_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)

    with pytest.raises(UserError, match=r"manifest\.json"):
        read_manifest(tmp_path)


def test_the_manifest_that_the_damaged_ones_are_made_of_is_sound(tmp_path: Path) -> None:
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
