"""What the official archives are called, how many bytes they have and their MD5: a check of a download in seconds.

Sizes are those that image-net.org publishes, checksums those of torchvision and image-net.org; no MD5 of a 2010 archive
was ever published.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torchvision.datasets.imagenet import ARCHIVE_META

from alexrepro.data.sources.archives import archive_files
from alexrepro.data.sources.ilsvrc import TREES
from alexrepro.data.sources.labels import SOLUTION
from alexrepro.data.sources.walk import WNID, below, names_in
from alexrepro.errors import UserError

MD5_BLOCK_BYTES = 2**20
REGISTER = "https://image-net.org/download.php"

Finding = Literal["as published", "differs", "not compared", "not published", "unpacked", "missing"]


@dataclass(frozen=True)
class Archive:
    """One archive: its name, the folder that it unpacks to, and its bytes and MD5 if published."""

    year: str
    part: str
    file: str
    folder: str
    size: int | None = None
    md5: str | None = None
    is_needed: bool = True


ARCHIVES = (
    Archive("2012", "train", ARCHIVE_META["train"][0], "train", 147_897_477_120, ARCHIVE_META["train"][1]),
    Archive("2012", "val", ARCHIVE_META["val"][0], "val", 6_744_924_160, ARCHIVE_META["val"][1]),
    Archive("2012", "test", "ILSVRC2012_img_test_v10102019.tar", "test", None, "e1b8681fff3d63731c599df9b4b6fc02",
            is_needed=False),
    Archive("2012", "devkit", ARCHIVE_META["devkit"][0], "ILSVRC2012_devkit_t12", None, ARCHIVE_META["devkit"][1]),
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
    description: str

    @property
    def is_wrong(self) -> bool:
        """Whether the data set cannot be prepared as it is."""
        return self.finding == "differs" or (self.finding == "missing" and self.archive.is_needed)


def check(path: Path, *, year: str, md5: bool) -> list[Checked]:
    """Each archive of a year: there, unpacked or missing, with its size and, if asked, its MD5 compared.

    Without `md5` no archive is read. Unpacked images are counted by folder, not opened.
    """
    return [Checked(archive, *_check(path, archive, md5)) for archive in ARCHIVES if archive.year == year]


def year_at(path: Path) -> str:
    """The year that most names at a path begin with; 2012 if none does."""
    names = [name for name in names_in(path) if name.startswith("ILSVRC20")]
    return "2010" if sum(name.startswith("ILSVRC2010") for name in names) > len(names) / 2 else "2012"


def _check(path: Path, archive: Archive, md5: bool) -> tuple[Finding, str]:
    try:
        if archive.file.endswith(".tar"):
            files: Sequence[Path] = archive_files(path, re.escape(archive.file.removesuffix(".tar")))
        else:
            files = [path / archive.file] if (path / archive.file).is_file() else []
    except UserError as refusal:
        return "missing", f"{refusal.what} {refusal.fix}"
    if files:
        return _compared(files, archive, md5)
    folder = next(filter(Path.is_dir, (path / tree / archive.folder for tree in TREES)), None)
    if folder is not None:
        inside = names_in(folder)
        classes = [name for name in inside if WNID.fullmatch(name.removesuffix(".tar"))]
        return "unpacked", f"{below(path, folder)}/ with {len(classes or inside):,} entries"
    packed = next(iter(sorted(path.glob("imagenet-object-localization*.zip"))), None)
    if archive.year == "2012" and packed is not None:
        return "not compared", f"in {packed.name}"
    if (archive.year, archive.part) == ("2012", "devkit") and (path / SOLUTION).is_file():
        return "not compared", f"{SOLUTION} instead, without ids"
    where = f"; register at {REGISTER}" if archive.is_needed else "; not needed"
    return "missing", f"{archive.file} or {archive.folder}/{where}"


def _compared(files: Sequence[Path], archive: Archive, md5: bool) -> tuple[Finding, str]:
    size = sum(file.stat().st_size for file in files)
    parts = f"{len(files)} parts, " if len(files) > 1 else ""
    if archive.size is not None and size != archive.size:
        return "differs", f"{parts}{size:,} bytes of {archive.size:,}"
    if md5 and archive.md5 is not None:
        found = _md5(files)
        return "as published" if found == archive.md5 else "differs", f"{parts}MD5 {found}"
    if archive.size is not None:
        return "as published", f"{parts}{size:,} bytes"
    return "not compared" if archive.md5 else "not published", f"{parts}{size:,} bytes"


def _md5(files: Sequence[Path]) -> str:
    found = hashlib.md5(usedforsecurity=False)
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(MD5_BLOCK_BYTES):
                found.update(block)
    return found.hexdigest()
