"""How long a source takes to be listed, and how much memory: class folders and a tar of tars of many tiny files.

python benchmarks/indexing.py [IMAGES ...]     (default 10000 50000 200000)
"""

import io
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

CLASSES = 1000
TINY = b"\xff\xd8tiny"


def class_folders(root: Path, images: int) -> None:
    for label in range(CLASSES):
        folder = root / "train" / f"n{label:08d}"
        folder.mkdir(parents=True)
        for number in range(images // CLASSES):
            (folder / f"n{label:08d}_{number}.JPEG").write_bytes(TINY)


def tar_of_tars(root: Path, images: int) -> None:
    root.mkdir(parents=True)
    with tarfile.open(root / "ILSVRC2012_img_train.tar", "w") as outer:
        for label in range(CLASSES):
            stream = io.BytesIO()
            with tarfile.open(fileobj=stream, mode="w") as inner:
                for number in range(images // CLASSES):
                    member = tarfile.TarInfo(f"n{label:08d}_{number}.JPEG")
                    member.size = len(TINY)
                    inner.addfile(member, io.BytesIO(TINY))
            member = tarfile.TarInfo(f"n{label:08d}.tar")
            member.size = stream.tell()
            stream.seek(0)
            outer.addfile(member, stream)


def measure(root: Path) -> None:
    """In a process of its own: list the source and print seconds, peak memory and photos."""
    from alexrepro.data.sources import recognize

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    photos = len(recognize(root).splits[0].images)
    seconds = time.perf_counter() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{photos:,} photos | {seconds:.1f} s | {grown:.0f} MB")


def main(sizes: list[int]) -> None:
    for images in sizes:
        for layout in (class_folders, tar_of_tars):
            with tempfile.TemporaryDirectory() as folder:
                layout(Path(folder) / "source", images)
                done = subprocess.run(
                    [sys.executable, __file__, "--measure", f"{folder}/source"],
                    capture_output=True, text=True, check=True,
                )  # fmt: skip
                print(f"{layout.__name__} | {done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(Path(sys.argv[2]))
    else:
        main([int(text) for text in sys.argv[1:]] or [10_000, 50_000, 200_000])
