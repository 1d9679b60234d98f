"""The manifest of a store: its content, how it was made, and a checksum of every file next to it.

It is written last, so a folder without one is not a store. Every file name of a store is spelled here.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from alexrepro.errors import Exit, UserError
from alexrepro.files import sha256_of_file
from alexrepro.paper.training import STORED_PX, ResizeRule
from alexrepro.progress import progress

FORMAT = 3
MANIFEST, MEAN, COLOR_AXES, DEFECTS = "manifest.json", "mean.npy", "color_axes.json", "defects.csv"
PREPARED = "prepared.csv"  # the table of all stores in a folder
Encoding = Literal["jpeg", "raw", "planes"]
LEFT_OUT = "left out"
MOST_KEPT = 64  # manifests in memory; the largest, of all of ImageNet, has 3 MB


@dataclass(frozen=True)
class Form:
    """How the images of a store are kept: as JPEG, raw or as planes, their side, and how they became squares."""

    encoding: Encoding = "jpeg"
    side_px: int = STORED_PX
    resize: ResizeRule = "crop"


@dataclass(frozen=True)
class Shard:
    """One Arrow file of a store."""

    file: str
    images: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The content of a store and how it was made; nothing here depends on the time or the machine."""

    dataset: str
    split: str
    images: int
    classes: tuple[str, ...]
    class_names: tuple[str, ...]
    ilsvrc_ids: tuple[int, ...] | None
    labeled: bool
    encoding: Encoding
    rule: str
    source: str
    listing: str
    libraries: dict[str, str]
    shards: tuple[Shard, ...]
    defects: tuple[dict[str, str], ...]
    labels_sha256: str
    sha256: dict[str, str]
    side_px: int = STORED_PX
    resize: ResizeRule = "crop"
    format: int = FORMAT

    @property
    def full_name(self) -> str:
        """The split with its data set, as tables name it: `ilsvrc2010-test`."""
        return f"{self.dataset}-{self.split}"

    @property
    def digest(self) -> str:
        """A digest of the images in their order with their labels, and of the classes."""
        shards = [shard.sha256 for shard in self.shards]
        parts = [self.full_name, self.encoding, list(self.classes), self.labels_sha256, shards]
        return sha256_of(json.dumps(parts).encode())

    @property
    def labeling(self) -> str:
        """How to label the images: which files to put where; empty if they are labeled, or nobody publishes labels."""
        from alexrepro.data.sources.official_files import label_files  # loads SciPy

        files = "" if self.labeled else label_files(self.dataset, self.split)
        return f"Put {files} next to the images, and prepare them again." if files else ""

    def text(self) -> str:
        """The content of manifest.json: every field, and a checksum of them."""
        fields = asdict(self)
        checksum = sha256_of(json.dumps(fields, sort_keys=True).encode())
        return json.dumps({**fields, "checksum": checksum}, indent=1, ensure_ascii=False) + "\n"


def defect(path: str, class_name: str, reason: str, action: str) -> dict[str, str]:
    """A file that was odd or unreadable, as manifest and reports list it."""
    return {"path": path, "class": class_name, "reason": reason, "action": action}


def read_manifest(path: Path) -> Manifest:
    """The manifest of the store in a folder. Raises UserError if it is missing, damaged or of another format."""
    file = path / MANIFEST
    if not file.is_file():
        raise UserError(
            f"{path} is not a store: it has no {MANIFEST}.",
            fix="Make one with: alexrepro prepare SOURCE.",
            exit_code=Exit.MISSING_INPUT,
        )
    state = file.stat()
    return _parsed(path, (state.st_ino, state.st_mtime_ns, state.st_size))


@lru_cache(MOST_KEPT)
def _parsed(path: Path, _: tuple[int, int, int]) -> Manifest:
    """The manifest in a folder, which is read once as long as its file is the same one."""
    try:
        read: dict[str, Any] = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if read["format"] != FORMAT:
            raise UserError(
                f"{path} has the format {read['format']!s:.20}; this version reads format {FORMAT}.",
                fix="Prepare it again with: alexrepro prepare SOURCE; or use the version that wrote it.",
            )
        if read.pop("checksum") != sha256_of(json.dumps(read, sort_keys=True).encode()):
            raise damaged(path, f"{MANIFEST} does not have its checksum")
        lists = {name: tuple(read[name]) for name in ("classes", "class_names", "defects")}
        ids, shards = read["ilsvrc_ids"], tuple(Shard(**shard) for shard in read["shards"])
        return Manifest(**{**read, **lists, "shards": shards, "ilsvrc_ids": tuple(ids) if ids else None})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, f"{MANIFEST} cannot be read ({str(error)[:80]})") from None


def damaged(path: Path, what: str) -> UserError:
    """The error of a store whose bytes are not those that were written."""
    return UserError(
        f"The store {path} is damaged: {what}.", fix="Prepare it again from its source.", exit_code=Exit.BAD_DATA
    )


def sha256_of(data: bytes | memoryview) -> str:
    """The SHA-256 of some bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def verify(path: Path) -> list[str]:
    """What is wrong with the store in a folder, one sentence per problem; reads every byte. Empty if all is well."""
    try:
        manifest = read_manifest(path)
    except UserError as error:
        return [error.what]
    problems = []
    if not path.name.endswith(manifest.digest[:6]):
        problems.append(f"the folder's name does not end in {manifest.digest[:6]}, the digest of its images")
    statistics = [Shard(file, 0, checksum) for file, checksum in manifest.sha256.items()]
    with progress(f"verify {path.name}", total=manifest.images) as advance:
        for each in (*statistics, *manifest.shards):
            try:
                if sha256_of_file(path / each.file) != each.sha256:
                    problems.append(f"{each.file} does not have its checksum")
            except OSError as error:
                problems.append(f"{each.file} cannot be read ({error.strerror})")
            advance(each.images, "")
    unknown = {file.name for file in path.glob("shard-*")} - {shard.file for shard in manifest.shards}
    return problems + [f"{name} does not belong to it" for name in sorted(unknown)]
