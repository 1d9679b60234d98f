"""Folders and images with names that are long, or in no encoding that a text file can hold."""

import os
from pathlib import Path

import pytest

from alexrepro.data.sources.checks import LONGEST_NAME, dataset_of
from alexrepro.data.store.prepare import prepare
from alexrepro.errors import Exit, UserError

from ..hostile import command, picture

LONGEST_ON_DISK = 255


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Class folders and images named in Latin-1, one of which cannot be read; skips where a disk takes UTF-8 only."""
    folder = tmp_path / os.fsdecode(b"d\xe9j\xe0")
    for name, content in ((b"\xe4/1\xe4.jpg", picture()), (b"\xf6/1\xf6.jpg", picture()), (b"\xf6/2\xf6.jpg", b"none")):
        image = folder / os.fsdecode(name)
        try:
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(content)
        except OSError:
            pytest.skip("this disk has names in UTF-8 only")
    return folder


def test_a_long_name_leaves_room_for_what_is_added_to_it(tmp_path: Path) -> None:
    source = tmp_path / ("x" * LONGEST_ON_DISK)
    (source / "a").mkdir(parents=True)
    (source / "a/1.jpg").write_bytes(picture())

    train = prepare(source, out=tmp_path / "stores", workers=1)["train"]

    assert len(train.manifest.dataset) == LONGEST_NAME
    assert train.path.name.startswith("xxxx")


def test_long_names_that_begin_alike_stay_different() -> None:
    names = {dataset_of(Path("x" * LONGEST_NAME + end), (), ()) for end in ("", "1", "2")}

    assert len(names) == 3


def test_a_store_spells_out_names_that_are_no_utf8(foreign: Path, tmp_path: Path) -> None:
    train = prepare(foreign, out=tmp_path / "stores", workers=1, max_bad=1)["train"]

    texts = [train.manifest.source, *train.manifest.classes, train.name(0), train.manifest.defects[0]["path"]]
    assert all(text.isascii() and "\\" in text for text in texts)
    assert train.path.joinpath("defects.csv").read_text(encoding="utf-8").count("\n") == 2


def test_unreadable_images_are_listed_under_names_that_are_no_utf8(foreign: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 files cannot be read") as refused:
        prepare(foreign, out=tmp_path / "stores", workers=1)

    assert refused.value.exit_code == Exit.BAD_DATA
    assert (tmp_path / "stores/unreadable.csv").read_text(encoding="utf-8").count("\n") == 2


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["table", "json"])
def test_the_command_prints_names_that_are_no_utf8(foreign: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    source = foreign.rename(tmp_path / "source")

    ended = command(
        "prepare", source, "--out", tmp_path / "stores", "--max-bad", 1, *options, "--workers", 1,
        said=tmp_path / "said",
    )  # fmt: skip

    assert ended.code == Exit.OK
    assert "Traceback" not in ended.said
