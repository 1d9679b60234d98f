"""Labels, names and ids that come after the images: the stores get them, and no image is decoded again."""

import shutil
import signal
from itertools import count
from pathlib import Path

import pandas as pd
import pytest

from alexrepro.data.store import manifest, shard_maker
from alexrepro.data.store.prepare import Options, prepare
from alexrepro.data.store.store import Store, find_stores

from ...children import die_before, exit_of, in_child
from .. import layouts
from ..hostile import picture
from .folders import contents

OPTIONS = Options(side_px=32, max_bad=1, allow_partial=True)
COLUMNS = ["dataset", "split", "labeled"]
CUT = "ILSVRC2012_val_00000002.JPEG"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Class folders for training and flat validation images, one of them cut short; the devkit lies elsewhere."""
    layouts.flat_val(tmp_path / "source", layouts.deal(picture(number) for number in range(layouts.PICTURES)))
    cut = tmp_path / "source/val" / CUT
    cut.write_bytes(cut.read_bytes()[:-100])
    (tmp_path / "source/ILSVRC2012_devkit_t12").rename(tmp_path / "devkit")
    return tmp_path / "source"


def prepared(source: Path, name: str) -> dict[str, Store]:
    return prepare(source, out=source.parent / name, workers=1, options=OPTIONS)


def add_devkit(source: Path) -> None:
    shutil.copytree(source.parent / "devkit", source / "ILSVRC2012_devkit_t12")


def images_of(stores: Path) -> dict[Path, int]:
    """The inode of every shard, which a new file has of its own."""
    return {file: file.stat().st_ino for file in stores.glob("*-train-*/shard-*")}


def test_a_late_devkit_gives_the_store_of_a_preparation_with_it(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, bare, files = prepared(source, "late"), capsys.readouterr().err, images_of(source.parent / "late")
    add_devkit(source)
    prepared(source, "whole")
    monkeypatch.delattr(shard_maker, "decode")

    after = prepared(source, "late")

    assert "5 images of val have no labels" in bare
    assert "Put ILSVRC2012_devkit_t12.tar.gz, LOC_val_solution.csv or val.txt next to the images" in bare
    assert contents(source.parent / "late") == contents(source.parent / "whole")
    assert images_of(source.parent / "late") == files
    assert before["train"].manifest.class_names == before["train"].manifest.classes
    assert after["train"].manifest.class_names == tuple(layouts.WORDS[wnid] for wnid in sorted(layouts.WNIDS))
    assert (before["train"].manifest.ilsvrc_ids, after["train"].manifest.ilsvrc_ids) == (None, (3, 1, 2))
    assert [defect["class"] for defect in after["val"].manifest.defects] != [""]
    assert "have no labels" not in capsys.readouterr().err


def test_a_devkit_that_is_gone_again_takes_nothing_away(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_devkit(source)
    first = prepared(source, "stores")["train"].manifest
    shutil.rmtree(source / "ILSVRC2012_devkit_t12")

    again = prepared(source, "stores")

    assert again["train"].manifest == first
    assert "already prepared from these files.\n" in capsys.readouterr().err


def test_damage_is_not_copied_into_the_labeled_store(source: Path) -> None:
    shard = prepared(source, "stores")["val"].path / "shard-00000.arrow"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    add_devkit(source)

    with pytest.raises(manifest.UserError, match="damaged"):
        prepared(source, "stores")


def test_a_kill_at_every_step_leaves_the_old_store_or_the_new_one(source: Path) -> None:
    prepared(source, "old")
    add_devkit(source)
    prepared(source, "whole")
    expected, code = contents(source.parent / "whole"), -signal.SIGKILL

    for step in count(1):
        out = source.parent / f"killed-{step}"
        shutil.copytree(source.parent / "old", out)
        code = exit_of(in_child(lambda out=out, step=step: (die_before(step, out), prepared(source, out.name))))
        splits = {store.manifest.split for store in find_stores(out) if manifest.verify(store.path) == []}
        prepared(source, out.name)
        assert (splits, contents(out) == expected) == ({"train", "val"}, True), step
        if code == 0:
            break

    assert step > 10


def test_the_table_of_stores_keeps_the_rows_of_others_and_replaces_its_own(source: Path) -> None:
    prepared(source, "stores")
    table = source.parent / "stores" / manifest.PREPARED
    prepare(source / "train", out=source.parent / "stores", workers=1, options=OPTIONS)
    before = pd.read_csv(table)[COLUMNS].to_numpy().tolist()
    add_devkit(source)
    prepared(source, "stores")

    after = pd.read_csv(table)[COLUMNS].to_numpy().tolist()

    assert before == [["ilsvrc2012-partial", "train", 9], ["ilsvrc2012-partial", "val", 0], ["source", "train", 9]]
    assert after == [["ilsvrc2012-partial", "train", 9], ["ilsvrc2012-partial", "val", 5], ["source", "train", 9]]
