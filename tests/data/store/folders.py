"""Small folders of images, shards, and the files of a preparation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from alexrepro.data.store.shard_rows import ShardRows


def write_images(folder: Path, *, each: int = 3, height: int = 40, width: int = 50) -> Path:
    """Different random images as PNG, this many in each of the classes a and b; the folder."""
    draws = np.random.default_rng(1)
    for kind in ("a", "b"):
        (folder / kind).mkdir(parents=True)
        for number in range(each):
            pixels = draws.integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / kind / f"{number}.png")
    return folder


def write_shard(path: Path, images: Sequence[bytes], labels: Sequence[int], names: Sequence[str]) -> None:
    """Write the rows of one shard."""
    with ShardRows(path.parent) as rows:
        for row in zip(images, labels, names, strict=True):
            rows.add(*row)
        rows.write(path)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but locks, by its path."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
