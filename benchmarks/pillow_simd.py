"""Whether Pillow and pillow-simd make the same store, for files that Pillow decodes; simplejpeg decodes the rest.

python benchmarks/pillow_simd.py SIMD_PYTHON IMAGES ODD_FILES

SIMD_PYTHON is the interpreter of an environment where `make simd` was run. Every image is saved in each format below,
`alexrepro prepare` runs in both environments, and the stored pixels are compared; each format is a class. ODD_FILES is
a folder of more files of any format.
"""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from alexrepro.data.store.store import Store, newest_store

FORMATS = {  # class: mode, format
    "jpeg-cmyk": ("CMYK", "JPEG"), "png-rgb": ("RGB", "PNG"), "png-rgba": ("RGBA", "PNG"), "png-gray": ("L", "PNG"),
    "png-gray-alpha": ("LA", "PNG"), "png-palette": ("P", "PNG"), "png-black-white": ("1", "PNG"),
    "gif": ("P", "GIF"), "bmp": ("RGB", "BMP"), "webp": ("RGB", "WEBP"),
}  # fmt: skip


def write_source(source: Path, images: Path, odd: Path) -> None:
    shutil.copytree(odd, source / "odd-files")
    for class_name, (mode, kind) in FORMATS.items():
        (source / class_name).mkdir()
        for path in sorted(images.rglob("*.JPEG")):
            with Image.open(path) as image:
                pixels = image.convert("RGB")
            if mode == "RGBA":
                pixels.putalpha(pixels.convert("L"))
            pixels.convert(mode).save(source / class_name / path.name, kind)


def store_by(python: str, source: Path, out: Path) -> Store:
    command = [python, "-m", "alexrepro", "prepare", str(source), "--out", str(out), "--encoding", "raw", "--json"]
    subprocess.run([*command, "--max-bad", "10000"], check=True, stdout=subprocess.DEVNULL)
    return newest_store(out)


def pixels_by_name(store: Store) -> dict[str, tuple[str, np.ndarray]]:
    found = {}
    for row, label in enumerate(store.labels):
        class_name = store.manifest.classes[label]
        found[f"{class_name}/{store.name(row)}"] = class_name, store.pixels(row)
    return found


def main(simd_python: str, images: Path, odd: Path) -> None:
    with TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        write_source(source, images, odd)
        with_pillow = store_by(sys.executable, source, Path(folder) / "pillow")
        with_simd = store_by(simd_python, source, Path(folder) / "simd")
        ours, theirs = pixels_by_name(with_pillow), pixels_by_name(with_simd)
    both, differ, most = Counter(), Counter(), Counter()
    for name in ours.keys() & theirs.keys():
        class_name, pixels = ours[name]
        difference = np.abs(pixels.astype(int) - theirs[name][1])
        both[class_name] += 1
        differ[class_name] += bool(difference.any())
        most[class_name] = max(most[class_name], int(difference.max()))
    only_pillow = Counter(class_name for name, (class_name, _) in ours.items() if name not in theirs)
    print("| class | in both stores | different pixels | largest difference | only in Pillow's store |")
    print("| --- | --- | --- | --- | --- |")
    for name in with_pillow.manifest.classes:
        print(f"| {name} | {both[name]} | {differ[name]} | {most[name]} | {only_pillow[name]} |")
    versions = [store.manifest.libraries["pillow"] for store in (with_pillow, with_simd)]
    print(f"\nPillow, by their manifests: {versions[0]} and {versions[1]}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
