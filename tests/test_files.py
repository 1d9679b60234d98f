"""Files are written completely or not at all, and the error of a full disk says how much is missing."""

import errno
import os
import re
import resource
from pathlib import Path

import pytest

from alexrepro.errors import UserError
from alexrepro.files import append, decoded, write_bytes, write_whole

from .children import exit_of, in_child

MOST_BYTES = 1_000  # that a file may have


def test_a_file_too_large_for_the_disk_leaves_the_old_content_and_names_file_and_sizes(tmp_path: Path) -> None:
    file, said = tmp_path / "file", tmp_path / "said"
    file.write_bytes(b"old\n" * 200)

    def write_both() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_BYTES, MOST_BYTES))
        for write, needed in ((write_bytes, bytes(2_000)), (append, "new\n" * 100)):
            with pytest.raises(OSError, match="File too large") as raised:
                write(file, needed)  # type: ignore[operator]
            with said.open("a") as lines:
                lines.write(f"{raised.value}\n")

    assert exit_of(in_child(write_both)) == 0
    for line, needed in zip(said.read_text().splitlines(), ("2,000", "400"), strict=True):
        assert re.fullmatch(rf".*File too large \({needed} bytes are needed, [\d,]+ are free\): '{file}'", line)
    assert file.read_bytes() == b"old\n" * 200
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "said"]


def test_a_file_whose_writing_fails_leaves_nothing_and_is_named_in_the_error(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(OSError, match="Input/output error") as raised:
        write_whole(tmp_path / "file", fail)

    assert raised.value.filename == str(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


TABLE = "n01440764 tench\nn01443537 f\u00eate\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be with its mark", "latin-1", "utf-8 with CRLF"]
)
def test_a_table_reads_the_same_in_every_encoding_people_have(encoding: str) -> None:
    mark = "\ufeff" if "mark" in encoding else ""
    text = TABLE.replace("\n", "\r\n") if "CRLF" in encoding else TABLE

    assert decoded((mark + text).encode(encoding.split(maxsplit=1)[0]), name="names.txt") == TABLE


@pytest.mark.parametrize("content", [TABLE.encode("utf-16-le"), b"\x89PNG\r\n\x1a\n\0\0"], ids=["no mark", "png"])
def test_bytes_that_are_not_text_are_refused_by_name(content: bytes) -> None:
    with pytest.raises(UserError, match=r"names\.txt is not text"):
        decoded(content, name="names.txt")
