"""The manifest of a store: what it holds and how it was made. Every file name of a store is spelled here.

The manifest is written last, so a folder without one is not a store. It holds a checksum of everything beside it.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from alexrepro.errors import Exit, Refusal

FORMAT = 1
MANIFEST, MEAN, COLOR_AXES, DEFECTS = "manifest.json", "mean.npy", "color_axes.json", "defects.csv"
Encoding = Literal["jpeg", "raw"]


@dataclass(frozen=True)
class Defect:
    """A file that was odd or unreadable: where, of which class, why, and what was done about it."""

    path: str
    class_name: str
    reason: str
    action: Literal["decoded", "left out"]

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
    labelled: bool
    encoding: Encoding
    rule: str
    source: str
    listing: str
    libraries: dict[str, str]
    shards: tuple[Shard, ...]
    defects: tuple[dict[str, str], ...]
    labels_sha256: str
    sha256: dict[str, str]
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
    """The manifest of the store in a folder. Raises Refusal if there is none, or it is damaged or of another format."""
    try:
        text = (path / MANIFEST).read_text(encoding="utf-8")
        read: dict[str, Any] = json.loads(text)
        if read["format"] != FORMAT:
            raise Refusal(
                f"{path} has the format {read['format']}; this version reads {FORMAT}.",
                fix="Prepare it anew with: alexrepro prepare SOURCE.",
            )
        ids = read["ilsvrc_ids"]
        lists = {name: tuple(read[name]) for name in ("classes", "class_names", "defects")}
        shards = tuple(Shard(**shard) for shard in read["shards"])
        read.pop("checksum")
        manifest = Manifest(**{**read, **lists, "shards": shards, "ilsvrc_ids": tuple(ids) if ids else None})
    except (FileNotFoundError, NotADirectoryError):
        raise Refusal(
            f"{path} is not a store: it has no {MANIFEST}.",
            fix="Make one with: alexrepro prepare SOURCE.",
            exit_code=Exit.MISSING_INPUT,
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(path, f"{MANIFEST} cannot be understood ({error})") from None
    if manifest.text() != text:
        raise damaged(path, f"{MANIFEST} does not have its checksum")
    return manifest


def damaged(path: Path, what: str) -> Refusal:
    """The refusal of a store whose bytes are not those that were written."""
    return Refusal(
        f"The store {path} is damaged: {what}.", fix="Prepare it anew from its source.", exit_code=Exit.BAD_DATA
    )


def sha256_of(data: bytes) -> str:
    """The checksum that a manifest holds of a file beside it."""
    return hashlib.sha256(data).hexdigest()
