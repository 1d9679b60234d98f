"""The check of a download: what is there, what differs, what is missing, without reading the archives."""

from pathlib import Path

import pytest

from alexrepro.data.sources import official_files
from alexrepro.data.sources.official_files import Checked, check


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)  # takes no room on the disk
    return path


def findings(path: Path, *, md5: bool = False) -> dict[str, Checked]:
    return {found.archive.part: found for found in check(path, md5=md5)}


def test_nothing_there_says_what_to_fetch_and_where(tmp_path: Path) -> None:
    found = findings(tmp_path)

    assert {part: f.finding for part, f in found.items()} == dict.fromkeys(
        ("train", "val", "test", "devkit"), "missing"
    )
    assert "image-net.org" in found["train"].description
    assert [part for part, f in found.items() if f.is_wrong] == ["train", "val", "devkit"]


TRAIN, VAL = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"


@pytest.mark.parametrize(
    ("part", "sizes", "finding"),
    [
        ("val", {VAL: 6_744_924_160}, "as published"),
        ("val", {VAL: 6_744_924_159}, "differs"),
        ("train", {f"{TRAIN}.001": 100_000_000_000, f"{TRAIN}.002": 47_897_477_120}, "as published"),
    ],
)
def test_the_size_of_an_archive_or_of_its_parts_is_compared(
    part: str, sizes: dict[str, int], finding: str, tmp_path: Path
) -> None:
    for name, size in sizes.items():
        sparse(tmp_path / name, size)

    assert findings(tmp_path)[part].finding == finding


@pytest.mark.parametrize(
    ("parts", "finding"),
    [({"": b"abc"}, "as published"), ({"": b"cba"}, "differs"),
     ({".001": b"a", ".002": b"bc"}, "as published"), ({".001": b"bc", ".002": b"a"}, "differs")],
)  # fmt: skip
def test_the_md5_of_an_archive_or_of_its_parts_is_compared_when_asked(
    parts: dict[str, bytes], finding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    md5 = "900150983cd24fb0d6963f7d28e17f72"  # RFC 1321: MD5 of "abc"
    monkeypatch.setattr(official_files, "ARCHIVES", (official_files.ARCHIVES[1]._replace(size=3, md5=md5),))
    for end, content in parts.items():
        (tmp_path / f"{VAL}{end}").write_bytes(content)

    assert findings(tmp_path, md5=True)["val"].finding == finding
    assert findings(tmp_path)["val"].finding == "as published"


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


def test_the_year_is_that_of_the_names(tmp_path: Path) -> None:
    sparse(tmp_path / "ILSVRC2010_images_val.tar", 10)

    assert {found.archive.year for found in check(tmp_path, md5=False)} == {"2010"}
