"""Images that are bombs or lie are left out and listed, and the good one among them is prepared in bounded memory."""

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from alexrepro.data.store.store import Store, find_stores

from ..hostile import END_OF_TAR, assert_done, assert_refused, forged, member, picture, prepared

MOST_SIDE = 65_535


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, content: bytes, before: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + before + chunk(b"IDAT", content) + chunk(b"IEND", b"")


@cache
def packed_zeros(count: int) -> bytes:
    packer = zlib.compressobj(1)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(count >> 20)) + packer.flush()


def gzipped_zeros(count: int) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(count >> 20)) + packer.flush()


def saved(kind: str, height: int = 40, width: int = 40, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 60)).save(stream, kind, **options)
    return stream.getvalue()


def with_bytes(data: bytes, place: int, value: bytes) -> bytes:
    return data[:place] + value + data[place + len(value) :]


def jpeg_of(width: int, height: int, **options: Any) -> bytes:
    data = saved("JPEG", **options)
    marker = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return with_bytes(data, marker + 5, struct.pack(">HH", height, width))


def frames(count: int) -> bytes:
    stream = io.BytesIO()
    first, *others = [Image.fromarray(np.full((40, 40), number % 256, dtype=np.uint8)) for number in range(count)]
    first.save(stream, "GIF", save_all=True, append_images=others)
    return stream.getvalue()


BIG = 1 << 28
WHITE = zlib.compress((b"\0" + b"\xff" * 15) * 5)  # 5x5 pixels
LEFT_OUT = {
    "PNG of 4 gigapixels": lambda: png(MOST_SIDE, MOST_SIDE, packed_zeros(1 << 20)),
    "PNG of 30000x30000": lambda: png(30_000, 30_000, packed_zeros(BIG)),
    "PNG whose text unpacks to 256 MB": lambda: png(5, 5, WHITE, chunk(b"zTXt", b"k\0\0" + packed_zeros(BIG))),
    "PNG whose profile unpacks to 256 MB": lambda: png(5, 5, WHITE, chunk(b"iCCP", b"k\0\0" + packed_zeros(BIG))),
    "PNG of 2,000 texts": lambda: png(5, 5, WHITE, chunk(b"zTXt", b"k\0\0" + packed_zeros(1 << 20)) * 2000),
    "JPEG of 4 gigapixels": lambda: jpeg_of(MOST_SIDE, MOST_SIDE),
    "progressive JPEG of 4 gigapixels": lambda: jpeg_of(MOST_SIDE, MOST_SIDE, progressive=True),
    "JPEG of no pixels": lambda: jpeg_of(0, 0),
    "GIF of 4 gigapixels": lambda: with_bytes(saved("GIF"), 6, struct.pack("<HH", MOST_SIDE, MOST_SIDE)),
    "GIF of 1,000 frames": lambda: frames(1000),
    "BMP of 4 gigapixels": lambda: with_bytes(saved("BMP"), 18, struct.pack("<ii", MOST_SIDE, -MOST_SIDE)),
    "WebP of 268 megapixels": lambda: with_bytes(saved("WEBP", lossless=True), 21, b"\xff\xff\xff\x0f"),
    "gzip of 256 MB": lambda: gzipped_zeros(BIG),
    "gzip in gzip": lambda: gzip.compress(gzip.compress(picture())),
}  # fmt: skip
DECODED = {
    "JPEG of 1x60000": lambda: saved("JPEG", height=60_000, width=1),
    "PNG of 60000x1": lambda: saved("PNG", height=1, width=60_000),
    "PNG with 256 MB behind its pixels": lambda: png(5, 5, packed_zeros(BIG)),
}
Write = Callable[[], bytes]


def beside_a_good_one(tmp_path: Path, data: bytes) -> Path:
    folder = tmp_path / "work" / "source" / "a"
    folder.mkdir(parents=True)
    (folder / "good.jpg").write_bytes(picture())
    (folder / "hostile.JPEG").write_bytes(data)
    return folder.parent


def opened(source: Path) -> Store:
    (store,) = find_stores(source.parent / "stores")
    return store


@pytest.mark.parametrize("write", LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_hostile_image_is_left_out_and_listed(write: Write, tmp_path: Path) -> None:
    source = beside_a_good_one(tmp_path, write())

    ended = prepared(source, "--max-bad", 1)

    assert_done(ended)
    assert len(opened(source)) == 1
    assert [defect["action"] for defect in opened(source).manifest.defects] == ["left out"]


@pytest.mark.parametrize("write", DECODED.values(), ids=DECODED)
def test_an_image_of_an_extreme_form_is_prepared(write: Write, tmp_path: Path) -> None:
    source = beside_a_good_one(tmp_path, write())

    ended = prepared(source)

    assert_done(ended)
    assert len(opened(source)) == 2


def parquet(labels: list[Any], column: str = "image") -> bytes:
    stream = io.BytesIO()
    rows = [{"bytes": picture(number), "path": f"{number}.jpg"} for number in range(len(labels))]
    pq.write_table(pa.table({column: rows, "label": labels}), stream)
    return stream.getvalue()


def sample(label: bytes) -> bytes:
    return member("a.jpg", picture()) + member("a.cls", label) + END_OF_TAR


TABLE, SHARD = "train-00000-of-00001.parquet", "set-train-0000.tar"
CONTAINERS = {
    "text for Parquet": (TABLE, b"no Parquet " * 20),
    "nothing for Parquet": (TABLE, b""),
    "Parquet cut short": (TABLE, parquet([0, 1])[:-100]),
    "Parquet with a hole": (TABLE, parquet([0, 1])[:100] + parquet([0, 1])[-300:]),
    "Parquet without pictures": (TABLE, parquet([0, 1], column="text")),
    "Parquet with texts for labels": (TABLE, parquet(["a", "b"])),
    "Parquet with fractions for labels": (TABLE, parquet([0.5, 1.0])),
    "Parquet with lists for labels": (TABLE, parquet([[0], [1]])),
    "Parquet without labels": (TABLE, parquet([-1, -1])),
    "sample with a word for a label": (SHARD, sample(b"cat")),
    "sample with a negative label": (SHARD, sample(b"-1")),
    "sample with 10 MB for a label": (SHARD, sample(b"1" * 10_000_000)),
    "sample without a label": (SHARD, member("a.jpg", picture()) + END_OF_TAR),
    "samples cut short": (SHARD, sample(b"0")[:-1024]),
    "sample that promises more": (SHARD, forged(member("a.jpg", picture()), 124, b"77777777777") + END_OF_TAR),
}


@pytest.mark.parametrize(("name", "content"), CONTAINERS.values(), ids=CONTAINERS)
def test_a_hostile_container_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    source = tmp_path / "work" / "source"
    source.mkdir(parents=True)
    (source / name).write_bytes(content)

    ended = prepared(source, "--max-bad", 1000)

    assert_refused(ended)


CLASS = "ILSVRC/Data/CLS-LOC/train/n00000001"


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {f"{CLASS}/n00000001_1.JPEG": picture(), **members}.items():
            archive.writestr(name, data)
    return stream.getvalue()


def directory_entry(archive: bytes, place: int, value: bytes) -> bytes:
    """The archive with other bytes in the last entry of its directory (APPNOTE 4.3.12)."""
    return with_bytes(archive, archive.rindex(b"PK\1\2") + place, value)


SECOND = {f"{CLASS}/n00000001_2.JPEG": picture(1)}
ZIPS = {
    "256 MB of zeros": lambda: zipped({f"{CLASS}/n00000001_2.JPEG": bytes(BIG)}),
    "more than it says": lambda: directory_entry(zipped({f"{CLASS}/n00000001_2.JPEG": bytes(1 << 20)}), 24, bytes(4)),
    "over another member": lambda: directory_entry(zipped(SECOND), 42, bytes(4)),
    "beyond the end": lambda: directory_entry(zipped(SECOND), 42, b"\xf0\xff\xff\xff"),
}


@pytest.mark.parametrize("write", ZIPS.values(), ids=ZIPS)
def test_a_hostile_member_of_a_zip_is_left_out_and_listed(write: Write, tmp_path: Path) -> None:
    source = tmp_path / "work" / "source"
    source.mkdir(parents=True)
    (source / "imagenet-object-localization-challenge.zip").write_bytes(write())

    ended = prepared(source, "--max-bad", 1)

    assert_done(ended)
    assert len(opened(source)) == 1


def test_nothing_of_a_zip_is_written_where_its_names_say(tmp_path: Path) -> None:
    source = tmp_path / "work" / "source"
    source.mkdir(parents=True)
    names = (f"../../{CLASS}/n00000001_2.JPEG", f"{tmp_path}/work/{CLASS}/n00000001_3.JPEG")
    zip_file = source / "imagenet-object-localization-challenge.zip"
    zip_file.write_bytes(zipped({name: picture(number) for number, name in enumerate(names)}))

    assert_done(prepared(source))
