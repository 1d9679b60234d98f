"""What the official archives are called, how many bytes they have and their MD5: a check of a download in seconds.

Sizes and checksums are those that image-net.org and torchvision publish; no MD5 of a 2010 archive was ever published.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alexrepro.data.sources.folders import WNID, sorted_names
from alexrepro.data.sources.ilsvrc import TREES
from alexrepro.data.sources.kaggle import TRUTH
from alexrepro.data.sources.packed import archive_files
from alexrepro.data.sources.walk import below
from alexrepro.errors import UserError

MD5_BLOCK_BYTES = 2**20
REGISTER = "https://image-net.org/download.php"

Finding = Literal["as published", "differs", "not compared", "not published", "unpacked", "missing"]


@dataclass(frozen=True)
class Archive:
    """One archive: its name, its bytes and MD5 where published, and the folder that it unpacks to."""

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
    Archive(
        "2012", "test", "ILSVRC2012_img_test_v10102019.tar", "test", None,
        "e1b8681fff3d63731c599df9b4b6fc02", is_needed=False,
    ),
    Archive(
        "2012", "devkit", "ILSVRC2012_devkit_t12.tar.gz", "ILSVRC2012_devkit_t12", None,
        "fa75699e90414af021442c21a62c3abf",
    ),
    Archive("2010", "train", "ILSVRC2010_images_train.tar", "train"),
    Archive("2010", "val", "ILSVRC2010_images_val.tar", "val"),
    Archive("2010", "test", "ILSVRC2010_images_test.tar", "test"),
    Archive("2010", "devkit", "ILSVRC2010_devkit-1.0.tar.gz", "devkit-1.0"),
    Archive("2010", "test truth", "ILSVRC2010_test_ground_truth.txt", "devkit-1.0"),
    Archive("2010", "patches", "patch_images.tar", "patch_images", is_needed=False),
)  # fmt: skip


@dataclass(frozen=True)
class Checked:
    """What was found of one archive."""

    archive: Archive
    finding: Finding
    says: str

    @property
    def is_wrong(self) -> bool:
        """Whether the data set cannot be prepared as it is."""
        return self.finding == "differs" or (self.finding == "missing" and self.archive.is_needed)


def check(path: Path, *, year: str, md5: bool) -> list[Checked]:
    """Each archive of a year: there, unpacked or missing, with its size and, if asked, its MD5 compared.

    Without `md5` no archive is read. Unpacked photos are counted by folder, not opened.
    """
    return [_check(path, archive, md5) for archive in ARCHIVES if archive.year == year]


def year_at(path: Path) -> str:
    """The year that most names at a path begin with; 2012 where none does."""
    names = [name for name in sorted_names(path) if name.startswith("ILSVRC20")]
    return "2010" if sum(name.startswith("ILSVRC2010") for name in names) > len(names) / 2 else "2012"


def _check(path: Path, archive: Archive, md5: bool) -> Checked:
    try:
        files = _files(path, archive.file)
    except UserError as refusal:
        return Checked(archive, "missing", f"{refusal.what} {refusal.fix}")
    if files:
        return _compared(files, archive, md5)
    folder = next(filter(Path.is_dir, (path / tree / archive.folder for tree in TREES)), None)
    if folder is not None:
        inside = sorted_names(folder)
        classes = [name for name in inside if WNID.fullmatch(name.removesuffix(".tar"))]
        return Checked(archive, "unpacked", f"{below(path, folder)}/ with {len(classes or inside):,} entries")
    if archive.year == "2012" and (found := _of_kaggle(path, archive)):
        return Checked(archive, "not compared", found)
    where = f"; register at {REGISTER}" if archive.is_needed else "; not needed"
    return Checked(archive, "missing", f"{archive.file} or {archive.folder}/{where}")


def _of_kaggle(path: Path, archive: Archive) -> str | None:
    """What of Kaggle's copy stands in the place of an archive, if anything."""
    packed = next(iter(sorted(path.glob("imagenet-object-localization*.zip"))), None)
    if packed is not None:
        return f"in {packed.name}"
    has_labels = archive.part == "devkit" and (path / TRUTH).is_file()
    return f"{TRUTH} in its place, without ids" if has_labels else None


def _files(path: Path, name: str) -> Sequence[Path]:
    """The file of an archive, or its parts in order. Raises UserError if it is compressed or a part is missing."""
    if not name.endswith(".tar"):
        return [path / name] if (path / name).is_file() else []
    return archive_files(path, re.escape(name.removesuffix(".tar")))


def _compared(files: Sequence[Path], archive: Archive, md5: bool) -> Checked:
    size = sum(file.stat().st_size for file in files)
    parts = f"{len(files)} parts, " if len(files) > 1 else ""
    if archive.size is not None and size != archive.size:
        return Checked(archive, "differs", f"{parts}{size:,} bytes of {archive.size:,}")
    if md5 and archive.md5 is not None:
        found = _md5(files)
        return Checked(archive, "as published" if found == archive.md5 else "differs", f"{parts}MD5 {found}")
    finding: Finding = "not published" if archive.size is None and archive.md5 is None else "not compared"
    return Checked(archive, finding if archive.size is None else "as published", f"{parts}{size:,} bytes")


def _md5(files: Sequence[Path]) -> str:
    found = hashlib.md5(usedforsecurity=False)
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(MD5_BLOCK_BYTES):
                found.update(block)
    return found.hexdigest()
