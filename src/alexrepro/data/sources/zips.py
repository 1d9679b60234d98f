"""Zip archives read where they lie: the directory is listed once, then every member is read by its offset alone."""

import glob
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from alexrepro.data.sources.folders import spoken
from alexrepro.data.sources.packed import content
from alexrepro.data.sources.source import MOST_PHOTO_BYTES
from alexrepro.errors import Exit, Unreadable, UserError

LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, ..., lengths of name and extra field (APPNOTE 4.3.7)
ENCRYPTED = 0x1


@dataclass(frozen=True)
class ZipMember:
    """A photo or table within a zip archive, stored or deflated."""

    archive: Path
    header: int
    packed: int
    length: int
    crc: int
    is_deflated: bool

    def read(self) -> bytes:
        """All of it. Raises Unreadable if its bytes are not those that were packed, or too many."""
        if max(self.packed, self.length) > MOST_PHOTO_BYTES:
            raise Unreadable(f"a zip member of {self.length:,} bytes; at most {MOST_PHOTO_BYTES:,} are read")
        with self.archive.open("rb") as file:
            file.seek(self.header)
            start = file.read(LOCAL_HEADER.size)
            if len(start) < LOCAL_HEADER.size or start[:4] != b"PK\3\4":
                raise Unreadable("damaged zip member: no header")
            _, name, extra = LOCAL_HEADER.unpack(start)
            file.seek(name + extra, 1)
            data = file.read(self.packed)
        if self.is_deflated:
            data = self._inflated(data)
        if len(data) != self.length or zlib.crc32(data) != self.crc:
            raise Unreadable("damaged zip member: not the bytes that were packed")
        return data

    def size(self) -> int:
        """How many bytes it unpacks to."""
        return self.length

    def _inflated(self, data: bytes) -> bytes:
        try:
            return zlib.decompressobj(wbits=-15).decompress(data, self.length + 1)  # -15: deflate without a header
        except zlib.error as error:
            raise Unreadable(f"damaged zip member: {error}") from None


def zip_members(file: Path) -> Iterator[tuple[str, ZipMember]]:
    """The path and place of every member that can be read in place, in the archive's order.

    Raises UserError if the archive is damaged, cut short, encrypted or packed by another method than deflate, and if a
    path comes twice.
    """
    names = set[str]()
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                if info.flag_bits & ENCRYPTED:
                    raise _not_in_place(file, f"{spoken(Path(info.filename))} in it is encrypted")
                if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                    raise _not_in_place(
                        file, f"{spoken(Path(info.filename))} in it is not packed by the method deflate"
                    )
                if info.filename in names:
                    raise _not_in_place(file, f"it holds {spoken(Path(info.filename))} twice")
                names.add(info.filename)
                yield (
                    info.filename,
                    ZipMember(
                        file, info.header_offset, info.compress_size, info.file_size, info.CRC,
                        is_deflated=info.compress_type == zipfile.ZIP_DEFLATED,
                    ),
                )  # fmt: skip
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, struct.error) as error:
        raise _damaged(file, error) from None


def _not_in_place(file: Path, why: str) -> UserError:
    folder = quote(str(file.with_suffix("")))
    return UserError(f"{file} cannot be read in place: {why}.",
                   fix=f"Unzip it, and prepare the folder: unzip {quote(str(file))} -d {folder}",
                   exit_code=Exit.BAD_DATA)  # fmt: skip


def _damaged(file: Path, error: Exception) -> UserError:
    """The refusal of an archive whose directory, which is at its end, cannot be read."""
    if list(file.parent.glob(f"{glob.escape(file.stem)}.z[0-9][0-9]")) or "multiple disks" in str(error):
        return _not_in_place(file, "it is in several parts; join them first with zip -s 0 --out whole.zip")
    seen = content(file)
    if seen != "zip":
        return UserError(f"{file} is no zip archive: its first bytes are those of: {seen}.",
                       fix="Download it again.", exit_code=Exit.BAD_DATA)  # fmt: skip
    return UserError(
        f"{file} is no whole zip archive: {error}; it ends at byte {file.stat().st_size:,}.",
        fix="Continue the download, for example with wget -c, or download it again.",
        exit_code=Exit.BAD_DATA,
    )
