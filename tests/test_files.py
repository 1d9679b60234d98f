"""Files are written completely or not at all, and the error of a full disk says how much is missing."""

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from alexrepro.errors import UserError
from alexrepro.files import append, decoded, free_name, make_folder, write_bytes, write_whole

from .children import exit_of, in_child

MOST_BYTES = 1_000  # that a file may have


def limited(work: Callable[[], object], file: Path) -> str:
    """What is said of work in a process whose files may not grow beyond the limit; nothing if it can be done."""
    said = file.with_name("said")

    def try_it() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_BYTES, MOST_BYTES))
        try:
            work()
        except OSError as error:
            said.write_text(f"{error.errno} {error.strerror}: {error.filename}")

    assert exit_of(in_child(try_it)) == 0
    return said.read_text() if said.exists() else ""


def test_a_file_too_large_for_the_disk_leaves_the_old_one_and_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_bytes(file, b"old")

    said = limited(lambda: write_bytes(file, bytes(2_000)), file)

    assert said.startswith(f"{errno.EFBIG} File too large (2,000 bytes are needed, ")
    assert said.endswith(f" are free): {file}")
    assert file.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "said"]


def test_lines_too_long_for_the_disk_are_not_added_in_part(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    append(file, "a,b\n" * 200)

    said = limited(lambda: append(file, "c,d\n" * 100), file)

    assert said.startswith(f"{errno.EFBIG} File too large (400 bytes are needed, ")
    assert str(file) in said
    assert file.read_text() == "a,b\n" * 200


def test_a_file_whose_writing_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_whole(tmp_path / "file", fail)

    assert list(tmp_path.iterdir()) == []


def test_an_error_that_names_no_file_is_given_the_name(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(OSError, match="Input/output error") as raised:
        write_whole(tmp_path / "file", fail)

    assert raised.value.filename == str(tmp_path / "file")


def test_missing_folders_are_made_and_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "c").write_text("a file")

    assert (tmp_path / "a" / "b").is_dir()
    with pytest.raises(NotADirectoryError):
        make_folder(tmp_path / "c" / "d")


def test_a_free_name_is_one_that_does_not_exist(tmp_path: Path) -> None:
    found = []
    for _ in range(3):
        path = free_name(tmp_path / "name")
        path.mkdir()
        found.append(path.name)

    assert found == ["name", "name-2", "name-3"]


TABLE = "n01440764 tench\nn01443537 f\u00eate\n"


@pytest.mark.parametrize(
    "content",
    [
        TABLE.encode(),
        TABLE.encode("utf-8-sig"),
        TABLE.encode("utf-16"),
        b"\xfe\xff" + TABLE.encode("utf-16-be"),
        TABLE.encode("utf-32"),
        TABLE.encode("latin-1"),
        TABLE.replace("\n", "\r\n").encode(),
    ],
    ids=["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "crlf"],
)
def test_a_table_reads_the_same_in_every_encoding_people_have(content: bytes) -> None:
    assert decoded(content, name="names.txt") == TABLE


@pytest.mark.parametrize("content", [TABLE.encode("utf-16-le"), b"\x89PNG\r\n\x1a\n\0\0"], ids=["no mark", "png"])
def test_bytes_that_are_not_text_are_refused_by_name(content: bytes) -> None:
    with pytest.raises(UserError, match=r"names\.txt is not text"):
        decoded(content, name="names.txt")
