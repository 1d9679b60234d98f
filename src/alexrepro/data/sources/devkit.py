"""The official development kits of ILSVRC-2010 and 2012: class tables and ground truth, in a folder or an archive.

Ids count from 1 in an order of their own, which is not that of the sorted WNIDs; whatever has an id goes through here.
"""

import io
import re
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import numpy as np
from scipy.io import loadmat

from alexrepro.data.sources.source import bad_data
from alexrepro.data.sources.walk import WNID
from alexrepro.files import decoded

Year = Literal["2010", "2012"]
META = "meta.mat"
SHOWN = 20  # characters of a line that is not an id


class ClassTable(NamedTuple):
    """The leaves of meta.mat in the order of their ids 1, 2, 3 ...; train_counts are the official ones."""

    wnids: tuple[str, ...]
    words: tuple[str, ...]
    train_counts: tuple[int, ...]


def class_table(root: Path, year: Year) -> ClassTable | None:
    """The class table of a year's devkit at a source, or None if there is no devkit.

    Raises UserError if it cannot be read, is of another year, or skips an id.
    """
    found = _find(root, META)
    if found is None:
        return None
    file, data = found
    try:
        stream = io.BytesIO(data)
        synsets = loadmat(stream, squeeze_me=True)["synsets"]  # type: ignore[arg-type]  # scipy-stubs leave streams out
        leaves = [row for row in np.atleast_1d(synsets) if row["num_children"] == 0]
        rows = sorted(
            (int(row[f"ILSVRC{year}_ID"]), str(row["WNID"]), str(row["words"]), int(row["num_train_images"]))
            for row in leaves
        )
    except Exception as error:  # scipy raises almost anything for a damaged file
        raise bad_data(f"{file} is not that of ILSVRC-{year}: {' '.join(str(error).split())}.") from None
    ids, wnids, words, counts = zip(*rows, strict=True) if rows else ((), (), (), ())
    if not ids or ids != tuple(range(1, len(ids) + 1)):
        raise bad_data(f"{file} does not number its leaves from 1 without a gap.")
    if len(set(wnids)) < len(ids) or not all(map(WNID.fullmatch, wnids)):
        raise bad_data(f"{file} does not give every leaf a WNID of its own.")
    return ClassTable(wnids, words, counts)


def truth_file(year: Year, split: str) -> str:
    """The name of the file with the ids of a split's images."""
    return f"ILSVRC{year}_{'validation' if split == 'val' else split}_ground_truth.txt"


def truth(root: Path, name: str, *, classes: int) -> list[int] | None:
    """The ids (from 1) of a ground-truth file in the devkit or next to it, or None.

    Raises UserError if a line is not an id.
    """
    found = _find(root, name)
    if found is None:
        return None
    file, data = found
    lines = [line.strip() for line in decoded(data, name=str(file)).split("\n") if line.strip()]
    for number, line in enumerate(lines, 1):
        if not re.fullmatch(r"\d{1,5}", line, re.ASCII) or not 1 <= int(line) <= classes:
            shown = f"{line[:SHOWN]!a} (number {number:,})"
            raise bad_data(f"{file} has the line {shown}, which is not an id from 1 to {classes:,}.")
    return [int(line) for line in lines]


def _find(root: Path, name: str) -> tuple[Path, bytes] | None:
    """A file of the devkit and where it is: in the root, in the devkit's folders, or in its archive."""
    folders = (root, root / "data", *sorted(root.glob("*devkit*")), *sorted(root.glob("*devkit*/data")))
    for file in (folder / name for folder in folders):
        if file.is_file():
            return file, file.read_bytes()
    packed = [file for end in (".tar.gz", ".tgz", ".tar") for file in sorted(root.glob(f"*devkit*{end}"))]
    for file in packed:  # some browsers unpack gzip by themselves
        try:
            with tarfile.open(file) as tar:
                for member in tar:
                    if PurePosixPath(member.name).name == name and (stream := tar.extractfile(member)):
                        return file / name, stream.read()
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise bad_data(f"{file} is not a whole tar archive: {error}.", "Download it again.") from None
    return None
