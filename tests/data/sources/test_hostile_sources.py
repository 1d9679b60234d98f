"""Files that are no files, tables that lie, and labels that would fill the memory are answered by exit 65."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from alexrepro.data.store.store import find_stores

from ..hostile import END_OF_TAR, assert_done, assert_refused, member, picture, prepared

TABLE, SHARD, ZIP = "train-0.parquet", "set-train-0000.tar", "imagenet-object-localization-challenge.zip"
LABELED = b"ImageId,PredictionString\nILSVRC2012_val_00000001"


def rows(count: int = 3, **more: Any) -> list[dict[str, Any]]:
    return [{"bytes": picture(number), "path": f"{number}.jpg", **more} for number in range(count)]


def parquet(images: Any, labels: Any = (0, 1, 1), *, metadata: bytes | None = None) -> bytes:
    table = pa.table({"image": images, "label": list(labels) if isinstance(labels, tuple) else labels})
    if metadata is not None:
        table = table.replace_schema_metadata({b"huggingface": metadata})
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    return stream.getvalue()


def many_empty_rows() -> bytes:
    place = pa.array(np.zeros(8_000_000, dtype=np.int64))
    return parquet(pa.array([{"bytes": b"", "path": ""}]).take(place), place)


def sample(stem: str, label: bytes) -> bytes:
    return member(f"{stem}.jpg", picture()) + member(f"{stem}.cls", label) + END_OF_TAR


def kaggle(truth: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ILSVRC/Data/CLS-LOC/train/n00000001/n00000001_1.JPEG", picture())
        archive.writestr("ILSVRC/Data/CLS-LOC/val/ILSVRC2012_val_00000001.JPEG", picture(1))
        archive.writestr("LOC_val_solution.csv", truth)
    return stream.getvalue()


REFUSED: dict[str, tuple[str, Callable[[], bytes]]] = {
    "label of a million millions": (TABLE, lambda: parquet(rows(), (0, 10**12, 1))),
    "pictures without paths": (TABLE, lambda: parquet([{"bytes": picture()}], (0,))),
    "numbers for pictures": (TABLE, lambda: parquet([{"bytes": 5, "path": "a"}], (0,))),
    "texts for pictures": (TABLE, lambda: parquet([{"bytes": "abc", "path": "a"}], (0,))),
    "metadata nested deep": (TABLE, lambda: parquet(rows(), metadata=b"[" * 100_000)),
    "metadata of another form": (TABLE, lambda: parquet(rows(), metadata=b"[1]")),
    "metadata with odd names": (
        TABLE, lambda: parquet(rows(), metadata=b'{"info":{"features":{"label":{"names":[1,[2]]}}}}')
    ),
    "metadata that are no JSON": (TABLE, lambda: parquet(rows(), metadata=b"\xff{")),
    "rows that unpack to 500 MB": (
        TABLE, lambda: parquet([{"bytes": bytes(1 << 20), "path": "a"}] * 500, tuple([0] * 500))
    ),
    "paths that unpack to 500 MB": (
        TABLE, lambda: parquet([{"bytes": picture(), "path": "a" * (1 << 20)}] * 500, tuple([0] * 500))
    ),
    "eight million empty rows": (TABLE, many_empty_rows),
    "sample with a label of thirty digits": (SHARD, lambda: sample("a", b"9" * 30)),
    "sample with a label of nine digits": (SHARD, lambda: sample("a", b"999999999")),
    "shard without samples": (SHARD, lambda: END_OF_TAR),
    "sample with a new line in a suffix": (SHARD, lambda: member("a.x\n\x1b[31m") + END_OF_TAR),
    "table of 128 MB": (ZIP, lambda: kaggle(bytes(1 << 27))),
    "table with a field too long": (ZIP, lambda: kaggle(b"ImageId,PredictionString\n" + b"a" * 200_000)),
    "table with other columns": (ZIP, lambda: kaggle(b"a,b\n1,2")),
    "table with a short row": (ZIP, lambda: kaggle(LABELED)),
    "table with an open quote": (ZIP, lambda: kaggle(b'ImageId,PredictionString\n"' + b"a\n" * 1000)),
    "tar of zeros for ILSVRC": ("ILSVRC2012_img_train.tar", lambda: bytes(10_240)),
}  # fmt: skip


@pytest.mark.parametrize(("name", "write"), REFUSED.values(), ids=REFUSED)
def test_a_source_that_lies_is_refused(name: str, write: Callable[[], bytes], tmp_path: Path) -> None:
    source = tmp_path / "work" / "source"
    source.mkdir(parents=True)
    (source / name).write_bytes(write())

    assert_refused(prepared(source, "--max-bad", 1000))


def test_names_with_control_characters_are_spelled_out(tmp_path: Path) -> None:
    source = tmp_path / "work" / "source"
    source.mkdir(parents=True)
    (source / SHARD).write_bytes(sample("a\n\x1b[31m\udcff", b"0"))

    assert_done(prepared(source))

    (store,) = find_stores(source.parent / "stores")
    assert store.name(0) == r"a\n\x1b[31m\xff.jpg"


def huge(kind: str, **options: Any) -> Callable[[Path], object]:
    """A picture of 40 megapixels, which is more than Pillow may read."""
    return lambda path: Image.new(options.pop("mode", "RGB"), (8000, 5000)).save(path, kind, **options)


def scans(path: Path) -> None:
    """A progressive JPEG whose last scan comes a thousand times."""
    stream = io.BytesIO()
    Image.new("RGB", (2000, 2000), (90, 120, 60)).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    last = data.rindex(b"\xff\xda")
    path.write_bytes(data[:-2] + data[last:-2] * 1000 + data[-2:])


LEFT_OUT: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "link to itself": lambda path: path.symlink_to(path),
    "file of 10 GB": lambda path: path.touch() or os.truncate(path, 10_000_000_000),
    "PNG of 40 megapixels": huge("PNG"),
    "GIF of 40 megapixels": huge("GIF", mode="L"),
    "WebP of 40 megapixels": huge("WEBP", lossless=True),
    "CMYK JPEG of 40 megapixels": huge("JPEG", mode="CMYK"),
    "progressive JPEG of 40 megapixels": huge("JPEG", progressive=True),
    "JPEG of 1,000 scans": scans,
}


@pytest.mark.parametrize("make", LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_no_image_is_left_out_and_listed(make: Callable[[Path], object], tmp_path: Path) -> None:
    folder = tmp_path / "work" / "source" / "a"
    folder.mkdir(parents=True)
    (folder / "good.jpg").write_bytes(picture())
    make(folder / "hostile.JPEG")

    assert_done(prepared(folder.parent, "--max-bad", 1))

    (store,) = find_stores(folder.parent.parent / "stores")
    assert (len(store), [defect["action"] for defect in store.manifest.defects]) == (1, ["left out"])


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [("a.jpg", (9300, 6500), {}), ("a.jpg", (4000, 3400), {"progressive": True}), ("a.png", (4000, 3400), {})],
    ids=["JPEG of 60 megapixels", "progressive JPEG of 13", "PNG of 13"],
)
def test_a_large_image_is_prepared_in_bounded_memory(
    name: str, size: tuple[int, int], options: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "work" / "source" / "a"
    folder.mkdir(parents=True)
    Image.new("RGB", size).save(folder / name, **options)

    assert_done(prepared(folder.parent))
