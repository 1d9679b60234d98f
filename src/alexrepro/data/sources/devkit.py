"""The official development kits of ILSVRC-2010 and 2012: class tables and ground truth, in a folder or an archive.

Ids count from 1 in an order of their own, which is not that of the sorted WNIDs; whatever has an id goes through here.
"""

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.io import loadmat

from alexrepro.data.sources.archives import MOST_DEVKIT_BYTES, archive, from_tar_gz, members
from alexrepro.data.sources.folders import WNID
from alexrepro.errors import Exit, UserError
from alexrepro.files import decoded

Year = Literal["2010", "2012"]
META = "meta.mat"
SHOWN = 20  # characters of a line that is no id
MOST_TRUTH_BYTES = 2_000_000  # that of the 150,000 test photos of 2010 has less than 750,000


@dataclass(frozen=True)
class ClassTable:
    """The leaves of meta.mat in the order of their ids 1, 2, 3 ...; train_counts are the official ones."""

    wnids: tuple[str, ...]
    words: tuple[str, ...]
    train_counts: tuple[int, ...]


def class_table(root: Path, year: Year) -> ClassTable | None:
    """The class table of a year's devkit at a source, or None if there is no devkit."""
    data = devkit_file(root, META)
    return None if data is None else read_meta(data, year)


def truth_file(year: Year, split: str) -> str:
    """The name of the file with the ids of a split's photos."""
    return f"ILSVRC{year}_{'validation' if split == 'val' else split}_ground_truth.txt"


def truth(root: Path, name: str, *, classes: int) -> list[int] | None:
    """The ids (from 1) of a ground-truth file in the devkit or beside it, or None. Raises UserError if one is no id."""
    found = _find(root, name)
    if found is None:
        return None
    file, data = found
    if len(data) > MOST_TRUTH_BYTES:
        raise wrong(file, f"has more than {MOST_TRUTH_BYTES:,} bytes")
    lines = [line.strip() for line in decoded(data, name=str(file)).split("\n") if line.strip()]
    for number, line in enumerate(lines, 1):
        if not re.fullmatch(r"\d{1,5}", line, re.ASCII) or not 1 <= int(line) <= classes:
            raise wrong(
                file, f"has the line {line[:SHOWN]!a} (number {number:,}), which is no id from 1 to {classes:,}"
            )
    return [int(line) for line in lines]


def read_meta(data: bytes, year: Year) -> ClassTable:
    """The leaves of a meta.mat. Raises UserError if it cannot be read, is of another year, or skips an id."""
    try:
        stream = io.BytesIO(data)
        found = loadmat(stream, squeeze_me=True)["synsets"]  # type: ignore[arg-type]  # scipy-stubs leave streams out
        leaves = [row for row in np.atleast_1d(found) if row["num_children"] == 0]
        ids = [int(row[f"ILSVRC{year}_ID"]) for row in leaves]
        entries = [(str(row["WNID"]), str(row["words"]), int(row["num_train_images"])) for row in leaves]
    except Exception as error:  # scipy raises almost anything for a damaged file
        raise wrong(Path(META), f"is not that of ILSVRC-{year}: {' '.join(str(error).split())}") from None
    by_id = dict(zip(ids, entries, strict=True))
    if not ids or sorted(ids) != list(range(1, len(ids) + 1)):
        raise wrong(Path(META), "does not number its leaves from 1 without a gap")
    wnids, words, counts = zip(*(by_id[number] for number in range(1, len(ids) + 1)), strict=True)
    if len(set(wnids)) < len(ids) or not all(map(WNID.fullmatch, wnids)):
        raise wrong(Path(META), "does not give every leaf a WNID of its own")
    return ClassTable(wnids, words, counts)


def devkit_file(root: Path, name: str) -> bytes | None:
    """A file of the devkit: in the root, in the devkit's folders, or in its archive."""
    found = _find(root, name)
    return None if found is None else found[1]


def _find(root: Path, name: str) -> tuple[Path, bytes] | None:
    """A file of the devkit and where it is; the path of one in an archive continues that of the archive."""
    places = (root, root / "data", *sorted(root.glob("*devkit*")), *sorted(root.glob("*devkit*/data")))
    for file in (place / name for place in places):
        if file.is_file():
            if file.stat().st_size > MOST_DEVKIT_BYTES:
                raise wrong(file, f"has more than {MOST_DEVKIT_BYTES:,} bytes")
            return file, file.read_bytes()
    for packed in sorted((*root.glob("*devkit*.tar.gz"), *root.glob("*devkit*.tgz"))):
        found = from_tar_gz(packed, name)
        if found is not None:
            return packed / name, found
    for plain in sorted(root.glob("*devkit*.tar")):  # some browsers unpack gzip by themselves
        for inner, span in members(archive(plain)):
            if inner == name:
                if span.size() > MOST_DEVKIT_BYTES:
                    raise wrong(plain / name, f"has more than {MOST_DEVKIT_BYTES:,} bytes")
                return plain / name, span.read()
    return None


def wrong(path: Path, what: str, *, fix: str = "Check that the download is complete.") -> UserError:
    """The refusal of a source that contradicts itself."""
    return UserError(f"{path} {what}.", fix=fix, exit_code=Exit.BAD_DATA)
