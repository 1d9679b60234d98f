"""Shards are read from their files: what happens to a file meanwhile is told, and few files are open at a time."""

from pathlib import Path

import numpy as np
import pytest

from alexrepro.data.store.shard_reader import FEWEST_FILES, Files, ShardIndex

FILES = 3 * FEWEST_FILES


def some_files(folder: Path) -> list[ShardIndex]:
    found = []
    for number in range(FILES):
        file = folder / str(number)
        file.write_bytes(f"head{number:02d}tail".encode())
        seen = file.stat()
        ends = np.array([0, 2, 6], dtype=np.int32)
        found.append(ShardIndex(file, 4, ends, np.zeros(2, dtype=np.uint32), (seen.st_size, seen.st_mtime_ns)))
    return found


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Files:
    files = Files()
    monkeypatch.setattr(files, "_most", FEWEST_FILES)
    return files


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files below /proc")
def test_few_files_are_open_at_a_time_and_each_gives_its_own_bytes(few: Files, tmp_path: Path) -> None:
    shards = some_files(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))

    read = [few.read(shards[number % FILES], 0) for number in range(2 * FILES)]

    assert read == [f"{number % FILES:02d}".encode() for number in range(2 * FILES)]
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= FEWEST_FILES
    assert few.read(shards[0], 1) == b"tail"


def test_a_file_that_is_replaced_is_read_to_its_end_while_it_is_open(few: Files, tmp_path: Path) -> None:
    first, *others = some_files(tmp_path)
    few.read(first, 0)
    (tmp_path / "new").write_bytes(b"another")
    (tmp_path / "new").replace(first.file)

    assert few.read(first, 1) == b"tail"
    for other in others:
        few.read(other, 0)
    with pytest.raises(ValueError, match="was changed while it was in use"):
        few.read(first, 0)


def test_a_file_that_is_removed_is_read_to_its_end_while_it_is_open(few: Files, tmp_path: Path) -> None:
    first, *others = some_files(tmp_path)
    few.read(first, 0)
    first.file.unlink()

    assert few.read(first, 1) == b"tail"
    for other in others:
        few.read(other, 0)
    with pytest.raises(FileNotFoundError):
        few.read(first, 0)
