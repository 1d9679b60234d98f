"""The check of a download: what is there, what differs, what is missing, without reading the archives."""

from dataclasses import replace
from pathlib import Path

import pytest

from alexrepro.data.sources import official_files
from alexrepro.data.sources.official_files import Checked, check, year_at


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)  # takes no room on the disk
    return path


def findings(path: Path, *, md5: bool = False) -> dict[str, Checked]:
    return {found.archive.part: found for found in check(path, year="2012", md5=md5)}


def test_nothing_there_says_what_to_fetch_and_where(tmp_path: Path) -> None:
    found = findings(tmp_path)

    assert {part: f.finding for part, f in found.items()} == dict.fromkeys(
        ("train", "val", "test", "devkit"), "missing"
    )
    assert "image-net.org" in found["train"].description
    assert [part for part, f in found.items() if f.is_wrong] == ["train", "val", "devkit"]


def test_a_validation_archive_of_the_published_size_passes(tmp_path: Path) -> None:
    sparse(tmp_path / "ILSVRC2012_img_val.tar", 6_744_924_160)

    assert findings(tmp_path)["val"].finding == "as published"


def test_one_byte_too_few_is_seen(tmp_path: Path) -> None:
    sparse(tmp_path / "ILSVRC2012_img_val.tar", 6_744_924_159)

    assert findings(tmp_path)["val"].is_wrong


def test_parts_are_added_up(tmp_path: Path) -> None:
    for number, size in enumerate((100_000_000_000, 47_897_477_120), 1):
        sparse(tmp_path / f"ILSVRC2012_img_train.tar.{number:03d}", size)

    assert findings(tmp_path)["train"].finding == "as published"


def test_unpacked_folders_are_counted(tmp_path: Path) -> None:
    for wnid in ("n00000001", "n00000002"):
        (tmp_path / "train" / wnid).mkdir(parents=True)

    assert findings(tmp_path)["train"].description == "train/ with 2 entries"


@pytest.mark.parametrize("source", ["", "ILSVRC", "ILSVRC/Data/CLS-LOC"])
def test_the_folders_of_kaggles_tree_are_found_from_each_of_its_levels(source: str, tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / "ILSVRC/Data/CLS-LOC" / split).mkdir(parents=True)

    found = findings(tmp_path / source)

    assert (found["train"].finding, found["val"].finding) == ("unpacked", "unpacked")


@pytest.mark.parametrize("name", ["LOC_val_solution.csv", "imagenet-object-localization-challenge.zip"])
def test_kaggles_files_stand_in_for_the_devkit(name: str, tmp_path: Path) -> None:
    sparse(tmp_path / name, 10)

    assert (findings(tmp_path)["devkit"].is_wrong, name in findings(tmp_path)["devkit"].description) == (False, True)


@pytest.mark.parametrize(("content", "finding"), [(b"abc", "as published"), (b"cba", "differs")])
def test_the_md5_is_compared_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, finding: str
) -> None:
    small = replace(
        official_files.ARCHIVES[1], size=3, md5="900150983cd24fb0d6963f7d28e17f72"
    )  # RFC 1321: MD5 of "abc"
    monkeypatch.setattr(official_files, "ARCHIVES", (small,))
    (tmp_path / "ILSVRC2012_img_val.tar").write_bytes(content)

    assert findings(tmp_path, md5=True)["val"].finding == finding
    assert findings(tmp_path)["val"].finding == "as published"


@pytest.mark.parametrize(("parts", "finding"), [((b"a", b"bc"), "as published"), ((b"bc", b"a"), "differs")])
def test_the_md5_of_parts_is_that_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: tuple[bytes, ...], finding: str
) -> None:
    small = replace(
        official_files.ARCHIVES[1], size=3, md5="900150983cd24fb0d6963f7d28e17f72"
    )  # RFC 1321: MD5 of "abc"
    monkeypatch.setattr(official_files, "ARCHIVES", (small,))
    for number, part in enumerate(parts, 1):
        (tmp_path / f"ILSVRC2012_img_val.tar.{number:03d}").write_bytes(part)

    assert findings(tmp_path, md5=True)["val"].finding == finding


def test_the_year_is_that_of_the_names(tmp_path: Path) -> None:
    sparse(tmp_path / "ILSVRC2010_images_val.tar", 10)

    assert year_at(tmp_path) == "2010"
