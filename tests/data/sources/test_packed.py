"""Archives as they lie after a download: whole, in parts, compressed, unfinished, or beside their checksums."""

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from alexrepro.data.sources import recognize
from alexrepro.data.sources.archives import archive_files
from alexrepro.data.sources.official_archives import check
from alexrepro.errors import Exit, UserError

from ..hostile import END_OF_TAR, member, picture

TAR = "ILSVRC2012_img_train.tar"
STEM = r"ILSVRC2012_im\w*_train"


def train_tar() -> bytes:
    wnids = ("n00000001", "n00000002")
    inner = {wnid: member(f"{wnid}_1.JPEG", picture(number)) + END_OF_TAR for number, wnid in enumerate(wnids)}
    return b"".join(member(f"{wnid}.tar", data) for wnid, data in inner.items()) + END_OF_TAR


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"x")


def cut(folder: Path, suffixes: list[str]) -> None:
    data = train_tar()
    step = -(-len(data) // len(suffixes))
    for number, suffix in enumerate(suffixes):
        (folder / f"{TAR}{suffix}").write_bytes(data[number * step : (number + 1) * step])


@pytest.mark.parametrize(
    "suffixes",
    [
        [f".{number}" for number in range(1, 13)],
        [f".{number:03d}" for number in range(12)],
        [f".a{letter}" for letter in "abcdefghijkl"],
        [f"a{letter}" for letter in "abcdefghijkl"],
        [f".part{number}" for number in range(1, 13)],
        [f"_{number:02d}" for number in range(12)],
    ],
    ids=["1", "000", "aa", "taraa", "part1", "_00"],
)
def test_parts_are_read_in_the_order_of_their_numbers(suffixes: list[str], tmp_path: Path) -> None:
    cut(tmp_path, suffixes)
    touch(tmp_path, f"{TAR}.000.torrent", f"{TAR}.md5", f"{TAR}.sha1", f"{TAR}.sha256", f"{TAR}.asc")

    found = recognize(tmp_path)

    assert [image.path for image in found.splits[0].images] == [
        "train/n00000001/n00000001_1.JPEG",
        "train/n00000002/n00000002_1.JPEG",
    ]


@pytest.mark.parametrize(
    ("lost", "suffixes"),
    [
        (".3", [".1", ".2", ".4"]),
        (".001", [".002", ".003"]),
        (".ab", [".aa", ".ac"]),
        (".9", [*(f".{number}" for number in range(1, 9)), ".10"]),
    ],
)
def test_a_missing_part_is_named(lost: str, suffixes: list[str], tmp_path: Path) -> None:
    touch(tmp_path, *(f"{TAR}{suffix}" for suffix in suffixes))

    with pytest.raises(UserError) as refused:
        archive_files(tmp_path, STEM)

    assert f"are missing: {TAR}{lost}." in refused.value.what


def test_the_longer_numbers_that_split_goes_on_with_are_no_gap(tmp_path: Path) -> None:
    numbers = [*(f"{number:02d}" for number in range(90)), "9000", "9001"]
    touch(tmp_path, *(f"{TAR}.{number}" for number in numbers))

    assert [file.name for file in archive_files(tmp_path, STEM)] == [f"{TAR}.{number}" for number in numbers]


@pytest.mark.parametrize("suffixes", [[".1", ".001", ".2"], [".aa", ".ab", ".00"]])
def test_two_sets_of_parts_are_refused(suffixes: list[str], tmp_path: Path) -> None:
    touch(tmp_path, *(f"{TAR}{suffix}" for suffix in suffixes))

    with pytest.raises(UserError, match="two sets of parts"):
        archive_files(tmp_path, STEM)


@pytest.mark.parametrize(
    ("suffix", "pack", "command"),
    [
        (".gz", gzip.compress, "gunzip"),
        (".xz", lzma.compress, "unxz"),
        (".zst", lambda _: b"\x28\xb5\x2f\xfd", "unzstd"),
    ],
)
def test_a_compressed_archive_is_refused_with_the_command_that_unpacks_it(
    suffix: str, pack: Callable[[bytes], bytes], command: str, tmp_path: Path
) -> None:
    packed = tmp_path / f"{TAR}{suffix}"
    packed.write_bytes(pack(train_tar()))

    with pytest.raises(UserError, match="is compressed with") as refused:
        recognize(tmp_path)

    assert refused.value.fix.endswith(f": {command} {packed}")


@pytest.mark.parametrize(
    "names", [("train/{}_img_train.tar", "val/{}_img_val.tar"), ("{}_img_train (1).tar", "{}_img_val.tar")]
)
def test_archives_in_folders_of_splits_and_a_browsers_copies_are_read(names: tuple[str, str], tmp_path: Path) -> None:
    contents = (train_tar(), member("ILSVRC2012_val_00000001.JPEG", picture()) + END_OF_TAR)
    for name, content in zip(names, contents, strict=True):
        file = tmp_path / name.format("ILSVRC2012")
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)

    assert [(split.name, len(split.images)) for split in recognize(tmp_path).splits] == [("train", 2), ("val", 1)]


def test_compressed_validation_images_are_not_left_out(tmp_path: Path) -> None:
    (tmp_path / TAR).write_bytes(train_tar())
    (tmp_path / "ILSVRC2012_img_val.tar.gz").write_bytes(gzip.compress(b""))

    with pytest.raises(UserError, match=r"ILSVRC2012_img_val\.tar\.gz is compressed with gzip"):
        recognize(tmp_path)


def test_parts_of_a_compressed_archive_are_to_be_joined_and_unpacked(tmp_path: Path) -> None:
    touch(tmp_path, f"{TAR}.gz.001", f"{TAR}.gz.002")

    with pytest.raises(UserError, match="part of a compressed archive") as refused:
        recognize(tmp_path)

    whole = tmp_path / f"{TAR}.gz"
    assert refused.value.fix.endswith(f"cat {whole}.* > {whole} && gunzip {whole}")


def test_a_compressed_archive_without_the_suffix_is_renamed_and_unpacked(tmp_path: Path) -> None:
    (tmp_path / TAR).write_bytes(gzip.compress(train_tar()))

    with pytest.raises(UserError, match="compressed with gzip in spite of its name") as refused:
        recognize(tmp_path)

    assert refused.value.fix.endswith(f"mv {tmp_path / TAR} {tmp_path / TAR}.gz && gunzip {tmp_path / TAR}.gz")


def test_a_plain_tar_with_the_suffix_is_renamed(tmp_path: Path) -> None:
    (tmp_path / f"{TAR}.gz").write_bytes(train_tar())

    with pytest.raises(UserError, match="is a plain tar in spite of its name") as refused:
        recognize(tmp_path)

    assert refused.value.fix == f"Rename it: mv {tmp_path / TAR}.gz {tmp_path / TAR}"


@pytest.mark.parametrize(
    "names",
    [
        [f"{TAR}.part"],
        [f"{TAR}.crdownload"],
        [TAR, f"{TAR}.aria2"],
        [f"{TAR}.001", f"{TAR}.002.part"],
    ],
)
def test_an_unfinished_download_is_named(names: list[str], tmp_path: Path) -> None:
    touch(tmp_path, *names)

    with pytest.raises(UserError, match="is an unfinished download") as refused:
        recognize(tmp_path)

    assert names[-1] in refused.value.what


def test_a_tar_that_is_cut_short_is_named_with_its_end_and_the_check_of_its_size(tmp_path: Path) -> None:
    data = train_tar()
    (tmp_path / TAR).write_bytes(data[: data.rindex(b"n00000002_1.JPEG") + 700])

    with pytest.raises(UserError) as refused:
        recognize(tmp_path)

    assert refused.value.what.startswith(f"{tmp_path / TAR} is cut short: it ends at byte ")
    assert "within 'n00000002.tar'" in refused.value.what
    assert f"compare its size: alexrepro verify {tmp_path} --quick" in refused.value.fix
    assert "again" not in refused.value.fix


def test_a_whole_tar_without_a_mark_of_its_end_is_not_to_be_fetched_again(tmp_path: Path) -> None:
    (tmp_path / TAR).write_bytes(train_tar().removesuffix(END_OF_TAR))

    with pytest.raises(UserError, match="without an end mark") as refused:
        recognize(tmp_path)

    assert f"truncate -s +1K {tmp_path / TAR}" in refused.value.fix


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "empty"), (b"<!DOCTYPE html>", "web page"), (b"version https://git-lfs", "Git LFS")]
)
def test_what_lies_in_the_place_of_a_tar_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / TAR).write_bytes(content)

    with pytest.raises(UserError, match=said) as refused:
        recognize(tmp_path)

    assert refused.value.exit_code is Exit.BAD_DATA


def test_the_check_of_a_download_reads_parts_and_names_what_is_compressed(tmp_path: Path) -> None:
    cut(tmp_path, [".1", ".2"])
    touch(tmp_path, f"{TAR}.000.torrent")
    (tmp_path / "ILSVRC2012_img_val.tar.gz").write_bytes(gzip.compress(b""))

    found = {checked.archive.part: checked for checked in check(tmp_path, year="2012", md5=False)}

    assert found["train"].description == f"2 parts, {len(train_tar()):,} bytes of 147,897,477,120"
    assert found["val"].is_wrong
    assert "gunzip" in found["val"].description
