"""Small drawn photographs, and a small ImageNet made of them, for the cases."""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

WNIDS = ("n01440764", "n01443537", "n01484850", "n01491361", "n01494475")


def photo(number: int, side: int = 96, kind: str = "JPEG") -> bytes:
    """The bytes of a small picture, 4 wide by 3 high; the same number gives the same picture."""
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    out = io.BytesIO()
    coarse.resize((side, side * 3 // 4), Image.Resampling.BICUBIC).save(out, kind)
    return out.getvalue()


def folders(root: Path, *, train: int = 6, val: int = 2, flat_val: bool = False) -> None:
    """Write train/<wnid>/ and val/<wnid>/, or numbered photos flat in val/."""
    for place, wnid in enumerate(WNIDS):
        for index in range(train):
            write(root / "train" / wnid / f"{wnid}_{index * 7 + 3}.JPEG", photo(place * (train + val) + index))
        for index in range(val):
            name = f"ILSVRC2012_val_{place * val + index + 1:08d}.JPEG"
            file = root / "val" / name if flat_val else root / "val" / wnid / name
            write(file, photo(300 + place * val + index))


def write(file: Path, content: bytes) -> None:
    """Write a file, making its folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


if __name__ == "__main__":
    folders(Path(sys.argv[1]), flat_val="--flat-val" in sys.argv)
