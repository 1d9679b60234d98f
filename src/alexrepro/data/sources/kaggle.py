"""Kaggle's ImageNet of 2012 as its zip archive, which is read in place.

Below ILSVRC/Data/CLS-LOC lie the training images by class and the others flat; tables next to it give the words of the
classes and the labels of the validation images. There are no ids, so no submission file can be written from it.
"""

import re
import struct
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from shlex import quote

from alexrepro.data.sources.archives import content, kaggle_archive
from alexrepro.data.sources.images import Packed, class_split, in_order, numbered_split
from alexrepro.data.sources.labels import is_of, table_labels, words_by_wnid, words_of
from alexrepro.data.sources.official_files import MAPPING, SOLUTION, gaps_of_2012
from alexrepro.data.sources.source import (
    MOST_IMAGE_BYTES,
    Skipped,
    Source,
    bad_data,
    escaped,
)
from alexrepro.data.sources.walk import NO_PICTURE, WNID, is_image, why_ignored
from alexrepro.errors import Exit, Unreadable, UserError
from alexrepro.files import decoded

PACKED_AGAIN = re.compile(r"imagenet_object_localization\w*\.tar\.gz")
IMAGE = re.compile(rf"(?:.*/)?CLS-LOC/(?:(train)/({WNID.pattern})|(val|test))/(?:.*/)?([^/]+)")
LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, ..., lengths of name and extra field (APPNOTE 4.3.7)
ENCRYPTED = 0x1
IN_PLACE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class ZipMember:
    """A file within a zip archive, stored or deflated."""

    archive: Path
    header: int
    packed: int
    length: int
    crc: int
    is_deflated: bool

    def read(self) -> bytes:
        """All of it. Raises Unreadable if its bytes are not those that were packed, or too many."""
        if max(self.packed, self.length) > MOST_IMAGE_BYTES:
            raise Unreadable(f"a zip member of {self.length:,} bytes; at most {MOST_IMAGE_BYTES:,} are read")
        with self.archive.open("rb") as file:
            file.seek(self.header)
            start = file.read(LOCAL_HEADER.size)
            if len(start) < LOCAL_HEADER.size or start[:4] != b"PK\3\4":
                raise Unreadable("damaged zip member: no header")
            _, name, extra = LOCAL_HEADER.unpack(start)
            file.seek(name + extra, 1)
            data = file.read(self.packed)
        try:  # -15: deflate without a header
            data = zlib.decompressobj(wbits=-15).decompress(data, self.length + 1) if self.is_deflated else data
        except zlib.error as error:
            raise Unreadable(f"damaged zip member: {error}") from None
        if len(data) != self.length or zlib.crc32(data) != self.crc:
            raise Unreadable("damaged zip member: not the bytes that were packed")
        return data

    def size(self) -> int:
        """How many bytes it unpacks to."""
        return self.length


def fits(path: Path) -> bool:
    """Whether the path is a zip archive, or a folder that holds Kaggle's."""
    return _archive(path) is not None


def read(path: Path) -> Source:
    """Classes and images of the archive. Raises UserError if it is damaged or holds no such tree."""
    file = _archive(path)
    assert file is not None
    images, tables = defaultdict[tuple[str, str], Packed](Packed), dict[str, ZipMember]()  # by split and WNID
    others = Counter[tuple[str, str, bool]]()
    for key, rows in groupby(_images(file, tables, others), key=itemgetter(0)):
        images[key].extend((base, member) for _, base, member in rows)
    train = {wnid: in_order(found, file) for (split, wnid), found in sorted(images.items()) if split == "train"}
    if not train:
        raise bad_data(f"{file} holds no training images below CLS-LOC/train/<wnid>/, as Kaggle's archive does.",
                       "Unzip it, and prepare the folder.")  # fmt: skip
    wnids, splits = tuple(train), [class_split("train", train, tuple(train))]
    for split in (split for split in ("val", "test") if (split, "") in images):
        found, labels = in_order(images[split, ""], file), None
        if split == "val" and SOLUTION in tables:
            label_of = {wnid: label for label, wnid in enumerate(wnids)}
            labels = table_labels(_text(tables, SOLUTION), Path(SOLUTION), [name for name, _ in found], label_of)
        splits.append(numbered_split(split, found, labels))
    words = words_by_wnid(_text(tables, MAPPING)) if MAPPING in tables else {}
    skipped = tuple(Skipped(escaped(folder), f"{reason} ({count:,} files)", is_loss)
                    for (folder, reason, is_loss), count in others.items())  # fmt: skip
    return Source("ilsvrc2012", wnids, words_of(wnids, words), tuple(splits),
                  gaps=tuple(gaps_of_2012(wnids, splits)), skipped=skipped)  # fmt: skip


def _images(
    file: Path, tables: dict[str, ZipMember], others: Counter[tuple[str, str, bool]]
) -> Iterator[tuple[tuple[str, str], str, ZipMember]]:
    """Split and WNID, name and location of each image; puts the tables aside and counts what is not read."""
    for name, member in _members(file):
        folder, _, base = name.rpartition("/")
        image = IMAGE.fullmatch(name)
        if base in {SOLUTION, MAPPING}:
            tables[base] = member
        elif PACKED_AGAIN.fullmatch(base):
            raise UserError(
                f"{file} holds {base}, and no image in a gzip stream can be found without reading all before it.",
                fix=f"Unpack both, and prepare the folder: unzip {file.name} && tar -xzf {base}",
                exit_code=Exit.MISSING_INPUT,
            )
        elif (reason := why_ignored(base)) or not is_image(base):
            others[folder, reason or NO_PICTURE, False] += 1
        elif image and (image[1] or is_of(image[3], base)):
            yield (image[1] or image[3], image[2] or ""), base, member
        else:
            others[folder, "images that belong to no split", image is not None] += 1


def _archive(path: Path) -> Path | None:
    """The zip archive at a path: the file itself, or the one in a folder that has Kaggle's name."""
    return path if path.is_file() else kaggle_archive(path)


def _members(file: Path) -> Iterator[tuple[str, ZipMember]]:
    """Path and location of every member, in the archive's order.

    Raises UserError if the archive is damaged, cut short, encrypted or packed by another method than deflate.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            for info in (info for info in archive.infolist() if not info.is_dir()):
                if info.flag_bits & ENCRYPTED or info.compress_type not in IN_PLACE:
                    raise bad_data(
                        f"{file} cannot be read in place: it is encrypted, or not packed by the method deflate.",
                        f"Unzip it, and prepare the folder: unzip {quote(str(file))} -d {quote(str(file)[:-4])}",
                    )
                sizes = (info.header_offset, info.compress_size, info.file_size, info.CRC)
                yield info.filename, ZipMember(file, *sizes, info.compress_type == zipfile.ZIP_DEFLATED)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, struct.error) as error:
        raise bad_data(
            f"{file} is not a whole zip archive, but {content(file)} of {file.stat().st_size:,} bytes: {error}.",
            "Continue the download, for example with wget -c, or download it again.",
        ) from None


def _text(tables: Mapping[str, ZipMember], name: str) -> str:
    archive = tables[name].archive
    try:
        return decoded(tables[name].read(), name=f"{archive}/{name}")
    except Unreadable as reason:
        raise bad_data(f"{archive} has a table that cannot be read: {reason}.") from None
