"""What lies beside the files of a layout is listed, and a table of labels decides against the folders."""

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from alexrepro.cli.app import app
from alexrepro.data.sources import recognize
from alexrepro.data.store.prepare import prepare
from alexrepro.errors import Exit, UserError

WNIDS = ("n01440764", "n01443537")


def image(number: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((32, 40, 3), number, np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def parquet(file: Path) -> None:
    images = pa.StructArray.from_arrays([pa.array([image(1), image(2)]), pa.array(["a", "b"])], names=["bytes", "path"])
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": images, "label": [0, 1]}), file)


def shard(file: Path) -> None:
    with tarfile.open(file, "w") as tar:
        for number in range(2):
            for suffix, content in (("jpg", image(number)), ("cls", b"%d" % number)):
                member = tarfile.TarInfo(f"{number}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def tiny(root: Path, *, val: dict[str, str]) -> None:
    """Tiny-ImageNet-200 of two classes; val: the class folder of each image, whose true classes are WNIDS in order."""
    write(root / "wnids.txt", "\n".join(WNIDS).encode())
    for place, wnid in enumerate(WNIDS):
        write(root / "train" / wnid / "images" / f"{wnid}_0.JPEG", image(place))
    rows = zip(val, WNIDS, strict=True)
    write(
        root / "val" / "val_annotations.txt", "".join(f"{name}\t{wnid}\t0\t0\t1\t1\n" for name, wnid in rows).encode()
    )
    for number, (name, wnid) in enumerate(val.items()):
        write(root / "val" / wnid / name, image(50 + number))


def test_what_lies_beside_parquet_files_is_listed(tmp_path: Path) -> None:
    parquet(tmp_path / "set/data/train-0.parquet")
    write(tmp_path / "set/data/more/deep/train-1.parquet", b"")
    write(tmp_path / "set/extra.jpg", image(1))
    write(tmp_path / "set/val/a/x.jpg", image(1))
    prepare(tmp_path / "set", out=tmp_path / "out", layout="parquet", side_px=32)
    with (tmp_path / "out/set-skipped.csv").open() as table:
        assert {row["path"] for row in csv.DictReader(table)} == {"data/more", "extra.jpg", "val"}


def test_what_lies_beside_shards_is_listed(tmp_path: Path) -> None:
    shard(tmp_path / "train-0000.tar")
    for name in ("train-0001.tar.part", "images/a/x.jpg"):
        write(tmp_path / name, image(1))
    skipped = recognize(tmp_path, layout="webdataset").skipped
    assert {item.path for item in skipped} == {"images", "train-0001.tar.part"}


def test_tiny_imagenet_images_sorted_into_wrong_classes_are_refused(tmp_path: Path) -> None:
    tiny(tmp_path, val={"val_0.JPEG": WNIDS[1], "val_1.JPEG": WNIDS[0]})
    with pytest.raises(UserError, match="lies in the class folder n01440764, but val_annotations"):
        recognize(tmp_path)


def test_tiny_imagenet_images_sorted_beside_their_annotations_keep_their_classes(tmp_path: Path) -> None:
    tiny(tmp_path, val={"val_0.JPEG": WNIDS[0], "val_1.JPEG": WNIDS[1]})
    val = recognize(tmp_path).splits[1]
    assert [(image.name, image.label) for image in val.images] == [("val_0.JPEG", 0), ("val_1.JPEG", 1)]


def test_an_empty_source_is_not_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["prepare", ""])
    assert isinstance(result.exception, UserError)
    assert result.exception.exit_code == Exit.USAGE
