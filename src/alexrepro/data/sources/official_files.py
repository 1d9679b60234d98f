"""The official files of ILSVRC: archives with sizes and MD5, counts, class tables and ground truth of the devkits.

Sizes are those that image-net.org publishes, checksums those of torchvision and image-net.org; no MD5 of a 2010 archive
was ever published. Ids count from 1 in an order of their own, which is not that of the sorted WNIDs; whatever has an id
goes through here.
"""

import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import numpy as np
from scipy.io import loadmat

from alexrepro.data.sources.archives import archive_files, kaggle_archive
from alexrepro.data.sources.source import Split, bad_data, escaped
from alexrepro.data.sources.walk import WNID, names_in
from alexrepro.errors import UserError
from alexrepro.files import decoded
from alexrepro.paper.results import CLASSES, IMAGES

SOLUTION, MAPPING = "LOC_val_solution.csv", "LOC_synset_mapping.txt"  # Kaggle's labels and words
TREES = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")  # Kaggle keeps the images three folders below its tables
DEVKIT, META = "ILSVRC2012_devkit_t12.tar.gz", "meta.mat"
CAFFE = "val.txt"  # Caffe's labels
REGISTER = "https://image-net.org/download.php"
SHOWN = 20  # characters of a line that is not an id

Year = Literal["2010", "2012"]


class Archive(NamedTuple):
    """One archive: its name, the folder that it unpacks to, and its bytes and MD5 if published."""

    year: str
    part: str
    file: str
    folder: str
    size: int | None = None
    md5: str | None = None
    is_needed: bool = True


ARCHIVES = (
    Archive("2012", "train", "ILSVRC2012_img_train.tar", "train", 147_897_477_120, "1d675b47d978889d74fa0da5fadfb00e"),
    Archive("2012", "val", "ILSVRC2012_img_val.tar", "val", 6_744_924_160, "29b22e2961454d5413ddabcf34fc5622"),
    Archive("2012", "test", "ILSVRC2012_img_test_v10102019.tar", "test", None, "e1b8681fff3d63731c599df9b4b6fc02",
            is_needed=False),
    Archive("2012", "devkit", DEVKIT, "ILSVRC2012_devkit_t12", None, "fa75699e90414af021442c21a62c3abf"),
    Archive("2010", "train", "ILSVRC2010_images_train.tar", "train"),
    Archive("2010", "val", "ILSVRC2010_images_val.tar", "val"),
    Archive("2010", "test", "ILSVRC2010_images_test.tar", "test"),
    Archive("2010", "devkit", "ILSVRC2010_devkit-1.0.tar.gz", "devkit-1.0"),
    Archive("2010", "test truth", "ILSVRC2010_test_ground_truth.txt", "devkit-1.0"),
    Archive("2010", "patches", "patch_images.tar", "patch_images", is_needed=False),
)  # fmt: skip


class Checked(NamedTuple):
    """What was found of one archive: `as published`, `differs`, `missing` and so on, and the numbers."""

    archive: Archive
    finding: str
    description: str

    @property
    def is_there(self) -> bool:
        """Whether the archive itself lies there."""
        return self.finding not in ("missing", "unpacked", "replaced")

    @property
    def is_wrong(self) -> bool:
        """Whether the data set cannot be prepared as it is."""
        return self.finding == "differs" or (self.finding == "missing" and self.archive.is_needed)


def check(path: Path, *, md5: bool) -> list[Checked]:
    """Each archive of the year that most names at a path begin with: its size and, if asked, its MD5 compared.

    Without `md5` no archive is read. Unpacked images are counted by folder, not opened. The year is 2012 if no name
    has one.
    """
    years = [name[6:10] for name in names_in(path) if name.startswith("ILSVRC20")]
    year = "2010" if years.count("2010") > len(years) / 2 else "2012"
    return [Checked(archive, *_check(path, archive, md5)) for archive in ARCHIVES if archive.year == year]


def _check(path: Path, archive: Archive, md5: bool) -> tuple[str, str]:
    whole = path / archive.file
    try:
        if whole.suffix == ".tar":
            files: Sequence[Path] = archive_files(path, re.escape(whole.stem))
        else:
            files = [whole] if whole.is_file() else []
    except UserError as error:
        return "missing", f"{error.what} {error.fix}"
    if files:
        return _compared(files, archive, md5)
    folder = next(filter(Path.is_dir, (path / tree / archive.folder for tree in TREES)), None)
    if folder is not None:
        inside = names_in(folder)
        classes = [name for name in inside if WNID.fullmatch(name.removesuffix(".tar"))]
        return "unpacked", f"{escaped(folder.relative_to(path))}/ with {len(classes or inside):,} entries"
    packed = kaggle_archive(path)
    if archive.year == "2012" and packed is not None:
        return "replaced", f"by {packed.name}"
    if archive.file == DEVKIT and (path / SOLUTION).is_file():
        return "replaced", f"by {SOLUTION}, without ids"
    where = f"; register at {REGISTER}" if archive.is_needed else "; not needed"
    return "missing", f"{archive.file} or {archive.folder}/{where}"


def _compared(files: Sequence[Path], archive: Archive, md5: bool) -> tuple[str, str]:
    size, parts = sum(file.stat().st_size for file in files), f"{len(files)} parts, " if len(files) > 1 else ""
    if archive.size not in (None, size):
        return "differs", f"{parts}{size:,} bytes of {archive.size:,}"
    if not md5 or archive.md5 is None:
        known = "as published" if archive.size else "not compared" if archive.md5 else "not published"
        return known, f"{parts}{size:,} bytes"
    found = hashlib.md5(usedforsecurity=False)
    for file in files:
        with file.open("rb") as stream:
            hashlib.file_digest(stream, lambda: found)
    return "as published" if found.hexdigest() == archive.md5 else "differs", f"{parts}MD5 {found.hexdigest()}"


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


def label_files(dataset: str, split: str) -> str:
    """The files that can label a split (any one will do), in words; empty if its labels were never published."""
    if dataset.startswith("ilsvrc2010"):
        return truth_file("2010", split)
    if dataset.startswith("ilsvrc2012"):
        return f"{DEVKIT}, {SOLUTION} or {CAFFE}" if split == "val" else ""
    return "their labels" if split == "val" else ""


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


def gaps_of_2012(classes: Sequence[str], splits: Sequence[Split]) -> Iterator[str]:
    """Where classes or images are not as many as in the release of 2012, for a source without a devkit.

    Test images, whose labels were never published, may be missing altogether.
    """
    if len(classes) != CLASSES["ilsvrc2012"]:
        yield f"{len(classes):,} of {CLASSES['ilsvrc2012']:,} classes"
    counts = {"train": 0, "val": 0, **{split.name: len(split.images) for split in splits}}
    for name, count in counts.items():
        if count != (official := IMAGES[f"ilsvrc2012-{name}"]):
            yield f"{count:,} of {official:,} {name} images"
