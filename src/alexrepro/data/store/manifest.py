"""The manifest of a store: what it holds and how it was made. Every file name of a store is spelled here.

The manifest is written last, so a folder without one is not a store. It holds a checksum of everything beside it.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from alexrepro.errors import Exit, UserError
from alexrepro.paper.training import STORED_PX, ResizeRule

FORMAT = 3
MANIFEST, MEAN, COLOR_AXES, DEFECTS = "manifest.json", "mean.npy", "color_axes.json", "defects.csv"
Encoding = Literal["jpeg", "raw"]
Action = Literal["decoded", "left out"]
LEFT_OUT: Action = "left out"
MOST_BYTES = 256_000_000  # of a manifest; one that lists every photo of ImageNet as odd has about 200 million
PLAIN_NAME = re.compile(r"[\w-]+\.\w+")
PLAIN_WORD = re.compile(r"[\w-]+")  # data sets and splits name folders


@dataclass(frozen=True)
class Form:
    """How the images of a store are kept: as JPEG or raw, of which side, and cut by which rule."""

    encoding: Encoding = "jpeg"
    side_px: int = STORED_PX
    resize: ResizeRule = "crop"


@dataclass(frozen=True)
class Defect:
    """A file that was odd or unreadable: where, of which class, why, and what was done about it."""

    path: str
    class_name: str
    reason: str
    action: Action

    def as_dict(self) -> dict[str, str]:
        """The four columns under the names of the manifest and the reports."""
        return {"path": self.path, "class": self.class_name, "reason": self.reason, "action": self.action}


@dataclass(frozen=True)
class Shard:
    """One Arrow file of a store."""

    file: str
    images: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a store holds and how it was made; nothing here depends on the time or the machine."""

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
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def text(self) -> str:
        """The content of manifest.json: every field, and a checksum of them."""
        fields = asdict(self)
        checksum = sha256_of(json.dumps(fields, sort_keys=True).encode())
        return json.dumps({**fields, "checksum": checksum}, indent=1, ensure_ascii=False) + "\n"


def read_manifest(path: Path) -> Manifest:
    """The manifest of the store in a folder. Raises UserError if missing, damaged or of another format."""
    file = path / MANIFEST
    if not file.is_file():
        raise UserError(
            f"{path} is not a store: it has no {MANIFEST}.",
            fix="Make one with: alexrepro prepare SOURCE.",
            exit_code=Exit.MISSING_INPUT,
        )
    if file.stat().st_size > MOST_BYTES:
        raise damaged(path, f"{MANIFEST} has more than {MOST_BYTES:,} bytes")
    try:
        text = file.read_text(encoding="utf-8")
        read: dict[str, Any] = json.loads(text)
        if read["format"] != FORMAT:
            raise UserError(
                f"{path} has the format {read['format']!s:.20}; this version reads format {FORMAT}.",
                fix="Prepare it again with: alexrepro prepare SOURCE; or use the version that wrote it.",
            )
        ids = read["ilsvrc_ids"]
        lists = {name: tuple(read[name]) for name in ("classes", "class_names", "defects")}
        shards = tuple(Shard(**shard) for shard in read["shards"])
        checksum = read.pop("checksum")
        has_checksum = checksum == sha256_of(json.dumps(read, sort_keys=True).encode())
        manifest = Manifest(**{**read, **lists, "shards": shards, "ilsvrc_ids": tuple(ids) if ids else None})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, f"{MANIFEST} cannot be understood ({str(error)[:80]})") from None
    if not has_checksum:
        raise damaged(path, f"{MANIFEST} does not have its checksum")
    if not _is_sound(manifest):
        raise damaged(path, f"{MANIFEST} says what no preparation writes")
    return manifest


def _is_sound(manifest: Manifest) -> bool:
    """Whether the values that are computed and opened with are of their kinds; no name leads outside a folder."""
    shards, counts = manifest.shards, [shard.images for shard in manifest.shards]
    files = [*manifest.sha256, *(shard.file for shard in shards)]
    texts = [manifest.dataset, manifest.split, manifest.labels_sha256, *manifest.classes, *manifest.class_names]
    texts += [*files, *manifest.sha256.values(), *(shard.sha256 for shard in shards)]
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(count, int) and count > 0 for count in counts)
        and sum(counts) == manifest.images
        and isinstance(manifest.side_px, int)
        and 0 < manifest.side_px <= STORED_PX
        and manifest.resize in get_args(ResizeRule)
        and all(PLAIN_NAME.fullmatch(file) for file in files)
        and all(PLAIN_WORD.fullmatch(name) for name in (manifest.dataset, manifest.split))
    )


def damaged(path: Path, what: str) -> UserError:
    """The refusal of a store whose bytes are not those that were written."""
    return UserError(
        f"The store {path} is damaged: {what}.", fix="Prepare it anew from its source.", exit_code=Exit.BAD_DATA
    )


def sha256_of(data: bytes) -> str:
    """The checksum that a manifest holds of a file beside it."""
    return hashlib.sha256(data).hexdigest()
